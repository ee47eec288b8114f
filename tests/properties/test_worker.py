"""Workers that take partitions over from one another, end, or come back from a long stop: every frame counts once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sincewhen.log.log import LogRecord, Snapshot
from sincewhen.log.snapshots import POSITION, STUMBLES, Snapshots
from sincewhen.processor.pipeline import Pipeline
from sincewhen.processor.state import encode_state
from sincewhen.processor.worker import Worker
from sincewhen.profiles.profile import Profile
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.encode import encode_control, encode_frames
from sincewhen_testing.station import START_NS, STEP_NS, frames_of

PARTITIONS, STATIONS, RECORDS, FRAMES = 2, 3, 24, 3


def record(partition: int, offset: int) -> LogRecord:
    """Frames, numbered with gaps that are blind time, and recorded changes: sent twice, these would count twice."""
    station = f"ulm/body/line{partition}/cam{offset % STATIONS}"
    if offset // STATIONS % 3 == 2:
        change = pb.Control(
            control_id=f"{offset}", at_ns=START_NS + offset, recorded_change=pb.RecordedChange(kind="cleaning")
        )
        return LogRecord(offset, station, encode_control(station, change), START_NS + 10**15, partition)
    start = FRAMES * offset
    at_ns = START_NS + np.arange(start, start + FRAMES) * STEP_NS
    frames = frames_of(station, start, at_ns, factors={"brightness": np.full(FRAMES, offset, np.float32)})
    return LogRecord(offset, station, encode_frames(frames), START_NS + 10**15, partition)


LOG = {partition: [record(partition, offset) for offset in range(RECORDS)] for partition in range(PARTITIONS)}


@dataclass
class Compacted:
    """The states topic: of each partition the newest record of each key."""

    kept: dict[int, dict[str, bytes]] = field(default_factory=lambda: {p: {} for p in range(PARTITIONS)})


@dataclass
class MemoryStates:
    topic: Compacted
    cut_off: bool = False  # the process ends between a barrier's states and its position
    topic_id: str = "frames of today"
    _snapshots: Snapshots = field(default_factory=lambda: Snapshots("frames of today"))

    def load(self, partitions: Sequence[int]) -> dict[int, Snapshot]:
        return {partition: self._snapshots.read(partition, self.topic.kept[partition]) for partition in partitions}

    def barrier(self, partition: int, next_offset: int, dirty: Mapping[str, bytes]) -> None:
        self.topic.kept[partition] |= self._snapshots.states(next_offset, dirty)
        position = self._snapshots.position(partition, next_offset, dirty)
        if not self.cut_off:
            self.topic.kept[partition][POSITION] = position

    def stumble(self, partition: int, offset: int) -> None:
        self.topic.kept[partition][STUMBLES] = self._snapshots.stumble(partition, offset)


@dataclass
class Process:
    """A worker and where its consumer is."""

    topic: Compacted
    sent: dict[tuple[int, int], list[str]]
    worker: Worker = field(init=False)
    states: MemoryStates = field(init=False)
    at: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.states = MemoryStates(self.topic)
        profiles: dict[str, Profile] = {}
        self.worker = Worker(Pipeline(profiles.__getitem__), self.states)

    def assign(self, partitions: Sequence[int]) -> None:
        self.at = dict(self.worker.assign(partitions))

    def run(self, records: int) -> None:
        for partition in self.at:
            for one in LOG[partition][self.at[partition] :][:records]:
                made = self.worker.take(one)
                self.at[partition] += 1
                if made is not None and made.batches:
                    self.sent.setdefault((partition, one.offset), []).append(repr(made))

    def states_now(self) -> dict[str, bytes]:
        holders = self.worker._partitions.holders()  # noqa: SLF001 - what the test is about
        return {key: encode_state(state) for stations in holders for key, state in stations.states.items()}


def undisturbed() -> tuple[dict[str, bytes], dict[tuple[int, int], list[str]]]:
    process = Process(Compacted(), {})
    process.assign(range(PARTITIONS))
    process.run(RECORDS)
    return process.states_now(), process.sent


EXPECTED = undisturbed()
STEPS = st.lists(
    st.tuples(st.sampled_from(["run", "barrier", "cut off", "take over"]), st.integers(0, 1), st.integers(1, 5)),
    min_size=12,
    max_size=30,
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_whoever_ends_is_stopped_or_comes_back_every_record_is_applied_once_and_outputs_are_the_same(
    steps: list[tuple[str, int, int]],
) -> None:
    topic = Compacted()
    sent: dict[tuple[int, int], list[str]] = {}
    processes = [Process(topic, sent) for _ in range(2)]
    for what, who, number in steps:
        process = processes[who]
        if what == "take over":  # the other does not know it yet: it goes on, and its barriers too
            process.assign([p for p in range(PARTITIONS) if number & (1 << p)] or [0, 1])
        elif what == "run":
            process.run(number)
        else:
            process.states.cut_off = what == "cut off"
            process.worker.barrier()
            process.states.cut_off = False
    last = Process(topic, sent)
    last.assign(range(PARTITIONS))
    last.run(RECORDS)
    states, outputs = EXPECTED
    assert last.states_now() == states
    assert {place: set(made) for place, made in sent.items()} == {place: set(made) for place, made in outputs.items()}


def test_what_a_buffer_still_holds_of_an_assignment_before_is_not_applied() -> None:
    process = Process(Compacted(), {})
    process.assign([0])
    process.run(5)
    process.assign([0])  # no barrier was taken: it starts again
    assert process.worker.take(LOG[0][5]) is None
    assert process.worker.take(LOG[1][0]) is None
    assert process.worker.take(LOG[0][0]) is not None


def test_what_expired_before_it_was_applied_is_passed_over() -> None:
    process = Process(Compacted(), {})
    process.assign([0])
    process.worker.begin(0, 5)
    assert process.worker.take(LOG[0][0]) is None
    assert process.worker.take(LOG[0][5]) is not None


def test_a_topic_that_was_made_again_is_read_from_its_begin_and_the_states_stay() -> None:
    topic = Compacted()
    process = Process(topic, {})
    process.assign([0])
    process.run(RECORDS)
    process.worker.barrier()
    snapshot = Snapshots("frames of tomorrow").read(0, topic.kept[0])
    assert (snapshot.next_offset, snapshot.applied) == (0, {})
    assert snapshot.states == process.states_now()
