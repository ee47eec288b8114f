"""Outputs of the pipeline become rows. Written twice they are the same rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sincewhen.processor.outputs import Outputs, ScoredBatch
from sincewhen.profiles.profile import Profile
from sincewhen.store.connect import Connection
from sincewhen_schemas.frames import CONTEXT_FIELDS, Frames
from sincewhen_schemas.messages import Activation, Detection, Incident

T = TypeVar("T")
_TIME = pa.timestamp("ns", tz="UTC")
_FLOATS = pa.map_(pa.string(), pa.float32())
_TEXTS = pa.map_(pa.string(), pa.string())


def write_outputs(connection: Connection, outputs: Outputs) -> None:
    """Write all rows of `outputs`. Raises StoreUnavailable; writing the same again is safe."""
    if outputs.batches:
        connection.insert("frames", _frames(outputs.batches))
        embeddings = [table for table in _embeddings(outputs.batches) if table.num_rows]
        if embeddings:
            connection.insert("embeddings", pa.concat_tables(embeddings))
    if outputs.detections:
        connection.insert("detections", _detections(outputs.detections))
    _write_charts(connection, outputs)
    if outputs.activations:
        connection.insert("activations", _activations(outputs.activations))
    if outputs.dead_letters:
        letters = outputs.dead_letters
        columns: dict[str, Any] = {
            "log_offset": pa.array([x.offset for x in letters], pa.uint64()),
            "received_at": pa.array([x.appended_at_ns for x in letters], _TIME),
            "station_id": [x.station_id for x in letters],
            "reason": [str(x.reason) for x in letters],
            "detail": [x.detail for x in letters],
            "payload": pa.array([x.payload for x in letters], pa.binary()),
        }
        connection.insert("dead_letters", pa.table(columns))
    if outputs.blind_times:
        blind = outputs.blind_times
        columns = {
            "station_id": [x.station_id for x in blind],
            "view": [x.view for x in blind],
            "since": pa.array([x.since_ns for x in blind], _TIME),
            "until": pa.array([x.until_ns for x in blind], _TIME),
            "reason": [x.reason for x in blind],
            "frames_missed": pa.array([x.frames_missed for x in blind], pa.uint64()),
        }
        connection.insert("blind_time", pa.table(columns))


def _write_charts(connection: Connection, outputs: Outputs) -> None:
    if outputs.subgroups:
        groups = outputs.subgroups
        columns: dict[str, Any] = {
            "station_id": [x.station_id for x in groups],
            "view": [x.view for x in groups],
            "stream": [x.stream for x in groups],
            "first_at": pa.array([x.first_at_ns for x in groups], _TIME),
            "last_at": pa.array([x.last_at_ns for x in groups], _TIME),
            "frames": pa.array([x.frames for x in groups], pa.uint32()),
            "mean": [x.mean for x in groups],
            "sigma": [x.sigma for x in groups],
        }
        connection.insert("subgroups", pa.table(columns))
    if outputs.second_opinions:
        said = outputs.second_opinions
        columns = {
            "station_id": [x.station_id for x in said],
            "view": [x.view for x in said],
            "stream": [x.stream for x in said],
            "method": [x.method for x in said],
            "at": pa.array([x.at_ns for x in said], _TIME),
        }
        connection.insert("second_opinions", pa.table(columns))


def _activations(activations: Sequence[Activation]) -> pa.Table:
    columns: dict[str, Any] = {
        "station_id": [x.station_id for x in activations],
        "view": [x.view for x in activations],
        "sha": [x.profile_sha for x in activations],
        "at": pa.array([x.at_ns for x in activations], _TIME),
        "by": [x.by for x in activations],
        "why": [x.why for x in activations],
    }
    return pa.table(columns)


def write_profile(connection: Connection, sha: str, profile: Profile, built_at_ns: int, summary: str) -> None:
    """What a profile was built from, for the screens; its body is in the log."""
    columns: dict[str, Any] = {
        "sha": [sha],
        "station_id": [profile.station_id],
        "view": [profile.view],
        "model_version": [profile.model_version],
        "built_at": pa.array([built_at_ns], _TIME),
        "golden_from": pa.array([profile.golden_from_ns], _TIME),
        "golden_until": pa.array([profile.golden_until_ns], _TIME),
        "frames": pa.array([profile.frames], pa.uint64()),
        "lots": pa.array([profile.lots], pa.uint64()),
        "summary": [summary],
    }
    connection.insert("profiles", pa.table(columns))


def write_incidents(connection: Connection, incidents: Sequence[Incident]) -> None:
    if not incidents:
        return
    columns: dict[str, Any] = {
        "incident_id": [x.incident_id for x in incidents],
        "version": pa.array([x.version for x in incidents], pa.uint32()),
        "station_id": [x.station_id for x in incidents],
        "status": [x.status for x in incidents],
        "severity": [x.severity for x in incidents],
        **_window(incidents),
        "body": [msgspec.json.encode(x).decode() for x in incidents],
    }
    connection.insert("incidents", pa.table(columns))


def _detections(detections: Sequence[Detection]) -> pa.Table:
    columns: dict[str, Any] = {
        "detection_id": [x.detection_id for x in detections],
        "version": pa.array([x.version for x in detections], pa.uint32()),
        "station_id": [x.station_id for x in detections],
        "view": [x.view for x in detections],
        "stream": [x.stream for x in detections],
        "status": [x.status for x in detections],
        "verdict": [x.verdict for x in detections],
        "alarm_at": pa.array([x.alarm_at_ns for x in detections], _TIME),
        **_window(detections),
        "body": [msgspec.json.encode(x).decode() for x in detections],
    }
    return pa.table(columns)


def _window(items: Sequence[Detection] | Sequence[Incident]) -> dict[str, Any]:
    return {
        "since": pa.array([x.since_ns for x in items], _TIME),
        "since_low": pa.array([x.since_low_ns for x in items], _TIME),
        "since_high": pa.array([x.since_high_ns for x in items], _TIME),
        "until": pa.array([x.until_ns for x in items], _TIME),
    }


def _frames(batches: Sequence[ScoredBatch]) -> pa.Table:
    """One row a frame. All batches become one table: it costs what a table costs, not what its rows do."""
    frames = [batch.frames for batch in batches]
    unknown = [[""] * item.n for item in frames]
    no_confidence = [np.full(item.n, np.nan, np.float32) for item in frames]
    columns: dict[str, Any] = {
        **_identity(batches),
        "log_offset": pa.array(_each(batches, [batch.offset for batch in batches]), pa.uint64()),
        "purpose": _each(batches, [item.purpose for item in frames]),
        "model_name": _each(batches, [item.model_name for item in frames]),
        "model_version": _each(batches, [item.model_version for item in frames]),
        "state": _each(batches, [batch.state for batch in batches]),
        "shift": _rows([batch.shift for batch in batches]),
        **{name: _rows(_known([item.context.get(name) for item in frames], unknown)) for name in CONTEXT_FIELDS},
        "material_lots": _maps([_materials(item) for item in frames], _TEXTS),
        "attributes": _maps([(item.n, item.attributes) for item in frames], _TEXTS),
        "decision": _rows(_known([item.decision for item in frames], unknown)),
        "confidence": np.concatenate(_known([item.confidence for item in frames], no_confidence)),
        "class_scores": _maps([_class_scores(item) for item in frames], _FLOATS),
        "evidence_key": _rows(_known([item.evidence_key for item in frames], unknown)),
        "factors": _maps([(item.n, item.factors) for item in frames], _FLOATS),
        "signals": _maps([(item.n, item.signals) for item in frames], _FLOATS),
        "ln_z": _maps([(batch.frames.n, batch.ln_z) for batch in batches], _FLOATS),
    }
    return pa.table(columns)


def _embeddings(batches: Sequence[ScoredBatch]) -> Iterator[pa.Table]:
    """One row a frame and layer that it has, of the frames whose embeddings are kept."""
    for place in range(max(len(batch.frames.layers) for batch in batches)):
        some = [batch for batch in batches if len(batch.frames.layers) > place]
        names = [[*batch.frames.layers][place] for batch in some]
        kept = [_kept(batch, name) for batch, name in zip(some, names, strict=True)]
        layers = [batch.frames.layers[name][rows] for batch, name, rows in zip(some, names, kept, strict=True)]
        columns: dict[str, Any] = {
            **_identity(some),
            "layer": _each(some, names),
            "place": pa.array(_each(some, [place] * len(some)), pa.uint8()),
            "model_version": _each(some, [batch.frames.model_version for batch in some]),
            "sampled": [value == "sampled" for value in _rows([batch.embeddings for batch in some])],
        }
        table = pa.table(columns).filter(pa.array(np.concatenate(kept)))
        values = pa.array([row.tobytes() for layer in layers for row in layer.astype("<f2")], pa.binary())
        yield table.append_column("values", values)


def _kept(batch: ScoredBatch, layer: str) -> NDArray[np.bool_]:
    return np.asarray(batch.frames.present.get(layer, True) & (batch.embeddings != ""), bool)


def _identity(batches: Sequence[ScoredBatch]) -> dict[str, Any]:
    frames = [batch.frames for batch in batches]
    return {
        "station_id": _each(batches, [item.station_id for item in frames]),
        "view": _each(batches, [item.view for item in frames]),
        "captured_at": pa.array(np.concatenate([item.captured_at_ns for item in frames]), _TIME),
        "received_at": pa.array(_each(batches, [batch.appended_at_ns for batch in batches]), _TIME),
        "agent_id": _each(batches, [item.agent_id for item in frames]),
        "boot_id": _each(batches, [item.boot_id for item in frames]),
        "seq": pa.array(np.concatenate([item.first_seq + np.arange(item.n) for item in frames]), pa.uint64()),
    }


def _each(batches: Sequence[ScoredBatch], values: Sequence[T]) -> list[T]:
    """A batch's value for each of its frames."""
    return [value for batch, value in zip(batches, values, strict=True) for _ in range(batch.frames.n)]


