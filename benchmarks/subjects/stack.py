"""The distributed product on this machine: what a worker reads, how late all of it is, how it holds over time.

A broker, workers and whoever measures share the cores, so a figure is told against readers that do less in the same
run: kafka-python's bare consumer, Faust with nothing to do, Faust that decodes and projects.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from benchmarks.cell import Cell, Effort, Figures
from benchmarks.many import BATCH, Many
from benchmarks.outside import PeerMissingError
from benchmarks.steady import Steady
from sincewhen.log.kafka import KafkaStates, new_consumer, new_producer
from sincewhen.log.kafka_bodies import KafkaBodies
from sincewhen.log.rights import PROCESSORS
from sincewhen.processor.kept import KeptProfiles
from sincewhen.stack.broker import Broker, BrokerUnavailable, Ports
from sincewhen.stack.ports import free_port
from sincewhen.stack.stack import Stack
from sincewhen_testing.station import activation

READERS = ("bare", "noop", "project")
LAYER, FULL = "layer", "layer and factors"  # a station's streams, beside confidence
PER_LOT = 160  # frames
_SPACING_NS, _LIMIT_S, _POLL_S, _SECOND_NS = 20_000_000, 900.0, 0.1, 10**9
_TICKS = os.sysconf("SC_CLK_TCK")


def cells(effort: Effort) -> list[Cell]:
    if effort is Effort.SMOKE:
        return []
    runs, most, rounds = effort.pick(0, 1, 3), effort.pick(0, 100, 1000), effort.pick(0, 20, 10)
    grown = [(count, 0) for count in (10, 100) if count < most] + [(100, PER_LOT)]
    return [
        *(
            Cell.of("stack", run, part="rate", station=station, stations=most, rounds=rounds)
            for station in (LAYER, FULL)
            for run in range(runs)
        ),
        *(
            Cell.of("stack", 0, part="growth", station=LAYER, stations=count, rounds=rounds * most // count, lot=lot)
            for count, lot in grown
        ),
        Cell.of("stack", 0, part="steady", stations=100, per_second=10, minutes=effort.pick(0, 1, 15)),
    ]


def measure(cell: Cell) -> Figures:
    return {"rate": _rate, "growth": _growth, "steady": _steady}[cell.get("part", str)](cell)


def _rate(cell: Cell) -> Figures:
    """Frames a second and CPU µs a frame of each reader, and of one and two workers, over records that are there."""
    full = cell.get("station", str) == FULL
    many = Many(cell.rng, cell.get("stations", int), full, _SPACING_NS)
    rounds, figures = cell.get("rounds", int), Figures()
    with _stack() as (stack, producer):
        _learned(stack, producer, many)
        _send(producer, many, range(rounds))
        records = many.count * (rounds + 1)  # with the activations
        for kind in READERS:
            told = _read(kind, stack, records)
            figures |= _figures(kind, 0.8 * records * BATCH, told["wall"], told["cpu"])
        figures |= _figures("1 worker", *_worked(stack, ("processor-0",), many.count * rounds))
        _send(producer, many, range(rounds, 3 * rounds))
        figures |= _figures("2 workers", *_worked(stack, ("processor-0", "processor-1"), 2 * many.count * rounds))
    return figures


def _growth(cell: Cell) -> Figures:
    """One worker's cost with fewer stations, and with lots; bytes that a barrier stores for a station."""
    many = Many(cell.rng, cell.get("stations", int), False, _SPACING_NS, cell.get("lot", int))
    rounds = cell.get("rounds", int)
    with _stack() as (stack, producer):
        _learned(stack, producer, many)
        _send(producer, many, range(rounds))
        figures = _figures("1 worker", *_worked(stack, ("processor-0",), many.count * rounds))
        kept = KafkaStates(stack.settings, producer, "frames", "state").load(range(8))
        sizes = [float(len(raw)) for snapshot in kept.values() for raw in snapshot.states.values()]
    return figures | {"bytes of a station's snapshot": sizes}


