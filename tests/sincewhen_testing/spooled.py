"""Records of frames of a few bytes, straight into a spool; and what came out of it."""

import time
from collections.abc import Callable

from sincewhen_edge.spool import Spool
from sincewhen_schemas import station_record_pb2 as pb

RECORD_BYTES = 2000
UNTIL_S = 120.0  # on a busy machine


def put(spool: Spool, station: str, records: range, size: int = RECORD_BYTES) -> list[bytes]:
    """One a sequence number, of so many bytes or a little more."""
    made = []
    for seq in records:
        batch = pb.FrameBatch(agent_id="pc", boot_id="b", view="top", first_seq=seq, n=1, captured_at_ns=bytes(size))
        made.append(pb.StationRecord(schema_version=1, station_id=station, frames=batch).SerializeToString())
        spool.put(station, made[-1], seq)
    return made


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + UNTIL_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def first_copies(values: list[bytes]) -> list[bytes]:
    return list(dict.fromkeys(values))
