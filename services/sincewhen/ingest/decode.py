"""A record of the log becomes columns, or an InvalidFrame that says the rule, the value and the column."""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from sincewhen_schemas import limits
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.encode import SCHEMA_VERSION
from sincewhen_schemas.frames import CHANGE_KINDS, CONTEXT_FIELDS, PURPOSES, Frames, Strings
from sincewhen_schemas.invalid import InvalidFrame, InvalidReason

_NOT_FINITE = np.uint16(0x7C00)  # the exponent of infinities and NaN


@dataclass(frozen=True, slots=True)
class HeartbeatRecord:
    station_id: str
    heartbeat: pb.Heartbeat


@dataclass(frozen=True, slots=True)
class ControlRecord:
    station_id: str
    control: pb.Control


def decode(
    key: str, value: bytes, appended_at_ns: int, known_station: Callable[[str], bool]
) -> Frames | HeartbeatRecord | ControlRecord:
    """Decode and check one StationRecord. Raises InvalidFrame; nothing else, whatever the bytes."""
    _limit(len(value), limits.RECORD_BYTES_MAX, "bytes of the record")
    record = pb.StationRecord()
    try:
        record.ParseFromString(value)
    except DecodeError as error:
        raise InvalidFrame(InvalidReason.UNDECODABLE, f"not a StationRecord: {error}") from error
    if record.schema_version != SCHEMA_VERSION:
        detail = f"schema_version is {SCHEMA_VERSION}; got {record.schema_version}"
        raise InvalidFrame(InvalidReason.UNSUPPORTED_VERSION, detail)
    station_id = record.station_id
    if len(station_id) > limits.STATION_CHARS_MAX or not limits.STATION_ID.fullmatch(station_id):
        detail = f"station_id is site/area/line/station; got {station_id[:80]!r}"
        raise InvalidFrame(InvalidReason.BAD_STATION_ID, detail)
    if key != station_id:
        detail = f"the log's key is the station_id {station_id!r}; got key {key[:80]!r}"
        raise InvalidFrame(InvalidReason.BAD_STATION_ID, detail)
    if not known_station(station_id):
        detail = f"{station_id!r} is not in plant.toml: add it there, or correct the agent's station"
        raise InvalidFrame(InvalidReason.UNKNOWN_STATION, detail)
    body = record.WhichOneof("body")
    if body == "frames":
        return _frames(station_id, record.frames, appended_at_ns)
    if body == "heartbeat":
        _name(record.heartbeat.agent_id, "agent_id", limits.ID_CHARS_MAX)
        if record.heartbeat.view:
            _name(record.heartbeat.view, "view", limits.ID_CHARS_MAX)
        _at(record.heartbeat.sent_at_ns, "sent_at", appended_at_ns)
        _limit(len(record.heartbeat.dropped), limits.DROP_REASONS_MAX, "reasons of dropped frames")
        return HeartbeatRecord(station_id, record.heartbeat)
    if body == "control":
        _check_control(record.control, appended_at_ns)
        return ControlRecord(station_id, record.control)
    raise InvalidFrame(InvalidReason.UNDECODABLE, "a record holds frames, a heartbeat or a control; this holds none")


def _frames(station_id: str, batch: pb.FrameBatch, appended_at_ns: int) -> Frames:
    n = batch.n
    if n == 0:
        raise InvalidFrame(InvalidReason.EMPTY_BATCH, "a batch has at least one frame")
    _limit(n, limits.BATCH_FRAMES_MAX, "frames of the batch")
    for field in ("agent_id", "boot_id", "view"):
        _name(getattr(batch, field), field, limits.ID_CHARS_MAX)
    if not 1 <= batch.purpose <= len(PURPOSES):
        raise InvalidFrame(InvalidReason.MISSING_PURPOSE, f"purpose is one of {PURPOSES}; got {batch.purpose}")
    if batch.first_seq > limits.SEQ_MAX - n:
        detail = f"a sequence number is at most {limits.SEQ_MAX}; got first_seq {batch.first_seq}: number from 0"
        raise InvalidFrame(InvalidReason.OUT_OF_RANGE, detail)
    layers, present = _layers(batch, n)
    return Frames(
        station_id=station_id,
        view=batch.view,
        agent_id=batch.agent_id,
        boot_id=batch.boot_id,
        first_seq=batch.first_seq,
        captured_at_ns=_captured(batch.captured_at_ns, n, appended_at_ns),
        purpose=PURPOSES[batch.purpose - 1],
        model_name=_text(batch.model_name, "model_name"),
        model_version=_text(batch.model_version, "model_version"),
        layers=layers,
        present=present,
        decision=_strings(batch.decision, n, "decision") if batch.HasField("decision") else None,
        confidence=_confidence(batch.confidence, n),
        classes=_classes(batch),
        class_scores=_class_scores(batch, n),
        factors=_floats(batch.factors, n, "factors", limits.FACTORS_MAX),
        signals=_floats(batch.signals, n, "signals", limits.SIGNALS_MAX),
        context=_context(batch, n),
        attributes=_attributes(batch, n),
        material_lots=_material_lots(batch, n),
        evidence_key=_strings(batch.evidence_key, n, "evidence_key") if batch.HasField("evidence_key") else None,
    )


