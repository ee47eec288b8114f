"""What a stream remembers of its changes that ended, and which of them a new one looks like."""

from collections.abc import Sequence

import msgspec
import numpy as np

PAST_MAX = 8
ALIKE_COSINE = 0.8


class Past(msgspec.Struct, frozen=True):
    """A change that ended. Ordinal and alarm time are what its detection is known by."""

    ordinal: int
    alarm_at_ns: int
    direction: tuple[float, ...]


class Like(msgspec.Struct, frozen=True):
    """An earlier change that moved the stream the same way."""

    ordinal: int
    alarm_at_ns: int
    cosine: float


def remembered(past: Sequence[Past], ended: Sequence[Past]) -> list[Past]:
    """The newest PAST_MAX; one that was reopened is one change."""
    anew = {item.ordinal for item in ended}
    return [*(item for item in past if item.ordinal not in anew), *ended][-PAST_MAX:]


def alike(past: Sequence[Past], direction: Sequence[float]) -> tuple[int, Like | None]:
    """How many of them point the same way, and the nearest; of equally near ones the newest."""
    size = float(np.linalg.norm(direction))
    found = []
    for item in past:
        cosine = float(np.dot(item.direction, direction)) / max(size * float(np.linalg.norm(item.direction)), 1e-12)
        if cosine > ALIKE_COSINE:
            found.append(Like(item.ordinal, item.alarm_at_ns, cosine))
    return len(found), max(found, key=lambda like: (round(like.cosine, 6), like.alarm_at_ns), default=None)
