"""Rows are appended to a history, and its oldest become block means. Compiled: every stream does so in every batch.

Numbers are kept as float16, which numba does not compute with: their bits are decoded and encoded here, rounding to the
nearest, ties to even (IEEE 754). Infinities, NaN and what lies beyond float16's greatest number do not come.
"""

import numpy as np
from numba import njit

BLOCK = 32
BLOCKS_MAX = 9
LEVELS = 16
CAPACITY_MAX = LEVELS * BLOCKS_MAX + 2  # blocks, while two are being merged
BEGIN, ROWS, BLOCKS, FIRST = range(4)  # of `at`: first kept row of the buffers, kept rows, blocks, number of that row


@njit(cache=True)
def append(new, rows, blocks, at, rows_max):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - compiled by numba
    """Append rows; the oldest leave in blocks, so that fewer than rows_max + BLOCK stay. Buffers have room for both.

    new, rows: x (n, d), at_ns, lot, step (n,); blocks: level, mean (M, d), first_at_ns, last_at_ns, lots (M,). What is
    kept of x and means is bits of float16. Changes rows, blocks and at.
    """
    bits = np.empty(new[0].shape[1], np.uint32)
    floats = bits.view(np.float32)
    for start in range(0, max(1, len(new[0])), BLOCK):
        stop = min(len(new[0]), start + BLOCK)
        if at[BEGIN] + at[ROWS] + stop - start > len(rows[0]):
            _to_front(rows, at)
        for row in range(start, stop):
            end = at[BEGIN] + at[ROWS] + row - start
            encode(new[0][row], rows[0][end], bits, floats)
            rows[1][end], rows[2][end], rows[3][end] = new[1][row], new[2][row], new[3][row]
        at[ROWS] += stop - start
        while at[ROWS] - rows_max >= BLOCK:
            _settle(rows, blocks, at)


@njit(cache=True)
def _to_front(rows, at):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    """Make room behind the kept rows."""
    for row in range(at[ROWS]):
        old = at[BEGIN] + row
        for i in range(rows[0].shape[1]):
            rows[0][row, i] = rows[0][old, i]
        rows[1][row], rows[2][row], rows[3][row] = rows[1][old], rows[2][old], rows[3][old]
    at[BEGIN] = 0


@njit(cache=True)
def _settle(rows, blocks, at):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    """The BLOCK oldest rows become a block; levels that are full hand their two oldest on as one."""
    x, at_ns, lot, _ = rows
    level, mean, first_at_ns, last_at_ns, lots = blocks
    start, number = at[BEGIN], at[BLOCKS]
    _average(x[start : start + BLOCK], mean[number])
    level[number], lots[number] = 0, np.count_nonzero(lot[start : start + BLOCK])
    first_at_ns[number], last_at_ns[number] = at_ns[start], at_ns[start + BLOCK - 1]
    at[BEGIN] += BLOCK
    at[ROWS] -= BLOCK
    at[FIRST] += BLOCK
    at[BLOCKS] += 1
    end = at[BLOCKS]
    for full in range(LEVELS):
        oldest = end
        while oldest > 0 and level[oldest - 1] == full:
            oldest -= 1
        if end - oldest <= BLOCKS_MAX:
            break  # and no level above has more than before
        if full < LEVELS - 1:
            _average(mean[oldest : oldest + 2], mean[oldest])
            level[oldest] += 1
            last_at_ns[oldest] = last_at_ns[oldest + 1]
            lots[oldest] += lots[oldest + 1]
            end = oldest + 1
            _forget(blocks, at, end, 1)
        else:
            _forget(blocks, at, oldest, 2)


@njit(cache=True)
def _forget(blocks, at, start, count):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    level, mean, first_at_ns, last_at_ns, lots = blocks
    at[BLOCKS] -= count
    for block in range(start, at[BLOCKS]):
        level[block], lots[block] = level[block + count], lots[block + count]
        first_at_ns[block], last_at_ns[block] = first_at_ns[block + count], last_at_ns[block + count]
        for i in range(mean.shape[1]):
            mean[block, i] = mean[block + count, i]


@njit(cache=True)
def _average(halves, mean):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled by numba
    """The mean (d,) of rows (n, d), which it may be one of."""
    total, bits = np.zeros(len(mean), np.float32), np.empty(len(mean), np.uint32)
    floats = bits.view(np.float32)
    for row in range(len(halves)):
        decode(halves[row], bits, floats)
        for i in range(len(total)):
            total[i] += floats[i]
    for i in range(len(total)):
        total[i] /= len(halves)
    encode(total, mean, bits, floats)


@njit(cache=True)
def decode(half, bits, floats):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - compiled by numba
    """Into `floats` (d,), which are the same memory as `bits`."""
    for i in range(len(half)):
        bits[i] = (np.uint32(half[i] & 0x7FFF) << 13) | (np.uint32(half[i] & 0x8000) << 16)
    for i in range(len(half)):
        floats[i] *= np.float32(2.0**112)  # between the exponents' biases, also of numbers below the normal ones


@njit(cache=True)
def encode(values, half, bits, floats):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - compiled by numba
    """Values (d,) of float32; `floats` are the same memory as `bits`."""
    for i in range(len(values)):
        floats[i] = abs(values[i])
    for i in range(len(values)):
        if bits[i] < 113 << 23:  # below the normal ones: adding a half puts the last digit where it belongs
            floats[i] += np.float32(0.5)
            half[i] = bits[i] - (126 << 23)
        else:
            half[i] = (bits[i] - (112 << 23) + 0xFFF + ((bits[i] >> 13) & 1)) >> 13
        if values[i] < 0:
            half[i] |= 0x8000