def _captured(raw: bytes, n: int, appended_at_ns: int) -> NDArray[np.int64]:
    captured = _column(raw, "<i8", n, "captured_at_ns").astype(np.int64)
    _at(int(captured.min()), "captured_at", appended_at_ns)
    _at(int(captured.max()), "captured_at", appended_at_ns)
    return captured


def _at(at_ns: int, what: str, appended_at_ns: int) -> None:
    if at_ns < limits.CAPTURED_AT_MIN_NS:
        detail = f"{what} is 2000-01-01 or later; got {at_ns} ns: set the line PC's clock"
        raise InvalidFrame(InvalidReason.CAPTURED_BEFORE_2000, detail)
    ahead = at_ns - appended_at_ns
    if ahead > limits.CAPTURED_AHEAD_MAX_NS:
        detail = f"{what} is at most 1 h ahead of the server; got {ahead / 1e9:.0f} s: set the line PC's clock"
        raise InvalidFrame(InvalidReason.CAPTURED_IN_FUTURE, detail)


def _layers(batch: pb.FrameBatch, n: int) -> tuple[dict[str, NDArray[np.float16]], dict[str, NDArray[np.bool_]]]:
    _limit(len(batch.layers), limits.LAYERS_MAX, "layers")
    layers: dict[str, NDArray[np.float16]] = {}
    present: dict[str, NDArray[np.bool_]] = {}
    for layer in batch.layers:
        name = _new_name(layer.name, layers, "layer")
        if not 1 <= layer.dims <= limits.LAYER_DIMS_MAX:
            detail = f"dims of layer {name!r} is 1..{limits.LAYER_DIMS_MAX}; got {layer.dims}"
            raise InvalidFrame(InvalidReason.BAD_DIMS, detail)
        values = _column(layer.values, "<f2", n * layer.dims, f"layer {name!r}").reshape(n, layer.dims)
        if (values.view("<u2") & _NOT_FINITE == _NOT_FINITE).any():
            detail = f"embeddings are finite; layer {name!r} is not (mark a missing row in `present`)"
            raise InvalidFrame(InvalidReason.NON_FINITE, detail)
        layers[name] = values
        if layer.present:
            present[name] = _column(layer.present, "u1", n, f"present of layer {name!r}") != 0
    return layers, present


def _confidence(raw: bytes, n: int) -> NDArray[np.float32] | None:
    if not raw:
        return None
    values = _column(raw, "<f4", n, "confidence")
    if np.isinf(values).any():
        raise InvalidFrame(InvalidReason.NON_FINITE, "confidence is 0..1 or NaN; got an infinite value")
    if (values < 0).any() or (values > 1).any():
        raise InvalidFrame(
            InvalidReason.OUT_OF_RANGE, f"confidence is 0..1; got {np.nanmin(values)}..{np.nanmax(values)}"
        )
    return values


def _classes(batch: pb.FrameBatch) -> tuple[str, ...]:
    _limit(len(batch.class_scores.classes), limits.CLASSES_MAX, "classes")
    return tuple(_text(name, "class") for name in batch.class_scores.classes)


def _class_scores(batch: pb.FrameBatch, n: int) -> NDArray[np.float16] | None:
    classes = len(batch.class_scores.classes)
    if not batch.HasField("class_scores"):
        return None
    scores = _column(batch.class_scores.values, "<f2", n * classes, "class_scores").reshape(n, classes)
    if np.isinf(scores).any():
        raise InvalidFrame(InvalidReason.NON_FINITE, "class scores are finite or NaN; got an infinite value")
    return scores


def _context(batch: pb.FrameBatch, n: int) -> dict[str, Strings]:
    columns: dict[str, Strings] = {}
    for column in batch.context:
        if not 1 <= column.field <= len(CONTEXT_FIELDS):
            raise InvalidFrame(InvalidReason.BAD_NAME, f"context is one of {CONTEXT_FIELDS}; got {column.field}")
        name = _new_name(CONTEXT_FIELDS[column.field - 1], columns, "context")
        columns[name] = _strings(column.column, n, name)
    return columns


