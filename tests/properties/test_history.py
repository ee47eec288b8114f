"""The past of a stream: exact for the newest rows, whole in its sums, bounded, the same through bytes and batches."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sincewhen.onset.history import ROWS_CALM, History
from sincewhen.onset.ledger import BLOCK, BLOCKS_MAX, LEVELS

DIMS = 3


def filled(frames: int, cuts: list[int], *, reload: bool = False) -> History:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((frames, DIMS)).astype(np.float32)
    history = History(DIMS)
    edges = sorted({0, frames, *(cut for cut in cuts if cut < frames)})
    for start, stop in itertools.pairwise(edges):
        begins = np.arange(start, stop) % 100 == 0
        history.push(x[start:stop], np.arange(start, stop) * 10, begins, begins, ROWS_CALM)
        if reload:
            history = History.from_bytes(history.to_bytes())
    return history


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12_000), st.lists(st.integers(1, 12_000), max_size=6), st.booleans())
def test_batches_and_bytes_change_nothing(frames: int, cuts: list[int], reload: bool) -> None:  # noqa: FBT001 - drawn
    history, whole = filled(frames, cuts, reload=reload), filled(frames, list(range(0, frames, BLOCK)))
    assert history.to_bytes() == whole.to_bytes()
    assert int(history.blocks.frames.sum()) + len(history.x) == frames
    assert history.first == frames - len(history.x)
    assert int(history.blocks.lots.sum()) + int(history.lot.sum()) == -(-frames // 100)


def test_a_block_is_never_much_longer_than_a_share_of_its_age_and_the_number_of_blocks_is_bounded() -> None:
    history = filled(150_000, list(range(0, 150_000, 500)))
    assert len(history.blocks.frames) <= LEVELS * BLOCKS_MAX
    age = np.cumsum(history.blocks.frames[::-1])[::-1] + len(history.x)
    assert (history.blocks.frames <= np.maximum(BLOCK, age / 8)).all()


def test_positions_and_times_belong_together_in_rows_and_blocks() -> None:
    history = filled(9_000, [])
    for at_ns in (0, 12_340, 50_000, 87_000, 89_990):
        position = history.position_of(at_ns)
        assert abs(history.time_of(position) - at_ns) <= 10 * 8 * BLOCK
    assert history.time_of(history.begin) == 0
    assert history.time_of(len(history.x) - 1) == 89_990
