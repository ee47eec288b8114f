"""A batch of frames as numpy columns: what `station_record.proto` packs and every room works on."""

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

Purpose = Literal["production", "setup", "challenge", "reference", "shadow", "simulated"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
CHANGE_KINDS = ("cleaning", "maintenance", "recipe", "model", "changeover", "replacement", "other")
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

    def tail(self, start: int) -> "Frames":
        """The frames start..n-1."""
        if start == 0:
            return self
        cut = slice(start, None)
        return replace(
            self,
            first_seq=self.first_seq + start,
            captured_at_ns=self.captured_at_ns[cut],
            layers={name: values[cut] for name, values in self.layers.items()},
            present={name: values[cut] for name, values in self.present.items()},
            decision=None if self.decision is None else self.decision[cut],
            confidence=None if self.confidence is None else self.confidence[cut],
            class_scores=None if self.class_scores is None else self.class_scores[cut],
            factors={name: values[cut] for name, values in self.factors.items()},
            signals={name: values[cut] for name, values in self.signals.items()},
            context={name: values[cut] for name, values in self.context.items()},
            attributes={name: values[cut] for name, values in self.attributes.items()},
            material_lots={name: values[cut] for name, values in self.material_lots.items()},
            evidence_key=None if self.evidence_key is None else self.evidence_key[cut],
        )

    @property
    def scalars(self) -> dict[str, NDArray[np.float64]]:
        """Every scalar by its stream's name: confidence, factor:<name>, signal:<name>; (n,) each."""
        found = {f"factor:{name}": values.astype(np.float64) for name, values in self.factors.items()}
        found |= {f"signal:{name}": values.astype(np.float64) for name, values in self.signals.items()}
        if self.confidence is not None:
            found["confidence"] = self.confidence.astype(np.float64)
        return found

    @property
    def regime(self) -> Strings:
        """The operating condition of each frame (n,): sku and recipe, "" where neither is known."""
        unknown = np.full(self.n, "", dtype=object)
        sku, recipe = self.context.get("sku", unknown), self.context.get("recipe", unknown)
        return np.array([f"{a}|{b}".strip("|") for a, b in zip(sku, recipe, strict=True)], dtype=object)
