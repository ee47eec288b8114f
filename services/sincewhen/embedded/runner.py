"""The pipeline behind the local log.

Invariants
- A record is acknowledged once the log holds it; whatever happens then, it is applied exactly once: the barrier stores
  states and position together, outputs have deterministic ids, and what is replayed writes the same rows again.
- Outputs reach the store before the barrier that covers them. What the store does not know of the incidents after a
  kill is written at the next start.
- A record that ends the process twice, by a fault of ours, is set aside as a dead letter (internal_error) at the next
  start: one poisoned record stops nobody for ever.
- While the store is unwell nothing is dropped: the pipeline waits, and ingest refuses when the backlog is full.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sincewhen.backend.backend import Backend
from sincewhen.backend.board import Board
from sincewhen.correlator.correlator import Correlator
from sincewhen.correlator.means import SiteMeans
from sincewhen.embedded import metrics
from sincewhen.ingest.decode import decode
from sincewhen.log.bodies import SqliteBodies
from sincewhen.log.log import STUMBLES_MAX, LogRecord
from sincewhen.log.sqlite import SqliteLog
from sincewhen.plant import Plant
from sincewhen.processor.kept import KeptProfiles
from sincewhen.processor.outputs import Outputs
from sincewhen.processor.pipeline import Pipeline
from sincewhen.processor.state import StationState
from sincewhen.processor.stations import Stations, set_aside
from sincewhen.store import read
from sincewhen.store.connect import Connection, StoreUnavailable
from sincewhen.store.migrate import migrate
from sincewhen.store.write import write_incidents, write_outputs
from sincewhen_schemas.invalid import InvalidFrame
from sincewhen_schemas.messages import GroupStatus, Incident, StationStatus

BARRIER_EVERY_NS = 10 * 10**9
READ_RECORDS = 64
LOG_KEPT_NS = 24 * 3600 * 10**9
_IDLE_S, _UNWELL_S = 0.2, 1.0
_MEANS = "means\n"  # and a site: the key of a state that is no station's


@dataclass(slots=True)
class Runner:
    """One process owns `data`. `now_ns` is the clock of barriers and retention; frames bring their own times."""

    data: Path
    plant: Plant
    now_ns: Callable[[], int] = time.time_ns
    log: SqliteLog = field(init=False)
    connection: Connection = field(init=False)
    next_offset: int = field(init=False, default=1)
    _board: Board = field(init=False)
    _stations: Stations = field(init=False)
    _correlator: Correlator = field(init=False)
    _groups: dict[str, list[GroupStatus]] = field(init=False, default_factory=dict)  # by site, for other threads
    _bodies: tuple[SqliteBodies, SqliteBodies] = field(init=False)  # profiles, reference sets
    _profiles: KeptProfiles = field(init=False)
    _wake: threading.Event = field(init=False, default_factory=threading.Event)
    _stop: threading.Event = field(init=False, default_factory=threading.Event)
    _thread: threading.Thread | None = field(init=False, default=None)
    _stumbles: dict[int, int] = field(init=False, default_factory=dict)
    _covered: int = field(init=False, default=1)  # the next offset that the last barrier stored
    _unwritten: bool = field(init=False, default=False)  # states are ahead of the store: no barrier may cover them

    def __post_init__(self) -> None:
        self.log = SqliteLog(self.data / "log.db")
        self.connection = Connection(self.data / "store")
        migrate(self.connection, self.plant.retention)
        bodies = self.data / "bodies.db"
        self._bodies = SqliteBodies(bodies, "profiles"), SqliteBodies(bodies, "reference_sets")
        self._profiles = KeptProfiles(self._bodies[0])
        self._board = Board(self.plant, self.now_ns)
        self._stations = Stations(Pipeline(self._profiles.of, self.plant))
        self._correlator = Correlator(self.plant)
        self._stumbles = self.log.stumbles()
        self._resume()

    def _resume(self) -> None:
        """States are the snapshot's, incidents the store's: what it does not know of them yet is written."""
        snapshot, known = self.log.snapshot(), self._correlator
        self.next_offset = self._covered = snapshot.next_offset
        means = [SiteMeans.from_bytes(raw) for key, raw in snapshot.states.items() if key.startswith(_MEANS)]
        known.means = {item.site: item for item in means}
        self._groups = {item.site: item.statuses() for item in means}
        self._stations.load({key: raw for key, raw in snapshot.states.items() if not key.startswith(_MEANS)})
        for station, state in self._stations.states.items():
            for name, view in state.views.items():
                self._learn_of(self._stations.pipeline.status(station, name, view))
        known.told = {item.incident_id: item for item in read.incidents(self.connection)}
        write_incidents(self.connection, known.take(read.detections(self.connection)))

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="pipeline")
        self._thread.start()

    def stop(self) -> None:
        """Apply what is being applied, take a barrier, close."""
        self._stop.set()
        self._wake.set()
        if self._thread:
            self._thread.join()
        self.log.close()
        for bodies in self._bodies:
            bodies.close()
        self.connection.close()

    def backend(self) -> Backend:
        """For the console."""
        return Backend(self.plant, self, self, self.connection, self._profiles, self._bodies[1], self.now_ns)

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def backlog(self) -> int:
        """Records that are acknowledged and not yet applied."""
        return self.log.end() - self.next_offset

    def stations(self) -> list[StationStatus]:
        return self._board.stations(caught_up=self.backlog == 0)

    def groups(self) -> list[GroupStatus]:
        """Every line and plant of which at least two members were heard."""
        return [status for _, statuses in sorted(self._groups.items()) for status in statuses]

    @property
    def incidents(self) -> dict[str, Incident]:
        return self._correlator.incidents

    def incident(self, incident_id: str) -> Incident | None:
        """An incident by its id, or the one that it turned out to be a part of."""
        return self._correlator.incident(incident_id)

    def _learn_of(self, status: StationStatus) -> None:
        view = self._stations.states[status.station_id].views[status.view]
        self._board.take(self._stations.pipeline.heard(status, view))

    def append(self, records: Sequence[tuple[str, bytes]]) -> None:
        """Take records durably. Raises LogUnavailable."""
        self.log.append(records, self.now_ns())
        self._wake.set()

    def refusal(self, key: str, value: bytes) -> InvalidFrame | None:
        """Why a record breaks the contract, None where it does not, as far as can be told before its turn comes."""
        try:
            record = decode(key, value, self.now_ns(), self.plant.knows)
            self._stations.pipeline.check(self._stations.states.get(key) or StationState(), record)
        except InvalidFrame as refusal:
            return refusal
        return None

    def _run(self) -> None:
        barrier_at_ns = self.now_ns()
        while not self._stop.is_set():
            self._wake.clear()
            records = self.log.read(self.next_offset, READ_RECORDS)
            if records:
                known = any(record.offset in self._stumbles for record in records)
                self._carefully(records[:1] if known else records)
            if self.next_offset > self._covered and self.now_ns() - barrier_at_ns > BARRIER_EVERY_NS:
                self._barrier()
                barrier_at_ns = self.now_ns()
            metrics.LAG.set(self.backlog)
            if not records:
                self._wake.wait(_IDLE_S)
        self._barrier()

    def _carefully(self, records: list[LogRecord]) -> None:
        """A fault of ours ends the process and is remembered: after it these records are applied one by one."""
        try:
            self._apply(records)
        except Exception:
            self.log.stumble([record.offset for record in records])
            raise

    def _apply(self, records: list[LogRecord]) -> None:
        outputs = Outputs()
        for record in records:
            if self._stumbles.get(record.offset, 0) >= STUMBLES_MAX:
                outputs.dead_letters.append(set_aside(record))
                continue
            made = self._stations.step(record)
            if made.statuses:  # what is refused, whatever its key, is no word of a station
                made.detections += self._correlator.step(record.key, made, record.appended_at_ns)
            outputs.add(made)
        changed = self._correlator.take(outputs.detections)
        while not self._written(outputs, changed):
            if self._stop.wait(_UNWELL_S):
                self._unwritten = True
                return
        self.next_offset = records[-1].offset + 1
        self._tell(outputs)

    def _written(self, outputs: Outputs, incidents: list[Incident]) -> bool:
        try:
            write_outputs(self.connection, outputs)
            write_incidents(self.connection, incidents)
        except StoreUnavailable:
            metrics.STORE_UNWELL.inc()
            return False
        return True

    def _tell(self, outputs: Outputs) -> None:
        metrics.RECORDS.inc(len(outputs.batches) + len(outputs.dead_letters) + len(outputs.heartbeats))
        metrics.FRAMES.inc(sum(batch.frames.n for batch in outputs.batches))
        metrics.DETECTIONS.inc(len(outputs.detections))
        for letter in outputs.dead_letters:
            metrics.DEAD_LETTERS.labels(letter.reason).inc()
        for status in outputs.statuses:
            self._learn_of(status)
        for record in outputs.heartbeats:
            metrics.AGENT_SPOOL.labels(record.station_id).set(record.heartbeat.spool_bytes)
            for reason, count in record.heartbeat.dropped.items():
                metrics.AGENT_DROPPED.labels(record.station_id, reason[:64]).set(count)
        for means in self._correlator.means.values():
            metrics.LATE_SUMS.labels(means.site).set(means.late)
            self._groups[means.site] = means.statuses()
        for station in {item.station_id for item in self._correlator.told.values()}:
            still = [i for i in self.incidents.values() if i.station_id == station and i.status == "open"]
            metrics.OPEN_INCIDENTS.labels(station).set(len(still))

    def _barrier(self) -> None:
        if self._unwritten:
            return
        means = {f"{_MEANS}{site}": raw for site, raw in self._correlator.changed().items()}
        self.log.barrier(self.next_offset, self._stations.changed() | means)
        self._covered = self.next_offset
        self._stations.settled()
        self._correlator.settled()
        self.log.trim(self.now_ns() - LOG_KEPT_NS)
