"""A real `sincewhen up` or `sincewhen store` in its own process on a free port."""

import ssl
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from sincewhen.stack.ports import free_port
from sincewhen_schemas.encode import encode_upload

_START_S, _APPLY_S = 60.0, 120.0


class Api(ABC):
    """What is asked of a console at `url`, with changes by its `token`."""

    url: str
    trusted = ""  # PEM of an authority

    @property
    @abstractmethod
    def token(self) -> str:
        """Of who may change things."""

    @property
    def way(self) -> list[str]:
        """How an edge agent is told where to send."""
        return ["--server", self.url]

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        verify = ssl.create_default_context(cafile=self.trusted) if self.trusted else True
        return httpx.get(f"{self.url}{path}", timeout=60, headers=headers, verify=verify)

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.post(f"{self.url}{path}", json=body, headers=headers, timeout=60)

    @abstractmethod
    def applied(self) -> None:
        """Wait until everything acknowledged is applied."""


class Server(Api):
    """Use as a context: ends with SIGTERM. `kill` is kill -9; `start` goes on with the same folder and port."""

    command, ready = "up", "/readyz"

    def __init__(self, data: Path, *options: str) -> None:
        self.data, self.port, self.options = data, free_port(), options
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self.arguments())
        self._until(self._answers, _START_S)

    def arguments(self) -> list[str]:
        line = [sys.executable, "-m", "sincewhen.cli", self.command, "--data", str(self.data)]
        return [*line, "--port", str(self.port), *self.options]

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, "the server has ended, see its output"
        return self.get(self.ready).status_code == 200

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        assert self._process
        self._process.terminate()
        return self._process.wait(60)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _t: TracebackType | None
    ) -> None:
        if self._process and self._process.poll() is None:
            self.stop()

    @property
    def token(self) -> str:
        return (self.data / "token").read_text().strip()

    def send(self, *records: bytes) -> httpx.Response:
        return httpx.post(f"{self.url}/v1/frames", content=encode_upload(records), timeout=60)

    def learn(self) -> None:
        """Build and activate the profile that is proposed of every view."""
        for station in self.get("/api/v1/stations").json():
            built = self.post(
                "/api/v1/profiles", {"station": station["station_id"], "view": station["view"], **station["proposal"]}
            )
            assert built.status_code == 201, built.text
            self.post(f"/api/v1/profiles/{built.json()['sha']}/activate", {"reason": "A/A passed"})

    def applied(self) -> None:
        """Wait until everything acknowledged is applied."""
        self._until(lambda: self.get("/readyz").json()["backlog"] == 0, _APPLY_S)

    @staticmethod
    def _until(holds: Callable[[], bool], limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while True:
            try:
                if holds():
                    return
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"the server did not get there within {limit_s} s")
            time.sleep(0.05)


def kept_for_ever(folder: Path) -> Path:
    """A plant.toml by which rows of simulated frames, which are of a fixed day, do not expire."""
    plant = folder / "plant.toml"
    retention = "units_days = 10000\nembeddings_days = 10000\ndead_letters_days = 10000"
    plant.write_text(f'[[stations]]\nid = "plant/paint/line1/cam1"\nviews = ["top"]\n[retention]\n{retention}\n')
    return plant


class StoreServer(Server):
    """The store alone."""

    command, ready = "store", "/ping"

    def ask(self, sql: str | bytes, token: str | None = None, **query: str) -> httpx.Response:
        """A POST, as `default` unless a reader's token is given."""
        return store_ask(self.url, token or self.token, sql, **query)

    def reader(self, name: str = "grafana") -> str:
        """The token of a new reader."""
        line = [sys.executable, "-m", "sincewhen.cli", "store", "--data", str(self.data), "--add-reader", name]
        return subprocess.run(line, check=True, capture_output=True, text=True).stdout.strip()


def store_ask(url: str, token: str, sql: str | bytes, **query: str) -> httpx.Response:
    return httpx.post(url, content=sql, params=query, headers={"Authorization": f"Bearer {token}"}, timeout=60)
