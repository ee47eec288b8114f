"""The frames a profile is built from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sincewhen_schemas.frames import Strings


@dataclass(frozen=True, slots=True)
class Golden:
    """G frames of one station and view in order of capture."""

    captured_at_ns: NDArray[np.int64]  # (G,)
    layers: dict[str, NDArray[np.float32]]  # (G, dims) each
    scalars: dict[str, NDArray[np.float64]]  # (G,) each, NaN = not measured
    lot: Strings | None = None  # (G,)
    regime: Strings | None = None  # (G,) sku and recipe
    shift: Strings | None = None  # (G,) with its production day
    decision: Strings | None = None  # (G,)

    @property
    def n(self) -> int:
        return len(self.captured_at_ns)

    def rows(self, start: int, stop: int) -> "Golden":
        """The frames start..stop-1."""
        return self.take(slice(start, stop))

    def take(self, cut: slice | NDArray[np.bool_]) -> "Golden":
        """Some of the frames, in order."""
        return Golden(
            captured_at_ns=self.captured_at_ns[cut],
            layers={name: values[cut] for name, values in self.layers.items()},
            scalars={name: values[cut] for name, values in self.scalars.items()},
            lot=None if self.lot is None else self.lot[cut],
            regime=None if self.regime is None else self.regime[cut],
            shift=None if self.shift is None else self.shift[cut],
            decision=None if self.decision is None else self.decision[cut],
        )
