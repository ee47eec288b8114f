"""A batch of frames as numpy columns: what `station_record.proto` packs and every room works on."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

Purpose = Literal["production", "setup", "challenge", "reference", "shadow", "simulated"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
CONTEXT_FIELDS = ("lot", "supplier_lot", "sku", "recipe", "operator", "unit_id", "attempt")

Strings: TypeAlias = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Frames:
    """n consecutive frames of one station and view, frame i with sequence number first_seq + i.

    Missing: NaN in float columns, "" in string columns, `present[layer]` False for an embedding row.
    """

    station_id: str
    view: str
    agent_id: str
    boot_id: str
    first_seq: int
    captured_at_ns: NDArray[np.int64]  # (n,)
    purpose: Purpose
    model_name: str = ""
    model_version: str = ""
    layers: dict[str, NDArray[np.float16]] = field(default_factory=dict)  # (n, dims) each
    present: dict[str, NDArray[np.bool_]] = field(default_factory=dict)  # (n,); absent = all present
    decision: Strings | None = None  # (n,)
    confidence: NDArray[np.float32] | None = None  # (n,), 0..1
    classes: tuple[str, ...] = ()
    class_scores: NDArray[np.float16] | None = None  # (n, classes)
    factors: dict[str, NDArray[np.float32]] = field(default_factory=dict)  # (n,) each
    signals: dict[str, NDArray[np.float32]] = field(default_factory=dict)  # (n,) each
    context: dict[str, Strings] = field(default_factory=dict)  # keys of CONTEXT_FIELDS, (n,) each
    attributes: dict[str, Strings] = field(default_factory=dict)  # (n,) each
    material_lots: dict[tuple[str, str], Strings] = field(default_factory=dict)  # (material, supplier)
    evidence_key: Strings | None = None  # (n,)

    @property
    def n(self) -> int:
        return len(self.captured_at_ns)
