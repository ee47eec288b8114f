"""The agent beside a model: `observe` takes a frame in and returns; a worker thread does the rest.

Promises to the host
- `observe` and the hooks never raise and never wait (unless `wait=True`, for archives); what can't be taken is
  dropped and counted by reason.
- Nothing that the host hands over ends the worker, and `flush` and `close` end also without it.
- The queue between them is bounded; when it is full the newest frame is dropped.
- Every frame has its sequence number before anything can drop it, so a drop is a gap that the server sees.
"""

import contextlib
import os
import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from sincewhen_edge.batch import WAIT_NS_MAX, Batcher, Record
from sincewhen_edge.counts import Counts
from sincewhen_edge.fit import is_id, unicode
from sincewhen_edge.pictures import count, reduced
from sincewhen_edge.publish import way_of
from sincewhen_edge.publish.publisher import Publisher
from sincewhen_edge.settings import Settings, load_settings
from sincewhen_edge.share import CoreShare
from sincewhen_edge.spool import Progress, Spool, SpoolFull
from sincewhen_edge.taken import Taken, Unpacker
from sincewhen_edge.tap import Module, Tap
from sincewhen_edge.tensors import Value, hold
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.encode import encode_heartbeat
from sincewhen_schemas.frames import PURPOSES, Purpose

AGENT_VERSION = "0.1.0"
_FULL_PAUSE_S = 0.2
_POLL_S = 0.1
Context: TypeAlias = Mapping[str, object]


