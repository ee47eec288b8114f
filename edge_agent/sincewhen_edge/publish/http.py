"""The way to a SinceWhen server or gateway over HTTP.

200 with a SinceWhen server's answer: it has them, except those it names as refused. 400, 413, 422 with a problem (RFC
9457) for one record alone: refused as well (several are first sent one by one). Anything else (a proxy's page is no
answer), or none: nothing is known of them.
"""

import threading
import time
from collections.abc import Sequence

import httpx
import msgspec

from sincewhen_edge.publish.publisher import Answer
from sincewhen_edge.spool import Waiting
from sincewhen_schemas.encode import encode_upload

_NEVER = {400, 413, 422}
_PROBLEM = "application/problem+json"
_TIMEOUT_S = 30.0
_SHOWN_CHARS = 200


class _Refusal(msgspec.Struct, frozen=True):
    index: int  # of the record in its upload
    reason: str
    detail: str = ""


class _Body(msgspec.Struct, frozen=True):
    accepted: int
    server_time_ns: int
    refused: tuple[_Refusal, ...] = ()


class HttpWay:
    upload_bytes = 4 * 1024 * 1024

    def __init__(self, server: str, token: str = "") -> None:
        self.server = server
        self.clock_offset_ns: int | None = None
        headers = {"Content-Type": "application/x-protobuf"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._client = httpx.Client(base_url=server, timeout=_TIMEOUT_S, headers=headers)

    def send(self, records: Sequence[Waiting], _stop: threading.Event, /) -> Answer:
        try:
            response = self._client.post("/v1/frames", content=encode_upload([record.value for record in records]))
        except httpx.HTTPError as error:
            return Answer(problem=f"no answer from {self.server} ({error}): the spool keeps the frames")
        if response.status_code != httpx.codes.OK:
            return self._refusal(response, len(records))
        try:
            body = _decoded(response.content, len(records))
        except ValueError as error:
            return Answer(
                problem=f"{self.server} answered 200, but not as a SinceWhen server ({error}): is this its address, "
                "and no proxy's page? The spool keeps the frames"
            )
        self.clock_offset_ns = body.server_time_ns - time.time_ns()
        refused = {one.index: f"{one.reason}: {one.detail}" for one in body.refused}
        return Answer([place for place in range(len(records)) if place not in refused], refused)

    def close(self) -> None:
        self._client.close()

    def _refusal(self, response: httpx.Response, records: int) -> Answer:
        problem = f"{self.server} answered {response.status_code}: {response.text[:_SHOWN_CHARS]}"
        if response.status_code not in _NEVER:
            return Answer(problem=problem)
        if records > 1:
            return Answer(problem=problem, one_by_one=True)
        its_own = response.headers.get("Content-Type", "").startswith(_PROBLEM)
        return Answer(refused={0: problem} if its_own else {}, problem=problem)


def _decoded(content: bytes, records: int) -> _Body:
    """Raises ValueError where it is no answer to an upload of so many records."""
    body = msgspec.json.decode(content, type=_Body)
    if not all(0 <= one.index < records for one in body.refused):
        raise ValueError(f"it refuses others than the {records} records that it got")
    return body
