"""The distributed product on one machine: broker, store, processors, correlator, writer, console, each a process.

Invariants
- Everything it writes is in `folder`: NAME.log of each process, sincewhen.toml that all of them read.
- A process keeps its port and its folder when it is started again.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from sincewhen.log.cards import cards
from sincewhen.log.kafka_admin import Cluster
from sincewhen.log.rights import SERVICES, rights_of
from sincewhen.stack.broker import Broker
from sincewhen.stack.ports import free_port
from sincewhen_schemas.kafka import KafkaSettings

PARTITIONS_MAX = 8  # of a topic: one machine has few cores
_START_S, _STOP_S, _POLL_S = 180.0, 60.0, 0.1


class StackUnavailable(Exception):  # noqa: N818 - the unwell world
    """A process did not start."""


class Stack:
    """Use as a context. `options`: lines of the TOML that stand before its tables.

    settings: how who manages the broker comes in; kafka: how the processes do, as a user with the rights they need.
    """

    def __init__(
        self,
        folder: Path,
        broker: Broker,
        *,
        processors: int = 2,
        console_port: int = 0,
        options: str = "",
        kafka: KafkaSettings | None = None,
    ) -> None:
        self.folder, self.broker = folder, broker
        self.settings = KafkaSettings(servers=broker.servers, security="plaintext")
        self.kafka = kafka or self.settings
        self.config = folder / "sincewhen.toml"
        self.environment: dict[str, str] = {}  # of all processes, beside this one's
        self._options = options
        workers = tuple(f"processor-{number}" for number in range(processors))
        self.names = ("store", *workers, "correlator", "writer", "console")
        self._ports = {name: free_port() for name in self.names} | ({"console": console_port} if console_port else {})
        self.url = f"http://127.0.0.1:{self._ports['console']}"  # pages, API, /v1/frames
        self.store_url = f"http://127.0.0.1:{self._ports['store']}"
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Everything, from the broker on, until the console serves. Raises StackUnavailable, BrokerUnavailable."""
        self.prepare()
        self.begin_all()

    def begin_all(self) -> None:
        """What `prepare` has not begun, until the console serves. Raises StackUnavailable."""
        for name in self.names[1:]:
            self.begin(name)
        self._until("console", lambda: _serves(f"{self.url}/readyz"))

    def prepare(self) -> None:
        """What the others begin with: the broker with its topics, the store, their settings. Raises as `start`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.broker.start()
        with Cluster(self.settings) as cluster:
            for card in cards():
                if cluster.topic(card.name) is None:
                    cluster.create(card.name, min(card.partitions, PARTITIONS_MAX), 1, card.settings(1))
            if self.kafka.user:
                for process in SERVICES:
                    cluster.allow(self.kafka.user, rights_of(process, cards()))
        self.write_config(self.kafka)
        self.begin("store")
        self._until("store", lambda: _serves(f"{self.store_url}/ping"))

    def write_config(self, kafka: KafkaSettings) -> None:
        """What processes read when they begin; a password goes into a file of its own."""
        password = self.folder / "kafka-password"
        password.write_text(kafka.password)
        told = {"servers": kafka.servers, "security": kafka.security, "user": kafka.user, "ca_file": kafka.ca_file}
        if kafka.user:
            told["password_file"] = str(password)
        table = "".join(f'{name} = "{value}"\n' for name, value in told.items())
        self.config.write_text(
            f'console = "{self.url}"\n{self._options}\n[kafka]\n{table}'
            f'[store]\nurl = "{self.store_url}"\npassword_file = "{self.folder / "store" / "token"}"\n'
        )

    def stop(self) -> None:
        """SIGTERM to all that run, and to the broker in the end."""
        for name in self._running:
            self.process(name).send_signal(signal.SIGCONT)
            self.process(name).terminate()
        for name in self._running:
            try:
                self.process(name).wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.kill(name)
        self.broker.stop()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _t: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def token(self) -> str:
        """For changes by the API."""
        return (self.folder / "console" / "token").read_text().strip()

    def begin(self, name: str) -> None:
        """Start one of `names`, or one more processor."""
        command = name.partition("-")[0]
        port = ["--port", str(self._ports.setdefault(name, free_port()))]
        data, config = ["--data", str(self.folder / name)], ["--config", str(self.config)]
        options = {
            "store": [*data, *port],
            "processor": [*config, *port],
            "console": [*config, *data, *port],
        }.get(command, config)
        line = [sys.executable, "-m", *self.program(name), command, *options]
        environment = {**os.environ, **self.environment, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(line, stdout=log, stderr=log, env=environment)  # noqa: S603 - ours

    def program(self, _name: str) -> list[str]:
        """The module that a process is, and its first arguments."""
        return ["sincewhen.cli"]

    def process(self, name: str) -> "subprocess.Popen[bytes]":
        return self._running[name]

    def end(self, name: str) -> int:
        """SIGTERM, and what it came to."""
        self.process(name).terminate()
        return self.process(name).wait(_STOP_S)

    def kill(self, name: str) -> None:
        self.process(name).kill()
        self.process(name).wait()

    def ended(self) -> dict[str, int]:
        """Processes that ended by themselves or were ended, and their exit codes."""
        found = {name: process.poll() for name, process in self._running.items()}
        return {name: code for name, code in found.items() if code is not None}

    def _until(self, name: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_S
        while not holds():
            if self.ended() or time.monotonic() > deadline:
                told = ", ".join(f"{ended} with {code}" for ended, code in self.ended().items()) or "nothing ended"
                raise StackUnavailable(f"{name} does not serve ({told}): {self.folder}/*.log say why")
            time.sleep(_POLL_S)


def _serves(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False
