"""A living stack that is disturbed, round by round, while stations and an edge agent send."""

import math
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np

from sincewhen_testing.recorded_line import Records
from sincewhen_testing.stack import StackUnderTest

STOPPED_S, OUTAGE_S = 20.0, 60.0
CAUGHT_UP_S, ROUND_S = 90.0, 25.0  # the second: about
_WORKERS_MAX = 3


@dataclass
class Sender:
    """Sends parts in order, one every pace_s, each acknowledged, until all are sent."""

    stack: StackUnderTest
    parts: Iterator[Records]
    pace_s: float
    problem: str = ""
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._thread.start()

    def done(self) -> None:
        """Wait for it; what is left goes without pause."""
        self.pace_s = 0
        assert self._thread
        self._thread.join()
        assert not self.problem, self.problem

    def _run(self) -> None:
        try:
            for part in self.parts:
                self.stack.send(part)
                time.sleep(self.pace_s)
        except Exception as error:  # noqa: BLE001 - told where the test waits
            self.problem = repr(error)


@dataclass
class Chaos:
    """Use as a context. start_edge: the agent, with its spool of before. Everything random is of `rng`."""

    stack: StackUnderTest
    rng: np.random.Generator
    start_edge: Callable[[], "subprocess.Popen[bytes]"]
    told: list[str] = field(default_factory=list)
    edge: "subprocess.Popen[bytes]" = field(init=False)
    _outage: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.edge = self.start_edge()
        self._workers = [name for name in self.stack.names if name.startswith("processor-")]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _t: TracebackType | None
    ) -> None:
        if self.edge.poll() is None:
            self.edge.kill()
            self.edge.communicate()

    def run(self, rounds: int) -> None:
        """Every kind of disturbance before any comes again; several in a round where rounds are few."""
        kinds = (
            self.kill_worker, self.end_worker, self.stop_worker, self.add_worker, self.restart_broker, self.kill_edge,
            self.kill_correlator, self.kill_writer, self.lose_store,
        )  # fmt: skip
        count = max(rounds, len(kinds))
        decks = [self.rng.permutation(len(kinds)) for _ in range(math.ceil(count / len(kinds)))]
        order = [kinds[number] for number in np.concatenate(decks)[:count]]
        for number in range(rounds):
            for disturb in order[number::rounds]:
                time.sleep(self.rng.uniform(0.5, 4.0))
                disturb()
                self._say(f"round {number + 1}: {disturb.__name__}")
            self._recovered()
        if self._outage:
            self._outage.join()
        self._revive()

    def kill_worker(self) -> None:
        name = self._worker()
        self.stack.kill(name)
        time.sleep(self.rng.uniform(0, 3))
        self.stack.begin(name)

    def end_worker(self) -> None:
        name = self._worker()
        self.stack.end(name)
        self.stack.begin(name)

    def stop_worker(self) -> None:
        name = self._worker()
        self.stack.process(name).send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        self.stack.process(name).send_signal(signal.SIGCONT)

    def add_worker(self) -> None:
        """Or end one, where there are many."""
        if len(self._workers) == _WORKERS_MAX:
            self.stack.end(self._workers.pop())
        else:
            self._workers.append(f"processor-{len(self._workers)}")
            self.stack.begin(self._workers[-1])

    def restart_broker(self) -> None:
        self.stack.broker.stop()
        self.stack.broker.start()

    def kill_edge(self) -> None:
        if self.edge.poll() is None:
            self.edge.kill()
            self.edge.communicate()
            self.edge = self.start_edge()

    def kill_correlator(self) -> None:
        self.stack.kill("correlator")
        self.stack.begin("correlator")

    def kill_writer(self) -> None:
        self.stack.kill("writer")
        self.stack.begin("writer")

    def lose_store(self) -> None:
        """What comes next happens while it is away."""
        if self._outage:
            self._outage.join()

        def away() -> None:
            self.stack.end("store")
            time.sleep(OUTAGE_S)
            self.stack.begin("store")

        self._outage = threading.Thread(target=away, name="outage")
        self._outage.start()

    def _worker(self) -> str:
        return str(self.rng.choice(self._workers))

    def _recovered(self) -> None:
        """Wait until the processors have read all there is at that moment."""
        began = time.monotonic()
        wanted = self.stack.ends("frames")
        while not self.stack.reached(wanted):
            assert time.monotonic() - began < CAUGHT_UP_S, f"no processor goes on: {self.told}, {self.stack.ended()}"
            self._revive()
            time.sleep(0.2)
        self._say(f"caught up after {time.monotonic() - began:.1f} s")

    def _revive(self) -> None:
        """As a supervisor does: who ended by itself is started again."""
        for name, code in self.stack.ended().items():
            mine = name in self._workers or name in {"correlator", "writer", "console"}
            if mine:
                self._say(f"{name} ended with {code}")
                self.stack.begin(name)

    def _say(self, what: str) -> None:
        self.told.append(what)
        print(what, flush=True)
