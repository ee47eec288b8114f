"""What one `observe` took in becomes frames that have a place in the contract.

A value without one is left out and counted by reason; a frame whose time the server would refuse is dropped and
counted. Runs on the worker's thread; the host's objects are asked for their text and numbers here, and may raise.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sincewhen_edge.adapters import Judged, judge
from sincewhen_edge.batch import Frame
from sincewhen_edge.counts import Counts
from sincewhen_edge.factors import image_factors
from sincewhen_edge.fit import unicode, untimely
from sincewhen_edge.pictures import pictures
from sincewhen_edge.settings import ModelSettings
from sincewhen_edge.share import CoreShare
from sincewhen_edge.spool import Progress
from sincewhen_edge.tensors import Value, settle
from sincewhen_schemas.frames import Purpose
from sincewhen_schemas.limits import CLASSES_MAX, NAME_CHARS_MAX, TEXT_CHARS_MAX

_ROWS = 2  # dimensions of rows of embeddings


@dataclass(frozen=True, slots=True)
class Taken:
    """What `observe` hands to the worker: n frames of one call, numbered from first_seq."""

    view: str
    purpose: Purpose
    first_seq: int
    n: int
    captured_at_ns: tuple[int, ...]
    layers: Mapping[str, Value]
    output: Value
    small: Value
    signals: Mapping[str, Value]
    context: Mapping[str, object]
    material_lots: Mapping[tuple[str, str], object]
    progress: Progress | None
    wait: bool


@dataclass(frozen=True, slots=True)
class Unpacker:
    """Names and values of a host, whatever they are, as the contract has them."""

    model: ModelSettings
    share: CoreShare
    counts: Counts

    def frames(self, taken: Taken, now_ns: int) -> list[Frame]:
        """At most n; a frame of an impossible time is missing."""
        n = taken.n
        layers = self._layers(taken)
        judged = self._judged(taken)
        factors = self._factors(taken)
        signals, context = self._named(settle(taken.signals)), self._named(taken.context)
        lots = self._material_lots(taken.material_lots)
        frames = []
        for row, captured_at_ns in enumerate(map(int, taken.captured_at_ns)):
            reason = untimely(captured_at_ns, now_ns)
            if reason is not None:
                self.counts.dropped(reason)
                continue
            frames.append(
                Frame(
                    seq=taken.first_seq + row,
                    captured_at_ns=captured_at_ns,
                    view=taken.view,
                    purpose=taken.purpose,
                    layers={name: values[row] for name, values in layers.items()},
                    decision=self._text(judged.decision[row]) if judged else "",
                    confidence=float(judged.confidence[row]) if judged else math.nan,
                    scores=judged.scores[row] if judged and judged.scores is not None else None,
                    classes=judged.classes if judged else (),
                    factors=factors[row],
                    signals={name: self._number(_of(value, row, n)) for name, value in signals.items()},
                    context={name: self._text(_of(value, row, n)) for name, value in context.items()},
                    material_lots=lots,
                    progress=taken.progress if row == n - 1 else None,
                )
            )
        return frames

    def _layers(self, taken: Taken) -> dict[str, NDArray[np.float32]]:
        """(n, d) each."""
        found: dict[str, NDArray[np.float32]] = {}
        for name, held in self._named(taken.layers).items():
            try:
                with np.errstate(over="ignore"):
                    values = np.asarray(settle(held), np.float32)
            except Exception as error:  # noqa: BLE001 - the host's boundary: one layer's fault is not the frame's
                self.counts.left_out("embedding_unreadable", taken.n, error)
                continue
            values = values.reshape(1, -1) if taken.n == 1 else values
            if values.ndim == _ROWS and len(values) == taken.n:
                found[name] = values
            else:
                self.counts.left_out("embedding_rows", taken.n)
        return found

    def _judged(self, taken: Taken) -> Judged | None:
        if taken.output is None:
            return None
        try:
            judged = judge(settle(taken.output), self.model)
        except Exception as error:  # noqa: BLE001 - the host's boundary: an odd output is not the frame's fault
            self.counts.left_out("output_unreadable", taken.n, error)
            return None
        if len(judged.decision) != taken.n:
            self.counts.left_out("output_rows", taken.n)
            return None
        if len(judged.classes) > CLASSES_MAX:
            self.counts.left_out("too_many_classes", taken.n)
            return Judged(judged.decision, judged.confidence)
        return judged

    def _factors(self, taken: Taken) -> list[Mapping[str, float]]:
        if taken.small is None:
            return [{}] * taken.n
        try:
            with self.share.spending():
                return [image_factors(picture) for picture in pictures(settle(taken.small), self.model)]
        except Exception as error:  # noqa: BLE001 - the host's boundary: an odd image is not the frame's fault
            self.counts.left_out("image_unreadable", taken.n, error)
            return [{}] * taken.n

    def _named(self, given: Mapping[str, Value]) -> dict[str, Value]:
        good = {unicode(name): value for name, value in given.items() if _is_name(name)}
        self.counts.left_out("bad_name", len(given) - len(good))
        return good

    def _material_lots(self, given: Mapping[tuple[str, str], object]) -> dict[tuple[str, str], str]:
        found: dict[tuple[str, str], str] = {}
        for key, lot in given.items():
            if _is_material(key):
                material, supplier = key
                found[unicode(material), unicode(supplier)] = self._text(lot)
            else:
                self.counts.left_out("bad_material")
        return found

    def _text(self, value: object) -> str:
        """Its text; "" where there is none that the contract takes."""
        if value is None:
            return ""
        try:
            text = str(value)
        except Exception as error:  # noqa: BLE001 - the host's boundary: its objects may not know their text
            self.counts.left_out("text_unreadable", error=error)
            return ""
        if len(text) > TEXT_CHARS_MAX:
            self.counts.left_out("text_too_long")
            return ""
        clean = unicode(text)
        if clean != text:
            self.counts.left_out("text_not_unicode")
        return clean

    def _number(self, value: object) -> float:
        """NaN where there is none."""
        if value is None:
            return math.nan
        try:
            return float(value.item() if isinstance(value, np.ndarray) else cast("float", value))
        except Exception as error:  # noqa: BLE001 - the host's boundary: its objects may be no numbers
            self.counts.left_out("signal_unreadable", error=error)
            return math.nan


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= NAME_CHARS_MAX


def _is_material(key: object) -> bool:
    """Whether it is (material, supplier)."""
    if not (isinstance(key, tuple) and len(key) == 2):  # noqa: PLR2004 - a pair
        return False
    material, supplier = key
    return _is_name(material) and isinstance(supplier, str) and len(supplier) <= TEXT_CHARS_MAX


def _of(value: object, row: int, n: int) -> object:
    """The row's value where there is one a frame."""
    if n > 1 and isinstance(value, list | tuple | np.ndarray) and len(value) == n:
        return value[row]
    return value
