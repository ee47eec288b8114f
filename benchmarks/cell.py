"""A cell: the smallest thing that is measured, and what is known of it for ever after."""

import hashlib
import json
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Param: TypeAlias = str | int | float
Figures: TypeAlias = dict[str, list[float]]  # by name, one entry a run
Floats: TypeAlias = NDArray[np.float64]
T = TypeVar("T", str, int, float)


class Effort(IntEnum):
    """How much is measured: `pick` chooses a count by it."""

    SMOKE = 0
    QUICK = 1
    FULL = 2

    def pick(self, smoke: int, quick: int, full: int) -> int:
        return (smoke, quick, full)[self]


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement: a subject's parameters, which of its repetitions, and the seed that these two give."""

    subject: str
    params: tuple[tuple[str, Param], ...]
    repetition: int

    @staticmethod
    def of(subject: str, repetition: int, **params: Param) -> "Cell":
        return Cell(subject, tuple(sorted(params.items())), repetition)

    def get(self, name: str, kind: type[T]) -> T:
        value = dict(self.params)[name]
        assert isinstance(value, kind), (name, value)
        return value

    def has(self, **params: Param) -> bool:
        """Whether it has these parameters."""
        own = dict(self.params)
        return all(own.get(name) == value for name, value in params.items())

    @property
    def seed(self) -> int:
        """Of its own; no tuning has ever looked at it."""
        text = json.dumps(["sincewhen bench", self.subject, self.params, self.repetition])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)
