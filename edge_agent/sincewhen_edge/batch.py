"""Frames become records: at most 32 of one view, at most 250 ms apart, cut wherever the sequence has a gap.

A value that the contract has no room for (a name or text too long, too many columns, an infinite number) is left out
and counted by reason, so that it costs no other frame its place.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sincewhen_edge.settings import Settings
from sincewhen_schemas import limits
from sincewhen_schemas.encode import encode_frames
from sincewhen_schemas.frames import CONTEXT_FIELDS, Frames, Purpose, Strings

FRAMES_MAX = 32
WAIT_NS_MAX = 250_000_000


@dataclass(slots=True)
class Frame:
    """One frame on its way to the spool. Missing: NaN, "", or no entry."""

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
    context: Mapping[str, object] = field(default_factory=dict)  # CONTEXT_FIELDS, anything else is an attribute
    material_lots: Mapping[tuple[str, str], str] = field(default_factory=dict)
    evidence_key: str = ""
    progress: tuple[str, int] | None = None  # source and rows done with this frame


@dataclass(frozen=True, slots=True)
class Record:
    """An encoded StationRecord of `frames` frames."""

    value: bytes
    frames: int
    captured_at_ns: int  # of its first frame
    progress: tuple[str, int] | None


@dataclass(slots=True)
class Batcher:
    """Not thread-safe: the worker's own. `left_out` counts values without a place, by reason."""

    settings: Settings
    boot_id: str
    left_out: Counter[str] = field(default_factory=Counter)
    _open: dict[str, list[Frame]] = field(default_factory=dict)
    _since_ns: dict[str, int] = field(default_factory=dict)

    def add(self, frame: Frame, now_ns: int) -> list[Record]:
        """Take a frame; returns the records that are complete by it. `now_ns` is a monotonic clock."""
        made: list[Record] = []
        waiting = self._open.get(frame.view, [])
        if waiting and not _joins(waiting[-1], frame):
            made.append(self._close(frame.view))
        waiting = self._open.setdefault(frame.view, [])
        if not waiting:
            self._since_ns[frame.view] = now_ns
        waiting.append(frame)
        if len(waiting) == FRAMES_MAX:
            made.append(self._close(frame.view))
        return made

    def due(self, now_ns: int) -> list[Record]:
        """The records that have waited long enough."""
        return [self._close(view) for view in list(self._open) if now_ns - self._since_ns[view] >= WAIT_NS_MAX]

    def flush(self) -> list[Record]:
        return [self._close(view) for view in list(self._open)]

    def _close(self, view: str) -> Record:
        frames = self._open.pop(view)
        value = encode_frames(self._columns(view, frames))
        return Record(value, len(frames), frames[0].captured_at_ns, frames[-1].progress)

    def _columns(self, view: str, frames: list[Frame]) -> Frames:
        layers, present = self._layers(frames)
        confidence = np.array([frame.confidence for frame in frames], np.float32)
        context = self._strings(frames, CONTEXT_FIELDS)
        if not self.settings.operator:
            context.pop("operator", None)
        named = dict.fromkeys(name for frame in frames for name in frame.context if name not in CONTEXT_FIELDS)
        scores = [frame.scores for frame in frames if frame.scores is not None]
        decision = self._column([frame.decision for frame in frames])
        keys = self._column([frame.evidence_key for frame in frames])
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
            class_scores=np.stack(scores).astype(np.float16) if len(scores) == len(frames) else None,
            factors=self._floats([frame.factors for frame in frames], limits.FACTORS_MAX),
            signals=self._floats([frame.signals for frame in frames], limits.SIGNALS_MAX),
            context=context,
            attributes=self._strings(frames, self._names(named, limits.ATTRIBUTES_MAX)),
            material_lots=self._material_lots(frames),
            evidence_key=keys if any(keys) else None,
        )

    def _layers(self, frames: list[Frame]) -> tuple[dict[str, NDArray[np.float16]], dict[str, NDArray[np.bool_]]]:
        """Embeddings that float16 can't hold are marked missing."""
        layers: dict[str, NDArray[np.float16]] = {}
        present: dict[str, NDArray[np.bool_]] = {}
        dims = {name: len(values) for frame in frames for name, values in frame.layers.items()}
        for name in self._names(dims, limits.LAYERS_MAX):
            if not 1 <= dims[name] <= limits.LAYER_DIMS_MAX:
                self.left_out["layer_dims"] += len(frames)
                continue
            blank = np.full(dims[name], np.nan)
            with np.errstate(over="ignore"):
                values = np.stack([frame.layers.get(name, blank) for frame in frames]).astype(np.float16)
            known: NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=1))
            given = sum(name in frame.layers for frame in frames)
            self.left_out["embedding_not_finite"] += given - int(known.sum())
            values[~known] = 0
            layers[name], present[name] = values, known
        return layers, present

    def _floats(self, rows: list[Mapping[str, float]], limit: int) -> dict[str, NDArray[np.float32]]:
        columns: dict[str, NDArray[np.float32]] = {}
        for name in self._names(dict.fromkeys(name for row in rows for name in row), limit):
            with np.errstate(over="ignore"):
                values = np.array([row.get(name, np.nan) for row in rows], np.float64).astype(np.float32)
            self.left_out["value_infinite"] += int(np.isinf(values).sum())
            columns[name] = np.where(np.isinf(values), np.float32(np.nan), values)
        return columns

    def _strings(self, frames: list[Frame], names: tuple[str, ...]) -> dict[str, Strings]:
        columns = {name: self._column([frame.context.get(name) for frame in frames]) for name in names}
        return {name: values for name, values in columns.items() if any(values)}

    def _material_lots(self, frames: list[Frame]) -> dict[tuple[str, str], Strings]:
        keys = dict.fromkeys(key for frame in frames for key in frame.material_lots)
        kept = list(keys)[: limits.MATERIAL_LOTS_MAX]
        self.left_out["too_many_columns"] += len(keys) - len(kept)
        return {key: self._column([frame.material_lots.get(key) for frame in frames]) for key in kept}

    def _column(self, values: list[object]) -> Strings:
        """Text of each value, (n,); None and what is too long becomes "" (unknown)."""
        texts = ["" if value is None else str(value) for value in values]
        long = [len(text) > limits.TEXT_CHARS_MAX for text in texts]
        self.left_out["text_too_long"] += sum(long)
        return np.array(["" if cut else text for text, cut in zip(texts, long, strict=True)], dtype=object)

    def _names(self, names: Mapping[str, object], limit: int) -> tuple[str, ...]:
        good = [name for name in names if 1 <= len(name) <= limits.NAME_CHARS_MAX]
        self.left_out["bad_name"] += len(names) - len(good)
        self.left_out["too_many_columns"] += max(0, len(good) - limit)
        return tuple(good[:limit])


def _joins(last: Frame, frame: Frame) -> bool:
    """Whether a frame may stand in one batch with the one before."""
    return (
        frame.seq == last.seq + 1
        and frame.purpose == last.purpose
        and frame.classes == last.classes
        and all(len(frame.layers[name]) == len(values) for name, values in last.layers.items() if name in frame.layers)
    )
