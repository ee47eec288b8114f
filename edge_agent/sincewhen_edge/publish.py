"""The spool's way to the server over HTTP: oldest first, one upload in flight, nothing deleted before the answer.

200: the server has them. 400, 413, 422 for one record alone: set aside with the reason (several are first sent one by
one). Anything else, or no answer: tried again for ever, with growing pauses of at most `PAUSE_S_MAX` and jitter.
A heartbeat goes every `HEARTBEAT_S` in an upload of its own, and is not kept: it speaks of now.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from sincewhen_edge.spool import Spool, SpoolError, Waiting
from sincewhen_schemas.encode import encode_upload

UPLOAD_RECORDS = 32
UPLOAD_BYTES = 4 * 1024 * 1024
PAUSE_S_MIN, PAUSE_S_MAX = 0.2, 15.0
HEARTBEAT_S = 10.0
_NEVER = {400, 413, 422}
_IDLE_S, _TIMEOUT_S = 0.1, 30.0


@dataclass(slots=True)
class HttpPublisher:
    """Runs in a thread of its own from `start` to `stop`."""

    spool: Spool
    server: str
    token: str = ""
    heartbeat: Callable[[int, int, int | None], bytes] | None = None  # of records, bytes, oldest in the spool
    clock_offset_ns: int | None = None  # server minus this PC, at the last answer
    problem: str = ""  # why the last upload did not succeed; "" when it did
    _stop: threading.Event = field(default_factory=threading.Event)
    _beat_at: float = 0.0  # monotonic seconds
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def drain(self, timeout_s: float) -> bool:
        """Wait until the spool is empty; False when time is up first."""
        pause = threading.Event()
        for _ in range(int(timeout_s / _IDLE_S)):
            if self.spool.depth().records == 0:
                return True
            pause.wait(_IDLE_S)
        return self.spool.depth().records == 0

    def _run(self) -> None:
        pause_s = PAUSE_S_MIN
        headers = {"Content-Type": "application/x-protobuf"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        with httpx.Client(base_url=self.server, timeout=_TIMEOUT_S, headers=headers) as client:
            while not self._stop.is_set():
                self._beat(client)
                waiting = self.spool.oldest(UPLOAD_RECORDS, UPLOAD_BYTES)
                if not waiting:
                    self._stop.wait(_IDLE_S)
                elif self._send(client, waiting):
                    pause_s = PAUSE_S_MIN
                else:
                    self._stop.wait(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
                    pause_s = min(PAUSE_S_MAX, pause_s * 2)

    def _beat(self, client: httpx.Client) -> None:
        if self.heartbeat is None or time.monotonic() - self._beat_at < HEARTBEAT_S:
            return
        self._beat_at = time.monotonic()
        depth = self.spool.depth()
        record = self.heartbeat(depth.records, depth.bytes, depth.oldest_captured_at_ns)
        try:
            self._learn_clock(client.post("/v1/frames", content=encode_upload([record])))
        except httpx.HTTPError as error:
            self.problem = f"no answer from {self.server} ({error}): the spool keeps the frames"

    def _learn_clock(self, answer: httpx.Response) -> None:
        if answer.status_code == httpx.codes.OK:
            self.clock_offset_ns = int(answer.json()["server_time_ns"]) - time.time_ns()

    def _acknowledged(self, waiting: list[Waiting]) -> bool:
        try:
            self.spool.acknowledge([record.id for record in waiting])
        except SpoolError as error:  # sent again later: the server counts them once
            self.problem = str(error)
            return False
        self.problem = ""
        return True

    def _send(self, client: httpx.Client, waiting: list[Waiting]) -> bool:
        """Whether the spool got shorter."""
        try:
            answer = client.post("/v1/frames", content=encode_upload([record.value for record in waiting]))
        except httpx.HTTPError as error:
            self.problem = f"no answer from {self.server} ({error}): the spool keeps the frames"
            return False
        if answer.status_code == httpx.codes.OK:
            self._learn_clock(answer)
            return self._acknowledged(waiting)
        self.problem = f"{self.server} answered {answer.status_code}: {answer.text[:200]}"
        if answer.status_code not in _NEVER:
            return False
        if len(waiting) == 1:
            self.spool.refuse(waiting[0].id, self.problem)
            return True
        return all(self._send(client, [record]) for record in waiting)
