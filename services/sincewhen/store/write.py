"""Outputs of the pipeline become rows. Written twice they are the same rows."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from sincewhen.processor.outputs import Outputs, ScoredBatch
from sincewhen.profiles.profile import Profile
from sincewhen.store.connect import Connection
from sincewhen_schemas.frames import CONTEXT_FIELDS
from sincewhen_schemas.messages import Activation, Detection, Incident

_TIME = pa.timestamp("ns", tz="UTC")
_FLOATS = pa.map_(pa.string(), pa.float32())
_TEXTS = pa.map_(pa.string(), pa.string())


def write_outputs(connection: Connection, outputs: Outputs) -> None:
    """Write all rows of `outputs`. Raises StoreUnavailable; writing the same again is safe."""
    if outputs.batches:
        connection.insert("frames", pa.concat_tables([_frames(batch) for batch in outputs.batches]))
        layers = [_layer(batch, *layer) for batch in outputs.batches for layer in enumerate(batch.frames.layers)]
        if any(table.num_rows for table in layers):
            connection.insert("embeddings", pa.concat_tables(layers))
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


def _frames(batch: ScoredBatch) -> pa.Table:
    frames, n = batch.frames, batch.frames.n
    unknown = [""] * n
    context = {name: list(frames.context.get(name, unknown)) for name in CONTEXT_FIELDS}
    materials = [f"{material}/{supplier}" for material, supplier in frames.material_lots]
    scores = [] if frames.class_scores is None else list(frames.class_scores.T)
    columns: dict[str, Any] = {
        **_identity(batch),
        "log_offset": pa.array(np.full(n, batch.offset), pa.uint64()),
        "purpose": [frames.purpose] * n,
        "model_name": [frames.model_name] * n,
        "model_version": [frames.model_version] * n,
        "state": [batch.state] * n,
        "shift": list(batch.shift),
        **context,
        "material_lots": _maps(materials, list(frames.material_lots.values()), n, _TEXTS),
        "attributes": _maps(list(frames.attributes), list(frames.attributes.values()), n, _TEXTS),
        "decision": unknown if frames.decision is None else list(frames.decision),
        "confidence": np.full(n, np.nan, np.float32) if frames.confidence is None else frames.confidence,
        "class_scores": _maps(list(frames.classes), scores, n, _FLOATS),
        "evidence_key": unknown if frames.evidence_key is None else list(frames.evidence_key),
        "factors": _maps(list(frames.factors), list(frames.factors.values()), n, _FLOATS),
        "signals": _maps(list(frames.signals), list(frames.signals.values()), n, _FLOATS),
        "ln_z": _maps(list(batch.ln_z), list(batch.ln_z.values()), n, _FLOATS),
    }
    return pa.table(columns)


def _layer(batch: ScoredBatch, place: int, layer: str) -> pa.Table:
    frames = batch.frames
    rows = np.flatnonzero(frames.present.get(layer, np.ones(frames.n, bool)) & (batch.embeddings != ""))
    values = np.ascontiguousarray(frames.layers[layer], "<f2")
    table = pa.table(_identity(batch)).take(pa.array(rows))
    table = table.append_column("layer", pa.array([layer] * len(rows)))
    table = table.append_column("place", pa.array([place] * len(rows), pa.uint8()))
    table = table.append_column("model_version", pa.array([frames.model_version] * len(rows)))
    table = table.append_column("sampled", pa.array((batch.embeddings[rows] == "sampled").astype(bool)))
    return table.append_column("values", pa.array([values[row].tobytes() for row in rows], pa.binary()))


def _identity(batch: ScoredBatch) -> dict[str, Any]:
    frames, n = batch.frames, batch.frames.n
    return {
        "station_id": [frames.station_id] * n,
        "view": [frames.view] * n,
        "captured_at": pa.array(frames.captured_at_ns, _TIME),
        "received_at": pa.array(np.full(n, batch.appended_at_ns), _TIME),
        "agent_id": [frames.agent_id] * n,
        "boot_id": [frames.boot_id] * n,
        "seq": pa.array(np.arange(frames.first_seq, frames.first_seq + n), pa.uint64()),
    }


def _maps(names: list[str], columns: list[Any], n: int, kind: pa.DataType) -> pa.Array:
    """N maps name → value, one a frame."""
    offsets = pa.array(np.arange(n + 1) * len(names), pa.int32())
    flat = np.stack(columns, axis=1).ravel().tolist() if columns else []
    return pa.MapArray.from_arrays(offsets, pa.array(names * n, pa.string()), pa.array(flat, kind.item_type))