def _rows(columns: Iterable[Iterable[Any]]) -> list[Any]:
    return [value for column in columns for value in column]


def _known(columns: Sequence[T | None], else_: Sequence[T]) -> list[T]:
    return [other if column is None else column for column, other in zip(columns, else_, strict=True)]


def _materials(frames: Frames) -> tuple[int, dict[str, Any]]:
    return frames.n, {f"{name}/{supplier}": lots for (name, supplier), lots in frames.material_lots.items()}


def _class_scores(frames: Frames) -> tuple[int, dict[str, Any]]:
    scores = () if frames.class_scores is None else frames.class_scores.T
    return frames.n, dict(zip(frames.classes, scores, strict=False))


def _maps(batches: Sequence[tuple[int, Mapping[str, Any]]], kind: pa.DataType) -> pa.Array:
    """A map name → value for each frame of batches: n frames, and columns (n,) by name."""
    sizes = np.concatenate([np.full(n, len(columns)) for n, columns in batches])
    keys = [name for n, columns in batches for name in [*columns] * n]
    values = [np.stack([*columns.values()], axis=1).ravel().tolist() for _, columns in batches if columns]
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
    return pa.MapArray.from_arrays(offsets, pa.array(keys, pa.string()), pa.array(_rows(values), kind.item_type))
