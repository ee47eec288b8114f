"""Frames become records: at most 32 of one view, at most 250 ms apart, cut wherever the sequence has a gap.

What the contract has no room for (too many columns, an infinite number) is left out and counted by reason, so that it
costs no other frame its place. A batch that can't be encoded is dropped and counted; the others go on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sincewhen_edge.counts import Counts
from sincewhen_edge.settings import Settings
from sincewhen_edge.spool import Progress
from sincewhen_schemas import limits
from sincewhen_schemas.encode import encode_frames
from sincewhen_schemas.frames import CONTEXT_FIELDS, Frames, Purpose, Strings

F = TypeVar("F", bound=np.floating)
K = TypeVar("K")
FRAMES_MAX = 32
WAIT_NS_MAX = 250_000_000


@dataclass(slots=True)
class Frame:
    """One frame on its way to the spool; names and texts are the contract's. Missing: NaN, "", or no entry."""

    seq: int
    captured_at_ns: int
    view: str
    purpose: Purpose
    layers: dict[str, NDArray[np.float32]] = field(default_factory=dict)  # (d,) each
    decision: str = ""
    confidence: float = float("nan")
    scores: NDArray[np.float64] | None = None  # (classes,)
    classes: tuple[str, ...] = ()
    factors: Mapping[str, float] = field(default_factory=dict)
    signals: Mapping[str, float] = field(default_factory=dict)
    context: Mapping[str, str] = field(default_factory=dict)  # CONTEXT_FIELDS, anything else is an attribute
    material_lots: Mapping[tuple[str, str], str] = field(default_factory=dict)
    evidence_key: str = ""
    progress: Progress | None = None  # of its source, with this frame


@dataclass(frozen=True, slots=True)
class Record:
    """An encoded StationRecord of `frames` frames."""

    value: bytes
    frames: int
    captured_at_ns: int  # of its first frame
    progress: Progress | None


