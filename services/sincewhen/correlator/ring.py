"""The newest bins of a group, member by member: what tells a common cause from a fault of one member."""

from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

ROWS_MAX = 256
MEMBERS_MAX = 256

Floats = NDArray[np.float64]


def _nothing() -> Floats:
    return np.zeros((0, 0))


@dataclass(slots=True)
class Ring:
    """Values (rows, members), oldest bin first; NaN where a member was not present."""

    members: list[str] = field(default_factory=list)
    bins: list[int] = field(default_factory=list)
    values: Floats = field(default_factory=_nothing)

    def push(self, number: int, values: dict[str, float]) -> None:
        for member in values:
            if member not in self.members and len(self.members) < MEMBERS_MAX:
                self.members.append(member)
        rows = np.full((len(self.bins) + 1, len(self.members)), np.nan)
        rows[:-1, : self.values.shape[1]] = self.values
        rows[-1] = [values.get(member, np.nan) for member in self.members]
        self.bins = [*self.bins, number][-ROWS_MAX:]
        keep = ~np.isnan(rows[-ROWS_MAX:]).all(axis=0)
        self.members = [member for member, kept in zip(self.members, keep, strict=True) if kept]
        self.values = rows[-ROWS_MAX:, keep]

    def since(self, number: int) -> dict[str, Floats]:
        """Each member's values from a bin on, without the bins in which it was not present."""
        first = int(np.searchsorted(self.bins, number))
        columns = zip(self.members, self.values[first:].T, strict=True)
        return {member: column[~np.isnan(column)] for member, column in columns}

    def rows(self, number: int) -> list[tuple[int, dict[str, float]]]:
        """The values of each bin from one on."""
        first = int(np.searchsorted(self.bins, number))
        return [
            (number, {m: float(value) for m, value in zip(self.members, row, strict=True) if not np.isnan(value)})
            for number, row in zip(self.bins[first:], self.values[first:], strict=True)
        ]

    def to_bytes(self) -> bytes:
        return msgspec.msgpack.encode((self.members, self.bins, self.values.tobytes()))

    @staticmethod
    def from_bytes(data: bytes) -> "Ring":
        members, bins, raw = msgspec.msgpack.decode(data, type=tuple[list[str], list[int], bytes])
        return Ring(members, bins, np.frombuffer(raw).reshape(len(bins), len(members)).copy())
