"""A rational subgroup closes with its 32nd frame, before a frame 10 s after its first one, and at a restart."""

import numpy as np

from sincewhen.detect.subgroups import FRAMES_MAX, RationalSubgroups, Subgroups

SECOND = 10**9


def grouped(seconds: list[float], restarts: tuple[int, ...] = ()) -> tuple[Subgroups, int]:
    """The closed subgroups of frames 1, 2, 3 ... at these times, and the size of the open one."""
    subgroups = RationalSubgroups(1)
    restart = np.isin(np.arange(len(seconds)), restarts)
    x = np.arange(1.0, len(seconds) + 1)[:, None]
    closed = subgroups.update(x, np.array([int(at * SECOND) for at in seconds], np.int64), restart)
    return closed, subgroups.state.n


def test_the_32nd_frame_closes_a_subgroup() -> None:
    closed, still_open = grouped([0.1 * row for row in range(2 * FRAMES_MAX)])
    assert closed.n.tolist() == [FRAMES_MAX, FRAMES_MAX]
    assert still_open == 0


def test_a_frame_ten_seconds_after_the_first_one_begins_the_next_subgroup() -> None:
    closed, still_open = grouped([5, 9, 14.999, 15, 24.999, 25])
    assert closed.n.tolist() == [3, 2]
    assert closed.first_at_ns.tolist() == [5 * SECOND, 15 * SECOND]
    assert closed.last_at_ns.tolist() == [14_999_000_000, 24_999_000_000]
    assert still_open == 1


def test_a_restart_closes_what_is_open() -> None:
    closed, still_open = grouped([0, 1, 2, 3], restarts=(0, 3))
    assert closed.n.tolist() == [3]
    assert still_open == 1


def test_a_clock_that_steps_back_begins_a_subgroup() -> None:
    assert grouped([5, 6, 4, 5])[0].n.tolist() == [2]


def test_sums_and_squares_are_those_of_the_frames() -> None:
    closed, _ = grouped([0, 1, 2, 11])
    assert closed.sum.tolist() == [[6.0]]
    assert closed.sum_squares.tolist() == [[14.0]]
    assert closed.mean.tolist() == [[2.0]]


def test_no_frames_close_nothing() -> None:
    subgroups = RationalSubgroups(3)
    closed = subgroups.update(np.zeros((0, 3)), np.zeros(0, np.int64), np.zeros(0, bool))
    assert closed.sum.shape == (0, 3)
    assert subgroups.state.n == 0
