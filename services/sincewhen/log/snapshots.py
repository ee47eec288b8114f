"""Snapshots of a partition as records of a compacted topic, in which two writers may meet.

Invariants
- A barrier is its states first and the partition's own record, the position, last. Who reads a snapshot finds states at
  least as new as the position says, or reads on from behind the oldest of them: a process that was stopped and goes on
  after its partition was given to another one may have written older states behind its successor's.
- A state says which offset it holds; records at or below are skipped for its key. So states that are newer than the
  position (a barrier that was cut off, another process's) are as good.
- Offsets are of one incarnation of the log's topic: with a topic that was deleted and made again, states stay and
  reading starts at its begin.

Format
- key: the state's; value: MessagePack (topic id, applied offset, state).
- key POSITION; value: MessagePack (topic id, next offset, {key: applied offset}).
- key STUMBLES; value: MessagePack (topic id, {offset: times}): records at which processes ended by a fault of ours.
  No station and no site is called like these keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from sincewhen.log.log import Snapshot

POSITION, STUMBLES = "/position", "/stumbles"


class _Position(msgspec.Struct, array_like=True):
    topic_id: str
    next_offset: int
    applied: dict[str, int]


class _Stumbles(msgspec.Struct, array_like=True):
    topic_id: str
    times: dict[int, int]


class _State(msgspec.Struct, array_like=True):
    topic_id: str
    applied: int
    value: bytes


@dataclass(slots=True)
class Snapshots:
    """Of the partitions that a process has now. topic_id: the incarnation of the log's topic."""

    topic_id: str = ""
    _applied: dict[int, dict[str, int]] = field(default_factory=dict)  # by partition and key
    _stumbles: dict[int, dict[int, int]] = field(default_factory=dict)  # by partition and offset

    def read(self, partition: int, records: Mapping[str, bytes]) -> Snapshot:
        """What to go on from: `records` are the newest of each key. From now on the partition is this process's."""
        ours = {POSITION, STUMBLES}
        kept = {key: msgspec.msgpack.decode(raw, type=_State) for key, raw in records.items() if key not in ours}
        applied = {key: state.applied for key, state in kept.items() if state.topic_id == self.topic_id}
        self._applied[partition] = dict(applied)
        told = _Position("", 0, {})
        if POSITION in records:
            told = msgspec.msgpack.decode(records[POSITION], type=_Position)
        starts = [0]
        if told.topic_id == self.topic_id:
            behind = [key for key, wanted in told.applied.items() if applied.get(key, -1) < wanted]
            starts = [told.next_offset, *(applied.get(key, -1) + 1 for key in behind)]
        fell = _Stumbles("", {})
        if STUMBLES in records:
            fell = msgspec.msgpack.decode(records[STUMBLES], type=_Stumbles)
        times = fell.times if fell.topic_id == self.topic_id else {}
        self._stumbles[partition] = {offset: count for offset, count in times.items() if offset >= min(starts)}
        states = {key: state.value for key, state in kept.items()}
        return Snapshot(min(starts), states, applied, dict(self._stumbles[partition]))

    def states(self, next_offset: int, dirty: Mapping[str, bytes]) -> dict[str, bytes]:
        """The records of a barrier's states, to be written and acknowledged first."""
        return {
            key: msgspec.msgpack.encode(_State(self.topic_id, next_offset - 1, value)) for key, value in dirty.items()
        }

    def position(self, partition: int, next_offset: int, dirty: Mapping[str, bytes]) -> bytes:
        """The value of the barrier's last record."""
        self._applied[partition] |= dict.fromkeys(dirty, next_offset - 1)
        return msgspec.msgpack.encode(_Position(self.topic_id, next_offset, self._applied[partition]))

    def stumble(self, partition: int, offset: int) -> bytes:
        """The value of the record that remembers one more end at `offset`."""
        known = self._stumbles[partition]
        known[offset] = known.get(offset, 0) + 1
        return msgspec.msgpack.encode(_Stumbles(self.topic_id, known))
