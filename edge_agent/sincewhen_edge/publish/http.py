"""The spool's way to the server over HTTP: oldest first, one upload in flight, nothing deleted before the answer.

200 with a SinceWhen server's answer: it has them, except those it names as refused. 400, 413, 422 with a problem
(RFC 9457) for one record alone: refused as well (several are first sent one by one). Refused records are set aside with
the reason and counted. Anything else (a proxy's page is no answer), or none: tried again for ever, with growing pauses
of at most `PAUSE_S_MAX` and jitter. Nothing but `stop` ends the thread.
A heartbeat goes every `HEARTBEAT_S` in an upload of its own, and is not kept: it speaks of now.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx
import msgspec

from sincewhen_edge.counts import Counts
from sincewhen_edge.spool import Spool, Waiting
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.encode import encode_upload

UPLOAD_RECORDS = 32
UPLOAD_BYTES = 4 * 1024 * 1024
PAUSE_S_MIN, PAUSE_S_MAX = 0.2, 15.0
HEARTBEAT_S = 10.0
_NEVER = {400, 413, 422}
_PROBLEM = "application/problem+json"
_IDLE_S, _TIMEOUT_S, _FAULT_PAUSE_S = 0.1, 30.0, 1.0
_SHOWN_CHARS = 200
log = logging.getLogger("sincewhen_edge")


class _Refusal(msgspec.Struct, frozen=True):
    index: int  # of the record in its upload
    reason: str
    detail: str = ""


class _Answer(msgspec.Struct, frozen=True):
    accepted: int
    server_time_ns: int
    refused: tuple[_Refusal, ...] = ()


@dataclass(slots=True)
class HttpPublisher:
    """Runs in a thread of its own from `start` to `stop`."""

    spool: Spool
    server: str
    token: str = ""
    heartbeat: Callable[[int, int, int | None], bytes] | None = None  # of records, bytes, oldest in the spool
    counts: Counts = field(default_factory=Counts)
    clock_offset_ns: int | None = None  # server minus this PC, at the last answer
    refused: int = 0  # records, since the start
    problem: str = ""  # why the last upload did not succeed; "" when it did
    _stop: threading.Event = field(default_factory=threading.Event)
    _beat_at: float = 0.0  # monotonic seconds
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
        headers = {"Content-Type": "application/x-protobuf"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        while not self._stop.is_set():
            try:
                with httpx.Client(base_url=self.server, timeout=_TIMEOUT_S, headers=headers) as client:
                    self._uploads(client)
            except Exception as error:  # noqa: BLE001 - the host's boundary: whatever is unwell, sending goes on after it
                self._tell(f"{type(error).__name__}: {error}: tried again")
                self._stop.wait(_FAULT_PAUSE_S)

    def _uploads(self, client: httpx.Client) -> None:
        pause_s = PAUSE_S_MIN
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
        self._post(client, [self.heartbeat(depth.records, depth.bytes, depth.oldest_captured_at_ns)])

    def _send(self, client: httpx.Client, waiting: list[Waiting]) -> bool:
        """Whether the server has said of each that it has it, or never takes it."""
        answer = self._post(client, [record.value for record in waiting])
        if isinstance(answer, _Answer):
            self._settle(waiting, {one.index: f"{one.reason}: {one.detail}" for one in answer.refused})
            return True
        if answer is None or answer.status_code not in _NEVER:
            return False
        if len(waiting) > 1:
            return all(not self._stop.is_set() and self._send(client, [record]) for record in waiting)
        if not answer.headers.get("Content-Type", "").startswith(_PROBLEM):
            return False
        self._settle(waiting, {0: self.problem})
        return True

    def _post(self, client: httpx.Client, records: Sequence[bytes]) -> _Answer | httpx.Response | None:
        """What a SinceWhen server says; a response that is no acknowledgement; None where there is none."""
        try:
            response = client.post("/v1/frames", content=encode_upload(records))
        except httpx.HTTPError as error:
            self._tell(f"no answer from {self.server} ({error}): the spool keeps the frames")
            return None
        if response.status_code != httpx.codes.OK:
            self._tell(f"{self.server} answered {response.status_code}: {response.text[:_SHOWN_CHARS]}")
            return response
        try:
            answer = _decoded(response.content, len(records))
        except ValueError as error:
            self._tell(
                f"{self.server} answered 200, but not as a SinceWhen server ({error}): is this its address, and no "
                "proxy's page? The spool keeps the frames"
            )
            return response
        self.clock_offset_ns = answer.server_time_ns - time.time_ns()
        self._tell("")
        return answer

    def _settle(self, waiting: list[Waiting], refused: dict[int, str]) -> None:
        """Take what was answered out of the spool; `refused` by index."""
        self.spool.acknowledge(
            [record.id for index, record in enumerate(waiting) if index not in refused],
            {waiting[index].id: reason for index, reason in refused.items()},
        )
        self.refused += len(refused)
        for index, reason in refused.items():
            frames = pb.StationRecord.FromString(waiting[index].value).frames.n
            self.counts.dropped("refused_by_server", frames, ValueError(reason))

    def _tell(self, problem: str) -> None:
        """Keep it; the first one after a success, and the first success after one, is also said."""
        if problem and not self.problem:
            log.warning("sending_failed problem=%s", problem)
        if self.problem and not problem:
            log.warning("sending_recovered")
        self.problem = problem


def _decoded(content: bytes, records: int) -> _Answer:
    """Raises ValueError where it is no answer to an upload of so many records."""
    answer = msgspec.json.decode(content, type=_Answer)
    if not all(0 <= one.index < records for one in answer.refused):
        raise ValueError(f"it refuses others than the {records} records that it got")
    return answer