@dataclass(slots=True)
class Batcher:
    """Not thread-safe: the worker's own."""

    settings: Settings
    boot_id: str
    counts: Counts
    _open: dict[str, list[Frame]] = field(default_factory=dict)
    _since_ns: dict[str, int] = field(default_factory=dict)

    def add(self, frame: Frame, now_ns: int) -> list[Record]:
        """Take a frame; returns the records that are complete by it. `now_ns` is a monotonic clock."""
        made: list[Record] = []
        waiting = self._open.get(frame.view, [])
        if waiting and not _joins(waiting, frame):
            made += self._close(frame.view)
        waiting = self._open.setdefault(frame.view, [])
        if not waiting:
            self._since_ns[frame.view] = now_ns
        waiting.append(frame)
        if len(waiting) == FRAMES_MAX:
            made += self._close(frame.view)
        return made

    def due(self, now_ns: int) -> list[Record]:
        """The records that have waited long enough."""
        late = [view for view, since_ns in self._since_ns.items() if now_ns - since_ns >= WAIT_NS_MAX]
        return [record for view in late for record in self._close(view)]

    def flush(self) -> list[Record]:
        return [record for view in list(self._open) for record in self._close(view)]

    def _close(self, view: str) -> list[Record]:
        frames = self._open.pop(view)
        del self._since_ns[view]
        try:
            return self._records(view, frames)
        except Exception as error:  # noqa: BLE001 - the host's boundary: one batch's fault is not the next one's
            self.counts.dropped("batch_not_encoded", len(frames), error)
            return []

    def _records(self, view: str, frames: list[Frame]) -> list[Record]:
        """One; more where the texts are so long that it would be larger than a record may be."""
        value = encode_frames(self._columns(view, frames))
        if len(value) <= limits.RECORD_BYTES_MAX or len(frames) == 1:  # the contract's limits keep one frame below it
            return [Record(value, len(frames), frames[0].captured_at_ns, frames[-1].progress)]
        half = len(frames) // 2
        return self._records(view, frames[:half]) + self._records(view, frames[half:])

    def _columns(self, view: str, frames: list[Frame]) -> Frames:
        layers, present = self._layers(frames)
        confidence = np.array([frame.confidence for frame in frames], np.float32)
        context = self._strings(frames, CONTEXT_FIELDS)
        if not self.settings.operator:
            context.pop("operator", None)
        named = dict.fromkeys(name for frame in frames for name in frame.context if name not in CONTEXT_FIELDS)
        scores = [frame.scores for frame in frames if frame.scores is not None]
        decision = _column([frame.decision for frame in frames])
        keys = _column([frame.evidence_key for frame in frames])
        return Frames(
            station_id=self.settings.station_id,
            view=view,
            agent_id=self.settings.agent_id,
            boot_id=self.boot_id,
            first_seq=frames[0].seq,
            captured_at_ns=np.array([frame.captured_at_ns for frame in frames], np.int64),
            purpose=frames[0].purpose,
            model_name=self.settings.model.name,
            model_version=self.settings.model.version,
            layers=layers,
            present=present,
            decision=decision if any(decision) else None,
            confidence=None if np.isnan(confidence).all() else confidence,
            classes=frames[0].classes if len(scores) == len(frames) else (),
            class_scores=self._finite(np.stack(scores), np.float16) if len(scores) == len(frames) else None,
            factors=self._floats([frame.factors for frame in frames], limits.FACTORS_MAX),
            signals=self._floats([frame.signals for frame in frames], limits.SIGNALS_MAX),
            context=context,
            attributes=self._strings(frames, self._first(named, limits.ATTRIBUTES_MAX)),
            material_lots=self._material_lots(frames),
            evidence_key=keys if any(keys) else None,
        )

    def _layers(self, frames: list[Frame]) -> tuple[dict[str, NDArray[np.float16]], dict[str, NDArray[np.bool_]]]:
        """Embeddings that float16 can't hold are marked missing."""
        layers: dict[str, NDArray[np.float16]] = {}
        present: dict[str, NDArray[np.bool_]] = {}
        dims = {name: len(values) for frame in frames for name, values in frame.layers.items()}
        for name in self._first(dims, limits.LAYERS_MAX):
            if not 1 <= dims[name] <= limits.LAYER_DIMS_MAX:
                self.counts.left_out("layer_dims", len(frames))
                continue
            blank = np.full(dims[name], np.nan)
            with np.errstate(over="ignore"):
                values = np.stack([frame.layers.get(name, blank) for frame in frames]).astype(np.float16)
            known: NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=1))
            given = sum(name in frame.layers for frame in frames)
            self.counts.left_out("embedding_not_finite", given - int(known.sum()))
            values[~known] = 0
            layers[name], present[name] = values, known
        return layers, present

    def _floats(self, rows: list[Mapping[str, float]], limit: int) -> dict[str, NDArray[np.float32]]:
        names = self._first(dict.fromkeys(name for row in rows for name in row), limit)
        columns = {name: np.array([row.get(name, np.nan) for row in rows], np.float64) for name in names}
        return {name: self._finite(values, np.float32) for name, values in columns.items()}

    def _finite(self, values: NDArray[np.float64], kind: type[F]) -> NDArray[F]:
        """Numbers that `kind` can't hold become NaN."""
        with np.errstate(over="ignore"):
            kept = values.astype(kind)
        self.counts.left_out("value_infinite", int(np.isinf(kept).sum()))
        kept[np.isinf(kept)] = np.nan
        return kept

    def _strings(self, frames: list[Frame], names: Iterable[str]) -> dict[str, Strings]:
        columns = {name: _column([frame.context.get(name, "") for frame in frames]) for name in names}
        return {name: values for name, values in columns.items() if any(values)}

    def _material_lots(self, frames: list[Frame]) -> dict[tuple[str, str], Strings]:
        keys = dict.fromkeys(key for frame in frames for key in frame.material_lots)
        kept = self._first(keys, limits.MATERIAL_LOTS_MAX)
        return {key: _column([frame.material_lots.get(key, "") for frame in frames]) for key in kept}

    def _first(self, names: Mapping[K, object], limit: int) -> list[K]:
        self.counts.left_out("too_many_columns", max(0, len(names) - limit))
        return list(names)[:limit]


def _column(texts: list[str]) -> Strings:
    return np.array(texts, dtype=object)


def _joins(waiting: list[Frame], frame: Frame) -> bool:
    """Whether a frame may stand in one batch with those before."""
    last = waiting[-1]
    return (
        frame.seq == last.seq + 1
        and frame.purpose == last.purpose
        and frame.classes == last.classes
        and all(
            len(values) == len(other.layers[name])
            for name, values in frame.layers.items()
            for other in waiting
            if name in other.layers
        )
    )