class EdgeAgent:
    """One station of one process. Make it after a fork, never before."""

    def __init__(self, settings: Settings, *, publish: bool = True) -> None:
        self.settings = settings
        self.boot_id = uuid.uuid4().hex
        self.spool = Spool(settings.spool_path, settings.spool.bytes_max)
        self._counts = Counts()
        self.publisher = Publisher(
            self.spool, way_of(settings), self._heartbeat, self._counts, settings.limits.send_bytes_per_s
        )
        self._captured = 0
        self._source_stopped = False
        self._producing: bool | None = None
        self._lock = threading.Lock()  # held for a counter's time only
        self._next_seq: dict[str, int] = {}
        self._tap = Tap(self._counts.left_out)
        self._share = CoreShare(settings.limits.factors_core_share)
        self._unpacker = Unpacker(settings.model, self._share, self._counts)
        self._batcher = Batcher(settings, self.boot_id, self._counts)
        self._queue: queue.Queue[Taken | threading.Event] = queue.Queue(settings.limits.queue_frames)
        self._pid = os.getpid()
        self._closed = settings.mode == "off"
        self._worker = threading.Thread(target=self._work, name="sincewhen-edge", daemon=True)
        if not self._closed:
            self._worker.start()
            if publish:
                self.publisher.start()

    @classmethod
    def from_toml(cls, path: Path | str, *, publish: bool = True) -> "EdgeAgent":
        """Raises SettingsError on a wrong file, SpoolError where the spool can't be opened."""
        return cls(load_settings(Path(path)), publish=publish)

    def watch(self, model: Module, layers: Mapping[str, Module | str]) -> None:
        """Take pooled embeddings of these layers (a module of the model or its dotted name) from now on.

        Raises ValueError that lists the model's layers where one is not there.
        """
        if not self._closed:
            self._tap.watch(model, layers)

    def observe(
        self,
        *,
        image: Value = None,
        output: Value = None,
        layers: Mapping[str, Value] | None = None,
        signals: Mapping[str, Value] | None = None,
        material_lots: Mapping[tuple[str, str], object] | None = None,
        attributes: Context | None = None,
        captured_at_ns: int | list[int] | tuple[int, ...] | None = None,
        view: str = "",
        purpose: Purpose | None = None,
        progress: Progress | None = None,
        wait: bool = False,
        **context: object,
    ) -> bool:
        """Take in what the model just saw, in the thread that called it; False where it was dropped.

        `image`: PIL, uint8 (H, W, 3), or float (C, H, W) or (N, C, H, W); with N > 1 these are N frames and a list or
        tuple of N in `context`, `signals` or `captured_at_ns` is one value a frame. `layers`: embeddings of your own,
        (N, d) or (d,), beside those of `watch`. `context`: lot, supplier_lot, sku, recipe, operator, unit_id, attempt;
        any other name is an attribute; `attributes` takes names that are no Python words. `material_lots`: the lot by
        (material, supplier). `progress`: stored with the frame (Spool.progress).
        """
        if self._closed or os.getpid() != self._pid:
            return False
        try:
            taken = self._take(
                image,
                output,
                layers,
                signals,
                material_lots,
                captured_at_ns,
                view,
                purpose,
                progress,
                wait,
                {**self._mapping(attributes), **context},
            )
        except Exception as error:  # noqa: BLE001 - the host's boundary: the line runs on
            self._counts.dropped("unreadable", error=error)
            return False
        return taken is not None and self._queued(taken)

    def producing(self, state: bool | None) -> None:  # noqa: FBT001 - the PLC's running flag
        """Tell whether the station is producing; None = not known. It travels in the heartbeat."""
        self._producing = None if state is None else bool(state)

    @property
    def counts(self) -> dict[str, int]:
        """captured, and dropped or left out by reason, since the start."""
        with self._lock:
            captured = self._captured
        return {"captured": captured, **self._counts.by_reason()}

    def flush(self) -> None:
        """Wait until every frame taken so far is in the spool, or dropped; for archives, never on a line."""
        done = threading.Event()
        asked = False
        while self._worker.is_alive() and not done.wait(_POLL_S if asked else 0):
            if not asked:
                asked = self._put(done, _POLL_S)

    def close(self) -> None:
        """Unhook, spool what waits, stop publishing, all in at most limits.close_s; the spool keeps the rest."""
        until = time.monotonic() + self.settings.limits.close_s
        self._closed = True
        self._tap.close()
        if self._worker.is_alive():
            self._worker.join(self.settings.limits.close_s)
        while True:
            try:
                left = self._queue.get_nowait()
            except queue.Empty:
                break
            if isinstance(left, Taken):
                self._counts.dropped("closed", left.n)
        self.publisher.stop(max(0.0, until - time.monotonic()))
        if not self._worker.is_alive():
            self.spool.close()

    def _queued(self, taken: Taken) -> bool:
        """Whether there is room for it; with `wait`, once there is."""
        while not self._put(taken, _POLL_S if taken.wait else 0):
            if not taken.wait or self._closed or not self._worker.is_alive():
                self._counts.dropped("closed" if self._closed else "queue_full", taken.n)
                return False
        return True

    def _put(self, item: Taken | threading.Event, timeout_s: float) -> bool:
        try:
            self._queue.put(item, block=timeout_s > 0, timeout=timeout_s or None)
        except queue.Full:
            return False
        return True

    def _take(
        self,
        image: Value,
        output: Value,
        layers: Mapping[str, Value] | None,
        signals: Mapping[str, Value] | None,
        material_lots: Mapping[tuple[str, str], object] | None,
        captured_at_ns: int | list[int] | tuple[int, ...] | None,
        view: str,
        purpose: Purpose | None,
        progress: Progress | None,
        wait: bool,  # noqa: FBT001 - passed on from observe
        context: Context,
    ) -> Taken | None:
        tapped = self._tap.take()
        if captured_at_ns is None:
            captured_at_ns = time.time_ns()
        n, unreadable = _frames(image, output, tapped, captured_at_ns)
        view = unicode(view or self.settings.view) if isinstance(view, str) else view
        if not is_id(view):
            self._counts.dropped("bad_view", n)
            return None
        with self._lock:
            first_seq = self._next_seq.get(view, 0)
            self._next_seq[view] = first_seq + n
            self._captured += n
        if unreadable is not None:
            self._counts.left_out("image_unreadable", n, unreadable)
            image = None
        purpose = purpose or self.settings.purpose
        if purpose not in PURPOSES:
            raise ValueError(f"purpose is one of {PURPOSES}; got {purpose!r}")
        return Taken(
            view=view,
            purpose=purpose,
            first_seq=first_seq,
            n=n,
            captured_at_ns=tuple(captured_at_ns) if isinstance(captured_at_ns, list | tuple) else (captured_at_ns,) * n,
            layers={**tapped, **hold(self._mapping(layers))},
            output=hold(output),
            small=self._small(image, n, always=wait),
            signals=hold(self._mapping(signals)),
            context=context,
            material_lots=self._mapping(material_lots),
            progress=progress,
            wait=wait,
        )

    def _small(self, image: Value, n: int, *, always: bool) -> Value:
        """A copy for the image factors, as far as their share of a core allows one."""
        if image is None or not (always or self._share.allows()):
            return None
        try:
            with self._share.spending():
                return reduced(image)
        except Exception as error:  # noqa: BLE001 - the host's boundary: an odd image is not the frame's fault
            self._counts.left_out("image_unreadable", n, error)
            return None

    def _mapping(self, given: Mapping[Any, Any] | None) -> dict[Any, Any]:
        """A copy, because the host goes on with its own."""
        if given is None or isinstance(given, Mapping):
            return dict(given or {})
        self._counts.left_out("not_a_mapping")
        return {}

    def _work(self) -> None:
        ended = False
        while not ended:
            item: Taken | threading.Event | None = None
            with contextlib.suppress(queue.Empty):  # then what waits in a batch may be due
                item = self._queue.get(timeout=WAIT_NS_MAX / 2e9)
            ended = self._closed and self._queue.empty()
            try:
                self._do(item, last=ended)
            except Exception as error:  # noqa: BLE001 - the host's boundary: one call's fault is not the next one's
                self._counts.dropped("unreadable", item.n if isinstance(item, Taken) else 0, error)
            if isinstance(item, threading.Event):
                item.set()

    def _do(self, item: Taken | threading.Event | None, *, last: bool) -> None:
        """Spool what is complete: frames of a call, everything (an Event, or the last one), what is due (None)."""
        wait = item.wait if isinstance(item, Taken) else item is not None
        if isinstance(item, Taken):
            for frame in self._unpacker.frames(item, time.time_ns()):
                self._spool(self._batcher.add(frame, time.monotonic_ns()), wait=wait)
        everything = last or isinstance(item, threading.Event)
        self._spool(self._batcher.flush() if everything else self._batcher.due(time.monotonic_ns()), wait=wait)

    def _spool(self, records: list[Record], *, wait: bool) -> None:
        """Behind a record that was not taken a source stops: started again, it goes on there, and no row is missing."""
        for record in records:
            if record.progress and self._source_stopped:
                self._counts.dropped("source_stopped", record.frames)
                continue
            while (reason := self._spooled(record)) == "spool_full" and wait and not self._closed:
                time.sleep(_FULL_PAUSE_S)
            if reason:
                self._counts.dropped(reason, record.frames)
                self._source_stopped |= record.progress is not None

    def _spooled(self, record: Record) -> str:
        """Why it was not taken; "" where it was."""
        try:
            self.spool.put(self.settings.station_id, record.value, record.captured_at_ns, record.progress)
        except SpoolFull:
            return "spool_full"
        except Exception as error:  # noqa: BLE001 - the host's boundary: one record's fault is not the next one's
            self._counts.dropped("spool_unwell", 0, error)
            return "spool_unwell"
        return ""

    def _heartbeat(self, depth_records: int, depth_bytes: int, oldest_ns: int | None) -> bytes:
        """What the publisher sends every 10 s."""
        counts = self.counts
        beat = pb.Heartbeat(
            agent_id=self.settings.agent_id,
            boot_id=self.boot_id,
            view=self.settings.view,
            sent_at_ns=time.time_ns(),
            mode=pb.AGENT_MODE_OBSERVE,
            captured=counts.pop("captured"),
            dropped=counts,
            spool_records=depth_records,
            spool_bytes=depth_bytes,
            agent_version=AGENT_VERSION,
        )
        if self._producing is not None:
            beat.producing = self._producing
        if oldest_ns is not None:
            beat.oldest_captured_at_ns = oldest_ns
        if self.publisher.clock_offset_ns is not None:
            beat.clock_offset_ns = self.publisher.clock_offset_ns
        return encode_heartbeat(self.settings.station_id, beat)


def _frames(
    image: Value, output: Value, tapped: Mapping[str, Value], captured_at_ns: int | list[int] | tuple[int, ...]
) -> tuple[int, Exception | None]:
    """How many frames one call stands for, and why its image can't tell."""
    unreadable = None
    if image is not None:
        try:
            return count(image), None
        except ValueError as error:
            unreadable = error
    if isinstance(captured_at_ns, list | tuple):
        return len(captured_at_ns), unreadable
    shape: Callable[[Value], tuple[int, ...]] = lambda value: tuple(getattr(value, "shape", ()))  # noqa: E731 - one use
    if len(shape(output)) == 2:  # noqa: PLR2004 - rows of scores
        return shape(output)[0], unreadable
    rows = [shape(held.values) for held in tapped.values()]
    return (rows[0][0] if rows and len(rows[0]) > 1 else 1), unreadable
