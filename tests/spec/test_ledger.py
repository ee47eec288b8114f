"""Numbers of the past round as numpy's float16 do, and block means are those of their rows."""

import numpy as np

from sincewhen.onset.history import History
from sincewhen.onset.ledger import BLOCK, decode, encode

ALL = np.arange(2**16, dtype=np.uint16)
FINITE = ALL[np.isfinite(ALL.view(np.float16))]


def test_every_finite_float16_is_decoded_exactly() -> None:
    bits = np.empty(len(FINITE), np.uint32)
    floats = bits.view(np.float32)
    decode(FINITE, bits, floats)
    assert floats.tobytes() == FINITE.view(np.float16).astype(np.float32).tobytes()


def test_numbers_are_encoded_to_the_nearest_ties_to_even() -> None:
    seed = 1700
    rng = np.random.default_rng(seed)
    exact = FINITE.view(np.float16).astype(np.float64)
    between = np.sort(exact)[:-1] + np.diff(np.sort(exact)) / 2
    drawn = rng.standard_normal(200_000) * 10.0 ** rng.uniform(-9, 4, 200_000)
    values = np.concatenate([exact, between, drawn[np.abs(drawn) < 6e4]]).astype(np.float32)
    half, bits = np.empty(len(values), np.uint16), np.empty(len(values), np.uint32)
    encode(values, half, bits, bits.view(np.float32))
    np.testing.assert_array_equal(half.view(np.float16), values.astype(np.float16), err_msg=f"seed {seed}")


def test_the_ledger_holds_the_means_of_the_rows_that_left() -> None:
    rng = np.random.default_rng(1701)
    rows, kept = 40 * BLOCK, 4 * BLOCK
    x = rng.standard_normal((rows, 5)).astype(np.float32)
    history, none = History(5), np.zeros(rows, bool)
    history.push(x, np.arange(rows), none, none, kept)
    left = x[: rows - kept].astype(np.float16).astype(np.float64)
    ends = np.cumsum(history.blocks.frames)
    means = [left[end - frames : end].mean(axis=0) for end, frames in zip(ends, history.blocks.frames, strict=True)]
    assert ends[-1] == len(left)
    np.testing.assert_allclose(history.blocks.mean, means, atol=2e-3)
    assert history.x.tobytes() == x[-kept:].astype(np.float16).tobytes()
    assert history.blocks.last_at_ns.tolist() == (ends - 1).tolist()
