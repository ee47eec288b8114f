"""A server of our own that answers as a test wants, and keeps what came."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias

from sincewhen.ingest.decode import decode
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.frames import Frames

PROBLEM_JSON = "application/problem+json"
Answer: TypeAlias = tuple[int, str, bytes]  # status, content type, body


def acknowledged(content: bytes, refused: tuple[tuple[int, str, str], ...] = ()) -> Answer:
    """What a SinceWhen server says to an upload; `refused`: index, reason, detail."""
    records = len(pb.RecordUpload.FromString(content).records)
    said: dict[str, object] = {"accepted": records, "server_time_ns": time.time_ns(), "of_a_later_release": 1}
    if refused:
        said["refused"] = [dict(zip(("index", "reason", "detail"), one, strict=True)) for one in refused]
    return 200, "application/json", json.dumps(said).encode()


@dataclass
class FakeServer:
    answer: Callable[[bytes], Answer] = acknowledged
    taken: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def frames(self) -> list[Frames]:
        """Of every upload, whatever the answer was; heartbeats are left out."""
        records = [
            record
            for path, _, content in self.taken
            if path == "/v1/frames"
            for record in pb.RecordUpload.FromString(content).records
        ]
        found = [
            decode(pb.StationRecord.FromString(record).station_id, record, time.time_ns(), lambda _: True)
            for record in records
        ]
        return [frames for frames in found if isinstance(frames, Frames)]


@contextmanager
def fake_server() -> Iterator[FakeServer]:
    fake = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            status, kind, body = fake.answer(content)
            fake.taken.append((self.path, dict(self.headers.items()), content))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        fake.url = f"http://127.0.0.1:{listening.server_port}"
        threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
        yield fake
        listening.shutdown()
