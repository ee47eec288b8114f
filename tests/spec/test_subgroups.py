"""A rational subgroup closes with its 32nd frame, before a frame 10 s after its first one, and at a restart."""

import numpy as np

from sincewhen.detect.subgroups import FRAMES_MAX, RationalSubgroups, Subgroups

SECOND = 10**9


def grouped(seconds: list[float], restarts: tuple[int, ...] = ()) -> tuple[Subgroups, int]:
    """The closed subgroups of frames 1, 2, 3 ... at these times, and the size of the open one."""
    subgroups = RationalSubgroups(1, 1)
    restart = np.isin(np.arange(len(seconds)), restarts)[None]
    x = np.arange(1.0, len(seconds) + 1, dtype=np.float32)[None, :, None]
    at_ns = np.array([int(at * SECOND) for at in seconds], np.int64)
    closed = subgroups.update(x, np.ones((1, len(seconds)), bool), at_ns, restart)
    return closed, int(subgroups.state.heads[0, 2])


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


def test_sums_are_those_of_the_frames() -> None:
    closed, _ = grouped([0, 1, 2, 11])
    assert closed.sum.tolist() == [[6.0]]
    assert closed.mean.tolist() == [[2.0]]


def test_no_frames_close_nothing() -> None:
    subgroups, none = RationalSubgroups(2, 3), np.zeros((2, 0), bool)
    closed = subgroups.update(np.zeros((2, 0, 3), np.float32), none, np.zeros(0, np.int64), none)
    assert closed.sum.shape == (0, 3)
    assert not subgroups.state.heads.any()


def test_streams_have_subgroups_of_their_own_and_a_restart_waits_for_a_frame_that_the_stream_has() -> None:
    subgroups = RationalSubgroups(2, 1)
    x = np.array([[1, 2, 3, 4], [10, 20, 30, 40]], np.float32)[:, :, None]
    valid = np.array([[True, True, True, True], [True, False, False, True]])
    restart = np.array([[False] * 4, [False, True, False, False]])
    at_ns = np.arange(4) * SECOND
    first = subgroups.update(x[:, :2], valid[:, :2], at_ns[:2], restart[:, :2])
    then = subgroups.update(x[:, 2:], valid[:, 2:], at_ns[2:], restart[:, 2:])
    assert first.n.tolist() == []
    assert (then.stream.tolist(), then.n.tolist(), then.sum.tolist()) == ([1], [1], [[10.0]])
    assert subgroups.state.heads[:, 2].tolist() == [4, 1]
