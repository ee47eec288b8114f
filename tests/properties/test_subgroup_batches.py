"""Subgroups depend on the frames alone: not on batches or restarts of the process; and they are what the words say."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sincewhen.detect.subgroups import FRAMES_MAX, SPAN_NS_MAX, OpenSubgroups, RationalSubgroups

FRAMES, STREAMS, DIMS = 300, 2, 3
Row = tuple[int, int, int, int, tuple[float, ...]]


def frames(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Frames of every stream, which of them it has, when, and before which a restart is."""
    rng = np.random.default_rng(seed)
    pace = rng.choice([0.05, 0.4, 2.0, 9.0])
    at_ns = np.cumsum((rng.exponential(pace, FRAMES) - (rng.random(FRAMES) < 0.01)) * 10**9).astype(np.int64)
    x = rng.standard_normal((STREAMS, FRAMES, DIMS)).astype(np.float32)
    return x, rng.random((STREAMS, FRAMES)) < 0.9, at_ns, rng.random((STREAMS, FRAMES)) < 0.02


def run(seed: int, cuts: list[int], *, through_bytes: bool) -> tuple[list[Row], bytes]:
    x, valid, at_ns, restart = frames(seed)
    subgroups = RationalSubgroups(STREAMS, DIMS)
    rows: list[Row] = []
    for start, stop in itertools.pairwise([0, *sorted(cuts), FRAMES]):
        part = slice(start, stop)
        closed = subgroups.update(x[:, part], valid[:, part], at_ns[part], restart[:, part])
        columns = (closed.stream, closed.first_at_ns, closed.last_at_ns, closed.n)
        rows += zip(*(column.tolist() for column in columns), map(tuple, closed.sum.tolist()), strict=True)
        if through_bytes:
            subgroups = RationalSubgroups(STREAMS, DIMS, OpenSubgroups.from_bytes(subgroups.state.to_bytes()))
    return sorted(rows), subgroups.state.to_bytes()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, FRAMES), max_size=12), st.booleans())
def test_batches_and_restarts_change_nothing(seed: int, cuts: list[int], through_bytes: bool) -> None:  # noqa: FBT001 - drawn
    assert run(seed, cuts, through_bytes=through_bytes) == run(seed, [], through_bytes=False)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_subgroups_are_those_of_a_plain_loop(seed: int) -> None:
    x, valid, at_ns, restart = frames(seed)
    expected = []
    for stream in range(STREAMS):
        groups: list[list[int]] = [[]]
        broken = False
        for row in range(FRAMES):
            broken |= bool(restart[stream, row])
            if not valid[stream, row]:
                continue
            if (group := groups[-1]) and (
                len(group) == FRAMES_MAX
                or broken
                or at_ns[row] < at_ns[group[-1]]
                or at_ns[row] - at_ns[group[0]] >= SPAN_NS_MAX
            ):
                groups.append([])
            groups[-1].append(row)
            broken = False
        if len(groups[-1]) < FRAMES_MAX:
            groups.pop()
        expected += [(stream, at_ns[group[0]], at_ns[group[-1]], group) for group in groups]
    rows, _ = run(seed, [], through_bytes=False)
    expected.sort(key=lambda found: found[:3])
    assert [row[:4] for row in rows] == [(*head, len(group)) for *head, group in expected]
    sums = [x[stream, group].sum(axis=0) for stream, *_, group in expected]
    np.testing.assert_allclose([row[4] for row in rows], sums, atol=1e-4)
