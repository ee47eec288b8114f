"""A real Alertmanager with the shipped routes, and who it notifies."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from sincewhen.stack.ports import free_port
from sincewhen_testing import needs

SHIPPED = Path(__file__).resolve().parents[2] / "deploy/alertmanager/alertmanager.yml"
_START_S = 60.0


class Alertmanager:
    """`start` and `stop` as often as wanted; group_wait of the shipped routes is shortened, as tests can't wait."""

    def __init__(self, folder: Path, group_wait: str = "2s") -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.pages: list[dict[str, Any]] = []  # notifications, as the webhook got them
        self._config = yaml.safe_load(SHIPPED.read_text())
        self._config["route"]["group_wait"] = group_wait
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "alertmanager.yml"
        path.write_text(yaml.safe_dump(self._config))
        line = ["prometheus-alertmanager", f"--config.file={path}", f"--storage.path={self.folder / 'data'}"]
        line += [f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address="]
        with (self.folder / "output.log").open("ab") as log:
            self._process = subprocess.Popen(line, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_S
        while not self._ready():
            assert self._process.poll() is None, (self.folder / "output.log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(30)

    def alerts(self) -> list[dict[str, Any]]:
        """Firing now."""
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/api/v2/alerts", timeout=10).json()
        return found

    def notifies(self, url: str) -> None:
        """Set before the start."""
        for receiver in self._config["receivers"]:
            receiver["webhook_configs"] = [{"url": url, "send_resolved": True}]

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=5).is_success
        except httpx.TransportError:
            return False


@contextmanager
def running_alertmanager(folder: Path, group_wait: str = "2s") -> Iterator[Alertmanager]:
    """With a webhook of its own behind it."""
    needs.alertmanager()
    manager = Alertmanager(folder, group_wait)

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            manager.pages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    hook = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=hook.serve_forever, daemon=True)
    thread.start()
    manager.notifies(f"http://127.0.0.1:{hook.server_port}/")
    try:
        yield manager
    finally:
        manager.stop()
        hook.shutdown()
        hook.server_close()
        thread.join()
