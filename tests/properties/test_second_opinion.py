"""A second opinion is the same with and without a restart of the process at any point, and its memory is bounded."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sincewhen.detect.second_opinion import VALUES_MAX, Method, SecondOpinion, SecondOpinionState

VALUES = 1400


def stream(seed: int) -> np.ndarray:
    """In control for longer than the memory, or with steps and a ramp."""
    rng = np.random.default_rng(seed)
    z: np.ndarray = rng.standard_normal(VALUES) + rng.choice([0, 0.002]) * np.arange(VALUES)
    for _ in range(rng.integers(0, 4)):
        z[rng.integers(0, VALUES) :] += rng.normal(0, 2)
    return z


def run(z: np.ndarray, cuts: list[int], *, through_bytes: bool) -> tuple[list[tuple[int, Method]], bytes]:
    second = SecondOpinion()
    found = []
    for start, stop in itertools.pairwise([0, *sorted(cuts), len(z)]):
        found += [(start + opinion.row, opinion.method) for opinion in second.update(z[start:stop])]
        if through_bytes:
            second = SecondOpinion(SecondOpinionState.from_bytes(second.state.to_bytes()))
    return found, second.state.to_bytes()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, VALUES), max_size=12), st.booleans())
def test_batches_and_restarts_change_nothing(seed: int, cuts: list[int], through_bytes: bool) -> None:  # noqa: FBT001 - drawn
    z = stream(seed)
    assert run(z, cuts, through_bytes=through_bytes) == run(z, [], through_bytes=False)


def test_a_restart_after_every_value_changes_nothing_across_the_bound() -> None:
    z = stream(3)[: VALUES_MAX + 100]
    z[VALUES_MAX + 20 :] += 3
    found, state = run(z, list(range(1, len(z))), through_bytes=True)
    assert (found, state) == run(z, [], through_bytes=False)
    assert {method for row, method in found if row > VALUES_MAX + 20} == set(Method)


def test_what_only_the_newest_half_shows_is_found_when_the_bound_is_reached() -> None:
    """A fall and a rise about the old mean, each too small for it, are one large step to who forgot that mean."""
    z = np.repeat([0.0, -0.32, 0.32], [VALUES_MAX // 2, VALUES_MAX // 4, VALUES_MAX // 4])
    found, _ = run(z, [], through_bytes=False)
    assert [row for row, method in found if method == Method.PAGE_HINKLEY] == [VALUES_MAX - 1]
    assert run(z, list(range(1, len(z))), through_bytes=True)[0] == found


def test_both_methods_find_a_step_in_either_direction() -> None:
    for size in (2, -2):
        z = np.random.default_rng(4).standard_normal(400)
        z[200:] += size
        found, _ = run(z, [], through_bytes=False)
        assert {method for row, method in found if 200 <= row <= 240} == set(Method)


def test_its_memory_is_bounded() -> None:
    second = SecondOpinion()
    sizes = []
    for seed in range(4):
        second.update(np.random.default_rng(seed).standard_normal(VALUES))
        sizes.append(len(second.state.to_bytes()))
    assert max(sizes) <= 4 * VALUES_MAX + 64
