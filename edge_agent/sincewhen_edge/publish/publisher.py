"""Out of the spool to the server: oldest first, one upload in flight, nothing deleted before the answer.

Invariants
- A record leaves the spool only when the way says that the server has it, or that the server never takes it: then it
  is set aside with the reason and counted.
- An upload goes only when the one before is settled. Without an answer the same records go again, for ever, with
  growing pauses of at most `PAUSE_S_MAX` and jitter. What is refused together is offered record by record.
- At most `bytes_per_s` are sent, so that after an outage a line PC floods neither its network nor the server.
- Nothing but `stop` ends the thread.
- A heartbeat goes every `HEARTBEAT_S` in an upload of its own, and is not kept: it speaks of now.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

from sincewhen_edge.counts import Counts
from sincewhen_edge.spool import Spool, Waiting
from sincewhen_schemas import station_record_pb2 as pb

UPLOAD_RECORDS = 32
PAUSE_S_MIN, PAUSE_S_MAX = 0.2, 15.0
HEARTBEAT_S = 10.0
_IDLE_S, _FAULT_PAUSE_S = 0.1, 1.0
log = logging.getLogger("sincewhen_edge")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of an upload, by the places of its records; nothing of those that are named nowhere."""

    taken: Sequence[int] = ()
    refused: Mapping[int, str] = field(default_factory=dict)  # never taken, and why
    problem: str = ""  # in words that say what to do; "" = all is well
    one_by_one: bool = False  # some of those that are named nowhere are never taken


class Way(Protocol):
    """One way to a server. Used by one thread; opened again after an exception, which would be our bug."""

    upload_bytes: int  # of several records together
    clock_offset_ns: int | None  # server minus this PC, at the last answer; None: not known

    def send(self, records: Sequence[Waiting], stop: threading.Event, /) -> Answer:
        """Send them in this order and wait for the answer, a bounded time, and a short one once `stop` is set."""
        ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Publisher:
    """Runs in a thread of its own from `start` to `stop`."""

    spool: Spool
    open: Callable[[], Way]
    heartbeat: Callable[[int, int, int | None], bytes] | None = None  # of records, bytes, oldest in the spool
    counts: Counts = field(default_factory=Counts)
    bytes_per_s: float = float("inf")
    clock_offset_ns: int | None = None  # server minus this PC, at the last answer
    refused: int = 0  # records, since the start
    problem: str = ""  # why the last upload did not succeed; "" when it did
    _stop: threading.Event = field(default_factory=threading.Event)
    _beat_at: float = 0.0  # monotonic seconds
    _free_at: float = 0.0  # monotonic seconds: when the rate allows the next upload
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float | None = None) -> None:
        """End after the upload in flight, and wait for that at most so long."""
        self._stop.set()
        if self._thread:
            self._thread.join(timeout_s)

    def drain(self, timeout_s: float) -> bool:
        """Wait until the spool is empty; False when time is up first."""
        pause = threading.Event()
        for _ in range(int(timeout_s / _IDLE_S)):
            if self.spool.depth().records == 0:
                return True
            pause.wait(_IDLE_S)
        return self.spool.depth().records == 0

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with closing(self.open()) as way:
                    self._uploads(way)
            except Exception as error:  # noqa: BLE001 - the host's boundary: whatever is unwell, sending goes on after it
                self._tell(f"{type(error).__name__}: {error}: tried again")
                self._stop.wait(_FAULT_PAUSE_S)

    def _uploads(self, way: Way) -> None:
        pause_s = PAUSE_S_MIN
        while not self._stop.is_set():
            self._beat(way)
            early_s = self._free_at - time.monotonic()
            waiting = self.spool.oldest(UPLOAD_RECORDS, way.upload_bytes) if early_s <= 0 else []
            if not waiting:
                self._stop.wait(min(_IDLE_S, early_s) if early_s > 0 else _IDLE_S)
            elif self._offer(way, waiting):
                pause_s = PAUSE_S_MIN
            else:
                self._stop.wait(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
                pause_s = min(PAUSE_S_MAX, pause_s * 2)

    def _beat(self, way: Way) -> None:
        if self.heartbeat is None or time.monotonic() - self._beat_at < HEARTBEAT_S:
            return
        self._beat_at = time.monotonic()
        depth = self.spool.depth()
        value = self.heartbeat(depth.records, depth.bytes, depth.oldest_captured_at_ns)
        self._ask(way, [Waiting(0, value, pb.StationRecord.FromString(value).station_id)])

    def _offer(self, way: Way, waiting: Sequence[Waiting]) -> bool:
        """Whether the server has said of each that it has it, or never takes it."""
        answer = self._ask(way, waiting)
        self._free_at = time.monotonic() + sum(len(record.value) for record in waiting) / self.bytes_per_s
        self._settle(waiting, answer)
        left = [record for place, record in enumerate(waiting) if place not in {*answer.taken, *answer.refused}]
        if answer.one_by_one and len(waiting) > 1:
            return all(not self._stop.is_set() and self._offer(way, [record]) for record in left)
        return not left

    def _ask(self, way: Way, records: Sequence[Waiting]) -> Answer:
        answer = way.send(records, self._stop)
        if way.clock_offset_ns is not None:
            self.clock_offset_ns = way.clock_offset_ns
        self._tell(answer.problem)
        return answer

    def _settle(self, waiting: Sequence[Waiting], answer: Answer) -> None:
        """Take what was answered out of the spool."""
        refused = {waiting[place]: reason for place, reason in answer.refused.items()}
        if not (answer.taken or refused):
            return
        self.spool.acknowledge(
            [waiting[place].id for place in answer.taken], {record.id: reason for record, reason in refused.items()}
        )
        self.refused += len(refused)
        for record, reason in refused.items():
            frames = pb.StationRecord.FromString(record.value).frames.n
            self.counts.dropped("refused_by_server", frames, ValueError(reason))

    def _tell(self, problem: str) -> None:
        """Keep it; the first one after a success, and the first success after one, is also said."""
        if problem and not self.problem:
            log.warning("sending_failed problem=%s", problem)
        if self.problem and not problem:
            log.warning("sending_recovered")
        self.problem = problem
