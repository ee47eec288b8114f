"""A record is decoded to the columns it was made of, or refused with its reason; nothing else can happen."""

import contextlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sincewhen.ingest.decode import ControlRecord, HeartbeatRecord, decode
from sincewhen_schemas import limits
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.encode import encode_control, encode_frames, encode_heartbeat
from sincewhen_schemas.frames import Frames
from sincewhen_schemas.invalid import InvalidFrame, InvalidReason

STATION = "plant/paint/line1/cam1"
NOW_NS = 1_760_000_000_000_000_000


def frames(n: int = 3) -> Frames:
    return Frames(
        station_id=STATION,
        view="top",
        agent_id="pc7",
        boot_id="b1",
        first_seq=5,
        captured_at_ns=NOW_NS + np.arange(n) * 10**9,
        purpose="production",
        model_name="net",
        model_version="1",
        layers={"head": np.arange(n * 4, dtype=np.float16).reshape(n, 4)},
        present={"head": np.array([True, False] + [True] * (n - 2))},
        decision=np.array(["ok"] * n, object),
        confidence=np.linspace(0.5, 1, n, dtype=np.float32),
        classes=("ok", "bad"),
        class_scores=np.ones((n, 2), np.float16),
        factors={"brightness": np.full(n, 0.5, np.float32)},
        signals={"cycle_time": np.array([1.0] * (n - 1) + [np.nan], np.float32)},
        context={"lot": np.array(["L1"] * n, object), "unit_id": np.array([f"u{i}" for i in range(n)], object)},
        attributes={"tool": np.array(["t1"] * n, object)},
        material_lots={("resin", "acme"): np.array(["R9"] * n, object)},
        evidence_key=np.array([f"k{i}" for i in range(n)], object),
    )


def read(value: bytes, key: str = STATION) -> object:
    return decode(key, value, NOW_NS, lambda _station: True)


def test_frames_come_back_as_they_were_sent() -> None:
    sent, got = frames(), read(encode_frames(frames()))
    assert isinstance(got, Frames)
    for field in ("station_id", "view", "agent_id", "boot_id", "first_seq", "purpose", "model_version", "classes"):
        assert getattr(got, field) == getattr(sent, field)
    np.testing.assert_array_equal(got.captured_at_ns, sent.captured_at_ns)
    np.testing.assert_array_equal(got.layers["head"], sent.layers["head"])
    np.testing.assert_array_equal(got.present["head"], sent.present["head"])
    np.testing.assert_array_equal(got.signals["cycle_time"], sent.signals["cycle_time"])
    for column in ("context", "attributes", "material_lots", "factors"):
        for name, values in getattr(sent, column).items():
            np.testing.assert_array_equal(getattr(got, column)[name], values)
    assert got.decision is not None
    assert got.evidence_key is not None
    assert got.evidence_key.tolist() == ["k0", "k1", "k2"]


def test_heartbeats_and_controls_are_told_apart() -> None:
    assert isinstance(read(encode_heartbeat(STATION, pb.Heartbeat(agent_id="pc7", sent_at_ns=NOW_NS))), HeartbeatRecord)
    control = pb.Control(control_id="c1", at_ns=NOW_NS, challenge=pb.Challenge(passed=True))
    assert isinstance(read(encode_control(STATION, control)), ControlRecord)


def damaged(change: Callable[[pb.StationRecord], None]) -> bytes:
    record = pb.StationRecord()
    record.ParseFromString(encode_frames(frames()))
    change(record)
    return record.SerializeToString()


def _nan(record: pb.StationRecord) -> None:
    record.frames.layers[0].values = np.full((3, 4), np.nan, np.float16).tobytes()


def _sure(record: pb.StationRecord) -> None:
    record.frames.confidence = np.full(3, 1.5, np.float32).tobytes()


def _old(record: pb.StationRecord) -> None:
    record.frames.captured_at_ns = np.full(3, limits.CAPTURED_AT_MIN_NS - 1).tobytes()


def _ahead(record: pb.StationRecord) -> None:
    record.frames.captured_at_ns = np.full(3, NOW_NS + limits.CAPTURED_AHEAD_MAX_NS + 1).tobytes()


def _infinite(record: pb.StationRecord) -> None:
    record.frames.factors[0].values = np.full(3, np.inf, np.float32).tobytes()


def _index(record: pb.StationRecord) -> None:
    record.frames.decision.indices = np.full(3, 9, np.uint16).tobytes()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_nan, InvalidReason.NON_FINITE),
        (_infinite, InvalidReason.NON_FINITE),
        (_sure, InvalidReason.OUT_OF_RANGE),
        (_old, InvalidReason.CAPTURED_BEFORE_2000),
        (_ahead, InvalidReason.CAPTURED_IN_FUTURE),
        (_index, InvalidReason.BAD_INDEX),
        (lambda r: setattr(r.frames, "n", 0), InvalidReason.EMPTY_BATCH),
        (lambda r: setattr(r.frames, "n", 4), InvalidReason.LENGTH_MISMATCH),
        (lambda r: setattr(r.frames, "n", limits.BATCH_FRAMES_MAX + 1), InvalidReason.TOO_LARGE),
        (lambda r: setattr(r.frames.layers[0], "dims", 0), InvalidReason.BAD_DIMS),
        (lambda r: setattr(r.frames.layers[0], "dims", 5), InvalidReason.LENGTH_MISMATCH),
        (lambda r: setattr(r.frames, "view", ""), InvalidReason.BAD_NAME),
        (lambda r: setattr(r.frames, "purpose", 0), InvalidReason.MISSING_PURPOSE),
        (lambda r: setattr(r, "schema_version", 2), InvalidReason.UNSUPPORTED_VERSION),
        (lambda r: setattr(r, "station_id", "cam1"), InvalidReason.BAD_STATION_ID),
        (lambda r: r.ClearField("frames"), InvalidReason.UNDECODABLE),
    ],
)
def test_a_record_that_breaks_a_rule_is_refused_with_its_reason(
    change: Callable[[pb.StationRecord], None], reason: InvalidReason
) -> None:
    with pytest.raises(InvalidFrame) as refusal:
        read(damaged(change))
    assert refusal.value.reason == reason
    assert len(refusal.value.detail) > 10


def test_a_truncated_record_and_a_wrong_key_and_an_unlisted_station_are_refused() -> None:
    whole = encode_frames(frames())
    with pytest.raises(InvalidFrame) as refusal:
        read(whole[: len(whole) // 2])
    assert refusal.value.reason == InvalidReason.UNDECODABLE
    with pytest.raises(InvalidFrame) as refusal:
        read(whole, key="plant/paint/line1/cam2")
    assert refusal.value.reason == InvalidReason.BAD_STATION_ID
    with pytest.raises(InvalidFrame) as refusal:
        decode(STATION, whole, NOW_NS, lambda _station: False)
    assert refusal.value.reason == InvalidReason.UNKNOWN_STATION


@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=8))
def test_whatever_the_bytes_the_answer_is_frames_or_a_reason(at: int, junk: bytes) -> None:
    whole = encode_frames(frames())
    cut = at % len(whole)
    for value in (whole[:cut] + junk + whole[cut + len(junk) :], junk, whole[:cut]):
        with contextlib.suppress(InvalidFrame):
            read(value)


def test_a_batch_whose_columns_disagree_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="n = 3 rows"):
        encode_frames(
            Frames(STATION, "top", "a", "b", 0, frames().captured_at_ns, "production", decision=np.array(["x"], object))
        )
