"""The way to a Kafka broker: topic `frames`, keyed by station, so that a station's records stand in one partition.

Invariant: the first copy of each record stands at the broker behind the first copies of all older records of its
station. Whatever stands there in another place is a copy of one that stands before it, and the server knows copies by
(agent, boot, view, seq).

It holds because a record is handed to a producer only when every older one of its station is acknowledged (acks=all),
or is before it in the same upload, and an upload is, for each partition, one record batch, which a broker appends as a
whole or not at all:
- A batch is sent when it is complete and not before: `linger_ms` is longer than handing over may take (else the
  producer is thrown away with what it was given), `batch_size` is larger than an upload, and `flush` says when.
- A producer sends it again by itself (max_in_flight_requests_per_connection=1) until this module throws the producer
  away, long before its own `delivery_timeout_ms`: a batch that expires lets those behind it pass.
- A producer that was thrown away may still get its batch to the broker: these are copies by then.
- kafka-python splits a batch that is too large for its topic, and the parts would be no whole: that is switched off,
  and the publisher offers such records one by one.

Every failure throws the producer away: one that was once refused by a broker stays refused, and the default one,
idempotent, hangs for ever after an outage. The next attempt goes through `reached`, which says why where the client
does not.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sincewhen_edge.publish.publisher import Answer
from sincewhen_edge.publish.reach import reached
from sincewhen_edge.spool import Waiting
from sincewhen_schemas.kafka import FRAMES_TOPIC, KafkaSettings
from sincewhen_schemas.kafka_problem import not_served, problem_of

if TYPE_CHECKING:
    from kafka import KafkaProducer

ANSWER_S = 30.0  # how long an upload may go without an acknowledgement
_REQUEST_MS, _BOOTSTRAP_MS, _BLOCK_MS = 10_000, 5_000, 5_000
_LINGER_MS, _HANDING_S = 120_000, 30.0
_DELIVERY_MS = 3_600_000
_BATCH_BYTES, _REQUEST_BYTES = 2 * 1024**2, 8 * 1024**2
_SLICE_S, _STOP_S, _END_S = 0.2, 1.0, 1.0
_NEVER = {"MessageSizeTooLargeError", "RecordListTooLargeError", "InvalidRecordError"}
_KEEPALIVE = {"SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


class _Unsent(Exception):  # noqa: N818 - the unwell world, in words that say what to do
    """Nothing is known of an upload."""


class KafkaWay:
    """Its producer is made by the publisher's thread, so after any fork, and holds one upload at most."""

    upload_bytes = 900_000  # below max.message.bytes of a topic that nobody has set one for, 1 MiB

    def __init__(self, kafka: KafkaSettings, agent_id: str, answer_s: float = ANSWER_S) -> None:
        self._kafka, self._answer_s = kafka, answer_s
        self._client_id = f"sincewhen-edge-{agent_id}" if agent_id.isascii() else "sincewhen-edge"
        self.clock_offset_ns: int | None = None
        self._producer: KafkaProducer | None = None

    def send(self, records: Sequence[Waiting], stop: threading.Event, /) -> Answer:
        from kafka.errors import KafkaError  # noqa: PLC0415 - an extra

        try:
            futures = self._handed(records)
            self._flush(futures, stop)
            answer = self._answer(futures, stop)
        except _Unsent as unsent:
            answer = Answer(problem=str(unsent))
        except KafkaError as error:
            answer = Answer(problem=problem_of(error, self._kafka, FRAMES_TOPIC))
        if answer.problem and not answer.refused:
            self.close()
        return answer

    def close(self) -> None:
        """Throw the producer away with what it still has; its own `close` raises where it has any, and goes on."""
        producer, self._producer = self._producer, None
        if producer is not None:
            sender = producer._sender  # noqa: SLF001 - kafka-python has no other way to end its thread
            sender.force_close()
            sender.join(_END_S)
            with contextlib.suppress(Exception):  # there is nothing left that it could lose
                producer.close(timeout=0)

    def _handed(self, records: Sequence[Waiting]) -> list[Any]:
        producer = self._producer or self._connected()
        since = time.monotonic()
        futures = [
            producer.send(FRAMES_TOPIC, key=record.station_id.encode(), value=record.value) for record in records
        ]
        if time.monotonic() - since > _HANDING_S:
            raise _Unsent(f"this PC took over {_HANDING_S} s to hand over an upload: tried again; is it overloaded?")
        return futures

    def _flush(self, futures: Sequence[Any], stop: threading.Event) -> None:
        from kafka.errors import KafkaTimeoutError  # noqa: PLC0415 - an extra

        assert self._producer is not None
        until = time.monotonic() + self._answer_s
        stopping = False
        while time.monotonic() < until and not all(future.is_done for future in futures):
            with contextlib.suppress(KafkaTimeoutError):
                self._producer.flush(timeout=_SLICE_S)
            if stop.is_set() and not stopping:
                stopping, until = True, min(until, time.monotonic() + _STOP_S)

    def _answer(self, futures: Sequence[Any], stop: threading.Event) -> Answer:
        taken = [place for place, future in enumerate(futures) if future.succeeded()]
        failures = [future.exception for future in futures if future.failed()]
        if taken:
            appended_ns = (
                futures[taken[-1]].value.timestamp * 1_000_000
            )  # the broker's clock, as the card of frames says
            self.clock_offset_ns = appended_ns - time.time_ns()
        never = [error for error in failures if type(error).__name__ in _NEVER]
        if never:
            problem = problem_of(never[0], self._kafka, FRAMES_TOPIC)
            if len(futures) > 1:
                return Answer(taken, problem=problem, one_by_one=True)
            return Answer(refused={0: f"{type(never[0]).__name__}: {problem}"}, problem=problem)
        if failures:
            return Answer(taken, problem=problem_of(failures[0], self._kafka, FRAMES_TOPIC))
        if len(taken) == len(futures):
            return Answer(taken)
        waited = "before this agent stopped" if stop.is_set() else f"within {self._answer_s:.0f} s: is the broker well?"
        return Answer(
            taken, problem=f"no acknowledgement from {self._kafka.servers} {waited} The spool keeps the frames"
        )

    def _connected(self) -> "KafkaProducer":
        from kafka import KafkaProducer  # noqa: PLC0415 - an extra
        from kafka.errors import KafkaError, KafkaTimeoutError  # noqa: PLC0415 - an extra
        from kafka.net.compat import KafkaNetClient  # noqa: PLC0415 - an extra

        try:
            there = reached(self._kafka)
        except OSError as error:
            raise _Unsent(problem_of(error, self._kafka)) from error
        options = self._kafka.client_options()
        options["bootstrap_servers"] = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in there]
        clients: list[Any] = []
        try:
            producer = KafkaProducer(
                **options,
                **self._producer_options(),
                kafka_client=lambda **given: _kept(clients, KafkaNetClient(**given)),
            )
        except KafkaError as error:
            for client in clients:  # a producer that was not made keeps its sockets open
                client.close()
            if isinstance(error, KafkaTimeoutError):
                raise _Unsent(not_served(self._kafka)) from error
            raise
        producer._unregister_cleanup()  # noqa: SLF001 - else it holds up the host's exit
        producer._sender._can_split = lambda *_: False  # noqa: SLF001 - no setting does it, and a batch must stay whole
        self._producer = producer
        try:
            producer.partitions_for(FRAMES_TOPIC)
        except KafkaTimeoutError as error:
            raise _Unsent(
                f"{self._kafka.servers} shows no topic {FRAMES_TOPIC}: make it with sincewhen topics apply"
            ) from error
        return producer

    def _producer_options(self) -> dict[str, Any]:
        keepalive = [
            (socket.SOL_SOCKET if name.startswith("SO_") else socket.IPPROTO_TCP, getattr(socket, name), value)
            for name, value in _KEEPALIVE.items()
            if hasattr(socket, name)
        ]
        return {
            "client_id": self._client_id,
            "acks": "all",
            "enable_idempotence": False,
            "max_in_flight_requests_per_connection": 1,
            "linger_ms": _LINGER_MS,
            "batch_size": _BATCH_BYTES,
            "max_request_size": _REQUEST_BYTES,
            "request_timeout_ms": _REQUEST_MS,
            "delivery_timeout_ms": _DELIVERY_MS,
            "bootstrap_timeout_ms": _BOOTSTRAP_MS,
            "max_block_ms": _BLOCK_MS,
            "retry_backoff_ms": 500,
            "reconnect_backoff_max_ms": 5_000,
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
            "socket_options": [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *keepalive],
        }


def _kept(clients: list[Any], client: Any) -> Any:  # noqa: ANN401 - of an extra
    clients.append(client)
    return client
