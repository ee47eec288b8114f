"""Subgroups depend on the frames alone: not on batches or restarts of the process; and they are what the words say."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sincewhen.detect.subgroups import FRAMES_MAX, SPAN_NS_MAX, OpenSubgroup, RationalSubgroups

FRAMES, DIMS = 300, 3
Row = tuple[int, int, int, tuple[float, ...], tuple[float, ...]]


def frames(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    pace = rng.choice([0.05, 0.4, 2.0, 9.0])
    at_ns = np.cumsum((rng.exponential(pace, FRAMES) - (rng.random(FRAMES) < 0.01)) * 10**9).astype(np.int64)
    return rng.standard_normal((FRAMES, DIMS)).astype(np.float32), at_ns, rng.random(FRAMES) < 0.02


def run(seed: int, cuts: list[int], *, through_bytes: bool) -> tuple[list[Row], bytes]:
    x, at_ns, restart = frames(seed)
    subgroups = RationalSubgroups(DIMS)
    rows: list[Row] = []
    for start, stop in itertools.pairwise([0, *sorted(cuts), FRAMES]):
        closed = subgroups.update(x[start:stop], at_ns[start:stop], restart[start:stop])
        heads = zip(closed.first_at_ns.tolist(), closed.last_at_ns.tolist(), closed.n.tolist(), strict=True)
        sums = zip(map(tuple, closed.sum.tolist()), map(tuple, closed.sum_squares.tolist()), strict=True)
        rows += [(*head, *pair) for head, pair in zip(heads, sums, strict=True)]
        if through_bytes:
            subgroups = RationalSubgroups(DIMS, OpenSubgroup.from_bytes(subgroups.state.to_bytes()))
    return rows, subgroups.state.to_bytes()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, FRAMES), max_size=12), st.booleans())
def test_batches_and_restarts_change_nothing(seed: int, cuts: list[int], through_bytes: bool) -> None:  # noqa: FBT001 - drawn
    assert run(seed, cuts, through_bytes=through_bytes) == run(seed, [], through_bytes=False)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_subgroups_are_those_of_a_plain_loop(seed: int) -> None:
    x, at_ns, restart = frames(seed)
    groups: list[list[int]] = [[]]
    for row in range(FRAMES):
        if (group := groups[-1]) and (
            len(group) == FRAMES_MAX
            or restart[row]
            or at_ns[row] < at_ns[group[-1]]
            or at_ns[row] - at_ns[group[0]] >= SPAN_NS_MAX
        ):
            groups.append([])
        groups[-1].append(row)
    if len(groups[-1]) < FRAMES_MAX:
        groups.pop()
    rows, _ = run(seed, [], through_bytes=False)
    heads = [(at_ns[group[0]], at_ns[group[-1]], len(group)) for group in groups]
    assert [row[:3] for row in rows] == heads
    np.testing.assert_allclose([row[3] for row in rows], [x[group].sum(axis=0) for group in groups], atol=1e-4)
    np.testing.assert_allclose([row[4] for row in rows], [(x[group] ** 2).sum(axis=0) for group in groups], rtol=1e-5)
