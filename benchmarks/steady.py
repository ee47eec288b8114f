"""Stations that send as they capture, through the whole stack, for a while: how late it is, and what processes hold."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer

from benchmarks.cell import Figures
from benchmarks.many import Many
from sincewhen.log.kafka import new_consumer
from sincewhen.stack.stack import Stack
from sincewhen.store.connect import Connection, Server
from sincewhen_schemas.scored import decode_scored

RECORD_S = 0.25  # an agent sends what it has by then
WARM_S, _DRAIN_S, _LOOK_S, _WEIGH_S = 30.0, 120.0, 0.1, 10.0
_NS, _MS = 1e9, 1e3
DETECTED, STORED, WAITING, HELD = "detected after (s)", "stored after (s)", "frames that wait", "MiB of "


@dataclass
class Steady:
    """per_second: frames of each station. Times are of the clock that all processes share."""

    stack: Stack
    producer: KafkaProducer
    many: Many
    per_second: int
    _captured: dict[tuple[str, int], float] = field(default_factory=dict)  # by station and first_seq: its first frame
    _sent: deque[tuple[int, float]] = field(default_factory=deque)  # frames until then, and when the first was captured
    _frames: int = 0  # that were sent
    _figures: Figures = field(default_factory=dict)

    def run(self, seconds: float) -> Figures:
        """Delays of every record from its first frame's capture, WARM_S left out; MiB of each process over time."""
        scores = new_consumer(self.stack.settings, consumer_timeout_ms=100)
        scores.subscribe(["scores"])
        token = (self.stack.folder / "store" / "token").read_text().strip()
        store = Connection(Server(self.stack.store_url, token=token))
        self._figures = {name: [] for name in (DETECTED, STORED, WAITING, *(HELD + p for p in self.stack.names))}
        self._warm(store)
        begin = time.time()
        sender = threading.Thread(target=self._send, args=(begin, seconds), daemon=True)
        sender.start()
        weighed = begin
        while sender.is_alive() or (self._sent and time.time() < begin + seconds + _DRAIN_S):
            self._look(scores, store, begin + WARM_S)
            if time.time() > weighed + _WEIGH_S:
                weighed = time.time()
                self._weigh()
            time.sleep(_LOOK_S)
        scores.close()
        assert not self._sent, f"{sum(1 for _ in self._sent)} records were not stored: {self.stack.ended()} ended"
        return self._figures

    def _warm(self, store: Connection) -> None:
        """One record of each station is stored: everything has begun."""
        for name in self.many.names:
            self.producer.send("frames", self.many.record(name, 0, 1, int(time.time() * _NS)), name.encode())
            self._frames += 1
        deadline = time.time() + _DRAIN_S
        while self._stored(store) < self._frames:
            assert time.time() < deadline, f"the stack did not begin: {self.stack.ended()} ended"
            time.sleep(_LOOK_S)

    def _stored(self, store: Connection) -> int:
        return int(store.rows("SELECT count() AS n FROM frames")[0]["n"])

    def _send(self, begin: float, seconds: float) -> None:
        """One record of every station in turn, each when it is due: stations do not capture together."""
        frames = max(1, int(RECORD_S * self.per_second))
        took = frames / self.per_second
        for number in range(int(seconds / took)):
            for at, name in enumerate(self.many.names):
                due = begin + (number + at / self.many.count + 1) * took
                time.sleep(max(0.0, due - time.time()))
                first = 1 + number * frames
                record = self.many.record(name, first, frames, int((due - took) * _NS))
                self._captured[name, self.many.seq(first)] = due - took
                self.producer.send("frames", record, name.encode())
                self._frames += frames
                self._sent.append((self._frames, due - took))

    def _look(self, scores: KafkaConsumer, store: Connection, since: float) -> None:
        for items in scores.poll(0).values():
            for item in items:
                captured = self._captured.pop((item.key.decode(), decode_scored(item.value).first_seq), 0.0)
                if captured > since:
                    self._figures[DETECTED].append(item.timestamp / _MS - captured)
        stored = self._stored(store)
        now = time.time()
        while self._sent and self._sent[0][0] <= stored:
            _, captured = self._sent.popleft()
            if captured > since:
                self._figures[STORED].append(now - captured)
        if now > since:
            self._figures[WAITING].append(float(self._frames - stored))

    def _weigh(self) -> None:
        for name in self.stack.names:
            told = Path(f"/proc/{self.stack.process(name).pid}/status").read_text()
            (line,) = (line for line in told.splitlines() if line.startswith("VmRSS"))
            self._figures[HELD + name].append(int(line.split()[1]) / 1024)