def _steady(cell: Cell) -> Figures:
    """Everything runs, stations send as they capture: how late findings and rows are, and what processes hold."""
    per_second = cell.get("per_second", int)
    many = Many(cell.rng, cell.get("stations", int), factors=True, spacing_ns=_SECOND_NS // per_second)
    with _stack() as (stack, producer):
        _learned(stack, producer, many)
        stack.begin_all()
        return Steady(stack, producer, many, per_second).run(60.0 * cell.get("minutes", int))


def _figures(name: str, frames: float, wall: float, cpu: float) -> Figures:
    return {f"{name}: frames a second": [frames / wall], f"{name}: CPU µs a frame": [1e6 * cpu / frames]}


@contextmanager
def _stack() -> Iterator[tuple[Stack, KafkaProducer]]:
    """A broker and a store; no other process runs."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(
            Path(folder) / "stack", Broker(Path(folder) / "broker", Ports(free_port(), free_port()), heap="1g")
        )
        try:
            stack.prepare()
            producer = new_producer(stack.settings)
            yield stack, producer
            producer.close()
        except BrokerUnavailable as error:
            raise PeerMissingError(str(error)) from error
        finally:
            stack.stop()


def _learned(stack: Stack, producer: KafkaProducer, many: Many) -> None:
    """Every station's profile is active."""
    profiles = KeptProfiles(KafkaBodies(stack.settings, producer, "profiles"))
    for name, profile in zip(many.names, many.profiles(), strict=True):
        producer.send("frames", activation(profiles.keep(profile), name), name.encode())
    producer.flush()


def _send(producer: KafkaProducer, many: Many, rounds: Iterable[int]) -> None:
    for number in rounds:
        for key, value in many.records(number * BATCH):
            producer.send("frames", value, key.encode())
    producer.flush()


def _read(kind: str, stack: Stack, records: int) -> dict[str, float]:
    line = [sys.executable, "-m", "benchmarks.reading", kind, stack.settings.servers, str(records)]
    told = subprocess.run(line, check=True, capture_output=True, text=True, timeout=_LIMIT_S)  # noqa: S603 - ours
    found: dict[str, float] = json.loads(told.stdout[told.stdout.rindex("{") :])  # behind Faust's own banner
    return found


def _worked(stack: Stack, names: tuple[str, ...], records: int) -> tuple[float, float, float]:
    """Frames between the first tenth of the newest `records` and nine tenths, wall and CPU seconds of these workers."""
    consumer = new_consumer(stack.settings, group_id=PROCESSORS)
    before = _ends(consumer)
    for name in names:
        stack.begin(name)
    marks = []
    for share in (0.1, 0.9, 1.0):
        done = _until(stack, consumer, before + share * records) - before
        marks.append((done * BATCH, time.perf_counter(), sum(_cpu(stack, name) for name in names)))
    consumer.close()
    for name in names:
        stack.end(name)
    first, last, _ = marks
    return last[0] - first[0], last[1] - first[1], last[2] - first[2]


def _until(stack: Stack, consumer: KafkaConsumer, scores: float) -> int:
    """Wait until there are so many scores; how many there are."""
    deadline = time.monotonic() + _LIMIT_S
    while (done := _ends(consumer)) < scores:
        if stack.ended() or time.monotonic() > deadline:
            said = "".join(path.read_text()[-2000:] for path in sorted(stack.folder.glob("processor-*.log")))
            raise RuntimeError(f"{done} of {scores} records were read; the workers' logs end:\n{said}")
        time.sleep(_POLL_S)
    return done


def _ends(consumer: KafkaConsumer) -> int:
    places = [TopicPartition("scores", partition) for partition in consumer.partitions_for_topic("scores") or ()]
    return sum(consumer.end_offsets(places).values())


def _cpu(stack: Stack, name: str) -> float:
    """Seconds that a process has used."""
    fields = Path(f"/proc/{stack.process(name).pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
