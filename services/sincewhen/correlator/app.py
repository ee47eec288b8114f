"""The correlator: findings become detections, incidents and groups, and open incidents become alerts.

It reads one partition of findings as the processor reads one of frames: from the snapshot, a barrier every 10 s.
"""

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from sincewhen.correlator.pager import Pager
from sincewhen.correlator.sites import Correlated, Sites
from sincewhen.log.group import Hooks, Member
from sincewhen.log.kafka_outlet import KafkaOutlet
from sincewhen.log.log import LogRecord, LogUnavailable
from sincewhen.log.partitions import Partitions, States
from sincewhen.log.rights import CORRELATORS
from sincewhen.plant import Plant
from sincewhen.plant.places import site_of
from sincewhen_schemas.kafka import KafkaSettings
from sincewhen_schemas.messages import Detection, Findings

FINDINGS, DETECTIONS, INCIDENTS, GROUPS = "findings", "detections", "incidents", "groups"
BARRIER_S = 10.0
_UNWELL_S = 1.0
_JSON = msgspec.json.Encoder()
_FOUND = msgspec.json.Decoder(Findings)
log = logging.getLogger("sincewhen")


class InDoubt(Exception):  # noqa: N818 - the unwell world: the process is started again
    """Something that was sent was not acknowledged: go on from the snapshot."""


@dataclass(slots=True)
class CorrelatorProcess:
    kafka: KafkaSettings
    plant: Plant
    states: States
    outlet: KafkaOutlet
    pager: Pager
    _partitions: Partitions[Sites] = field(init=False)
    _stop: threading.Event = field(default_factory=threading.Event)
    _settled_at: float = 0.0  # monotonic seconds

    def __post_init__(self) -> None:
        self._partitions = Partitions(self.states, lambda: Sites(self.plant), site_of)

    def stop(self) -> None:
        """End after a barrier."""
        self._stop.set()

    def run(self) -> None:
        """Until `stop`. Raises InDoubt."""
        hooks = Hooks(revoked=self._barrier, assigned=self._follow)
        member = Member(self.kafka, CORRELATORS, FINDINGS, self._partitions, hooks)
        self.pager.start()
        try:
            while not self._stop.is_set():
                try:
                    self._apply(member.poll())
                except LogUnavailable as error:
                    self._wait(error)
                if time.monotonic() - self._settled_at > BARRIER_S:
                    member.applied(self._barrier())
            self._barrier()
        finally:
            self.pager.stop()
            member.close()

    def _apply(self, found: Iterable[tuple[Sites, LogRecord]]) -> None:
        news: dict[int, tuple[Sites, list[Detection]]] = {}
        for sites, record in found:
            _, detections = news.setdefault(id(sites), (sites, []))
            detections += sites.step(_FOUND.decode(record.value), record.appended_at_ns)
        for sites, detections in news.values():
            made = sites.take(detections)
            self.pager.tell(made.incidents)
            while not self._sent(made):
                if self._stop.is_set():  # a barrier now would store what nobody was told
                    raise InDoubt("stopped while Kafka took nothing")

    def _sent(self, made: Correlated) -> bool:
        try:
            for item in made.detections:
                self.outlet.put(DETECTIONS, item.station_id, _JSON.encode(item))
            for incident in made.incidents:
                self.outlet.put(INCIDENTS, incident.incident_id, _JSON.encode(incident))
            for status in made.groups:
                self.outlet.put(GROUPS, status.group_id, _JSON.encode(status))
        except LogUnavailable as error:
            self._wait(error)
            return False
        return True

    def _follow(self) -> None:
        """Other sites are this process's now: it pages of these only."""
        self.pager.follow([incident for sites in self._partitions.holders() for incident in sites.told()])

    def _barrier(self) -> dict[int, int]:
        self._settled_at = time.monotonic()
        try:
            self.outlet.settle()
            return self._partitions.barrier()
        except LogUnavailable as error:
            raise InDoubt(str(error)) from error

    def _wait(self, error: LogUnavailable) -> None:
        log.warning("waiting problem=%s", error)
        self._stop.wait(_UNWELL_S)