def _attributes(batch: pb.FrameBatch, n: int) -> dict[str, Strings]:
    _limit(len(batch.attributes), limits.ATTRIBUTES_MAX, "attributes")
    columns: dict[str, Strings] = {}
    for column in batch.attributes:
        name = _new_name(column.name, columns, "attribute")
        columns[name] = _strings(column.column, n, name)
    return columns


def _material_lots(batch: pb.FrameBatch, n: int) -> dict[tuple[str, str], Strings]:
    _limit(len(batch.material_lots), limits.MATERIAL_LOTS_MAX, "material lots")
    columns: dict[tuple[str, str], Strings] = {}
    for column in batch.material_lots:
        material = _name(column.material, "material", limits.NAME_CHARS_MAX)
        columns[material, _text(column.supplier, "supplier")] = _strings(column.lot, n, f"lot of {material!r}")
    return columns


def _floats(columns: Iterable[pb.FloatColumn], n: int, what: str, limit: int) -> dict[str, NDArray[np.float32]]:
    listed = list(columns)
    _limit(len(listed), limit, what)
    values: dict[str, NDArray[np.float32]] = {}
    for column in listed:
        name = _new_name(column.name, values, what)
        values[name] = _column(column.values, "<f4", n, name)
        if np.isinf(values[name]).any():
            raise InvalidFrame(InvalidReason.NON_FINITE, f"{name!r} is finite or NaN; got an infinite value")
    return values


def _strings(column: pb.StringColumn, n: int, what: str) -> Strings:
    dictionary = np.array([_text(word, what) for word in column.dictionary], dtype=object)
    if not len(dictionary) or dictionary[0] != "":
        raise InvalidFrame(InvalidReason.BAD_INDEX, f'dictionary[0] of {what!r} is "" (unknown)')
    indices = _column(column.indices, "<u2", n, what)
    if int(indices.max()) >= len(dictionary):
        detail = f"an index of {what!r} is below {len(dictionary)}, its dictionary's size; got {int(indices.max())}"
        raise InvalidFrame(InvalidReason.BAD_INDEX, detail)
    strings: Strings = dictionary[indices]
    return strings


def _check_control(control: pb.Control, appended_at_ns: int) -> None:
    if control.WhichOneof("event") is None:
        raise InvalidFrame(InvalidReason.BAD_CONTROL, "a control holds one event; this holds none")
    _name(control.control_id, "control_id", limits.ID_CHARS_MAX)
    _at(control.at_ns, "at", appended_at_ns)
    for field in ("actor", "reason"):
        _text(getattr(control, field), field)
    if control.HasField("recorded_change") and control.recorded_change.kind not in CHANGE_KINDS:
        detail = f"a recorded change is one of {', '.join(CHANGE_KINDS)}; got {control.recorded_change.kind[:80]!r}"
        raise InvalidFrame(InvalidReason.BAD_CONTROL, detail)
    if control.HasField("not_drift") and control.not_drift.until_ns <= control.at_ns:
        detail = f"not_drift ends after it was said, at {control.at_ns} ns; got {control.not_drift.until_ns} ns"
        raise InvalidFrame(InvalidReason.BAD_CONTROL, detail)


def _column(raw: bytes, dtype: str, count: int, what: str) -> NDArray[Any]:
    size = np.dtype(dtype).itemsize * count
    if len(raw) != size:
        raise InvalidFrame(InvalidReason.LENGTH_MISMATCH, f"{what} has {size} bytes; got {len(raw)}")
    return np.frombuffer(raw, dtype)


def _limit(value: int, limit: int, what: str) -> None:
    if value > limit:
        raise InvalidFrame(InvalidReason.TOO_LARGE, f"{what}: at most {limit}; got {value}")


def _text(value: str, what: str) -> str:
    _limit(len(value), limits.TEXT_CHARS_MAX, f"characters of {what}")
    return value


def _name(value: str, what: str, limit: int) -> str:
    if not 1 <= len(value) <= limit:
        raise InvalidFrame(InvalidReason.BAD_NAME, f"{what} has 1..{limit} characters; got {value[:80]!r}")
    if limits.CONTROL_CHARACTERS.search(value):
        raise InvalidFrame(InvalidReason.BAD_NAME, f"{what} has no control characters; got {value[:80]!r}")
    return value


def _new_name(value: str, taken: Container[str], what: str) -> str:
    name = _name(value, f"name of {what}", limits.NAME_CHARS_MAX)
    if name in taken:
        raise InvalidFrame(InvalidReason.BAD_NAME, f"a name stands once in a batch; {what} {name!r} stands twice")
    return name
