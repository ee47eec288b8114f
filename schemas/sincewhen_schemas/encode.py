"""Python columns to the bytes of `station_record.proto`. The opposite way, with all checks, is the server's ingest."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.frames import CONTEXT_FIELDS, PURPOSES, Frames, Strings

SCHEMA_VERSION = 1


def encode_frames(frames: Frames) -> bytes:
    """One StationRecord with a FrameBatch. Raises ValueError where a column does not have n rows."""
    batch = pb.FrameBatch(
        agent_id=frames.agent_id,
        boot_id=frames.boot_id,
        view=frames.view,
        first_seq=frames.first_seq,
        n=frames.n,
        captured_at_ns=_packed(frames.captured_at_ns, "<i8", frames.n),
        purpose=cast("pb.Purpose.ValueType", PURPOSES.index(frames.purpose) + 1),
        model_name=frames.model_name,
        model_version=frames.model_version,
    )
    for name, values in frames.layers.items():
        mask = frames.present.get(name)
        batch.layers.append(
            pb.Layer(
                name=name,
                dims=values.shape[1],
                values=_packed(values, "<f2", frames.n),
                present=b"" if mask is None or bool(mask.all()) else _packed(mask, "u1", frames.n),
            )
        )
    if frames.confidence is not None:
        batch.confidence = _packed(frames.confidence, "<f4", frames.n)
    if frames.class_scores is not None:
        scores = _packed(frames.class_scores, "<f2", frames.n)
        batch.class_scores.CopyFrom(pb.ClassScores(classes=frames.classes, values=scores))
    for target, columns in ((batch.factors, frames.factors), (batch.signals, frames.signals)):
        for name, column in columns.items():
            target.append(pb.FloatColumn(name=name, values=_packed(column, "<f4", frames.n)))
    _add_strings(batch, frames)
    return _record(frames.station_id, frames=batch)


def encode_heartbeat(station_id: str, heartbeat: pb.Heartbeat) -> bytes:
    return _record(station_id, heartbeat=heartbeat)


def encode_control(station_id: str, control: pb.Control) -> bytes:
    return _record(station_id, control=control)


def encode_upload(records: Sequence[bytes]) -> bytes:
    return pb.RecordUpload(records=records).SerializeToString()


def string_column(values: Strings) -> pb.StringColumn:
    """Dictionary-encode n strings; "" (unknown) is always index 0."""
    dictionary = {"": 0}
    indices = np.fromiter((dictionary.setdefault(str(v), len(dictionary)) for v in values), "<u2", len(values))
    return pb.StringColumn(dictionary=list(dictionary), indices=indices.tobytes())


def _record(
    station_id: str,
    frames: pb.FrameBatch | None = None,
    heartbeat: pb.Heartbeat | None = None,
    control: pb.Control | None = None,
) -> bytes:
    return pb.StationRecord(
        schema_version=SCHEMA_VERSION, station_id=station_id, frames=frames, heartbeat=heartbeat, control=control
    ).SerializeToString()


def _add_strings(batch: pb.FrameBatch, frames: Frames) -> None:
    if frames.decision is not None:
        batch.decision.CopyFrom(string_column(_counted(frames.decision, frames.n)))
    for name, column in frames.context.items():
        number = cast("pb.ContextField.ValueType", CONTEXT_FIELDS.index(name) + 1)
        batch.context.append(pb.ContextColumn(field=number, column=string_column(_counted(column, frames.n))))
    for name, column in frames.attributes.items():
        batch.attributes.append(pb.AttributeColumn(name=name, column=string_column(_counted(column, frames.n))))
    for (material, supplier), column in frames.material_lots.items():
        lots = string_column(_counted(column, frames.n))
        batch.material_lots.append(pb.MaterialLotColumn(material=material, supplier=supplier, lot=lots))
    if frames.evidence_key is not None:
        batch.evidence_key.CopyFrom(string_column(_counted(frames.evidence_key, frames.n)))


def _counted(column: Strings, n: int) -> Strings:
    if len(column) != n:
        msg = f"every column of a batch has n = {n} rows; this one has {len(column)}"
        raise ValueError(msg)
    return column


def _packed(values: NDArray[np.generic], dtype: str, n: int) -> bytes:
    if len(values) != n:
        msg = f"every column of a batch has n = {n} rows; this one has {len(values)}"
        raise ValueError(msg)
    return np.ascontiguousarray(values, dtype=dtype).tobytes()
