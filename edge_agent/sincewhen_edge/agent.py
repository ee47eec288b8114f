"""The agent beside a model: `observe` takes a frame in and returns; a worker thread does the rest.

Promises to the host
- `observe` and the hooks never raise and never wait (unless `wait=True`, for archives); what can't be taken is
  dropped and counted by reason.
- The queue between them is bounded; when it is full the newest frame is dropped.
- Every frame has its sequence number before anything can drop it, so a drop is a gap that the server sees.
"""

import logging
import os
import queue
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np

from sincewhen_edge.adapters import Judged, judge
from sincewhen_edge.batch import WAIT_NS_MAX, Batcher, Frame, Record
from sincewhen_edge.factors import image_factors
from sincewhen_edge.pictures import count, pictures, reduced
from sincewhen_edge.publish import HttpPublisher
from sincewhen_edge.settings import Settings, load_settings
from sincewhen_edge.share import CoreShare
from sincewhen_edge.spool import Spool, SpoolError, SpoolFull
from sincewhen_edge.tap import Module, Tap
from sincewhen_edge.tensors import Value, hold, settle
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.encode import encode_heartbeat
from sincewhen_schemas.frames import PURPOSES, Purpose

AGENT_VERSION = "0.1.0"
_FULL_PAUSE_S = 0.2
log = logging.getLogger("sincewhen_edge")
Context: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Taken:
    """What `observe` hands to the worker: n frames of one call, numbered from first_seq."""

    view: str
    purpose: Purpose
    first_seq: int
    n: int
    captured_at_ns: tuple[int, ...]
    layers: Mapping[str, Value]
    output: Value
    small: Value
    signals: Mapping[str, Value]
    context: Context
    material_lots: Mapping[tuple[str, str], str]
    progress: tuple[str, int] | None
    wait: bool


class EdgeAgent:
    """One station of one process. Make it after a fork, never before."""

    def __init__(self, settings: Settings, *, publish: bool = True) -> None:
        self.settings = settings
        self.boot_id = uuid.uuid4().hex
        self.spool = Spool(settings.spool_path, settings.spool.bytes_max)
        self.publisher = HttpPublisher(self.spool, settings.server, settings.token, self._heartbeat)
        self._counts: Counter[str] = Counter()
        self._captured = 0
        self._producing: bool | None = None
        self._lock = threading.Lock()  # held for a counter's time only
        self._next_seq: dict[str, int] = {}
        self._tap = Tap(self._drop)
        self._share = CoreShare(settings.limits.factors_core_share)
        self._batcher = Batcher(settings, self.boot_id)
        self._queue: queue.Queue[_Taken | threading.Event] = queue.Queue(settings.limits.queue_frames)
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
        material_lots: Mapping[tuple[str, str], str] | None = None,
        attributes: Context | None = None,
        captured_at_ns: int | tuple[int, ...] | None = None,
        view: str = "",
        purpose: Purpose | None = None,
        progress: tuple[str, int] | None = None,
        wait: bool = False,
        **context: object,
    ) -> bool:
        """Take in what the model just saw, in the thread that called it; False where it was dropped.

        `image`: PIL, uint8 (H, W, 3), or float (C, H, W) or (N, C, H, W); with N > 1 these are N frames and a list or
        tuple of N in `context`, `signals` or `captured_at_ns` is one value a frame. `layers`: embeddings of your own,
        (N, d) or (d,), beside those of `watch`. `context`: lot, supplier_lot, sku, recipe, operator, unit_id, attempt;
        any other name is an attribute; `attributes` takes names that are no Python words. `progress`: stored with
        the frame (Spool.progress).
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
                {**(attributes or {}), **context},
            )
        except Exception as error:  # noqa: BLE001 - the host's boundary: the line runs on
            self._drop("unreadable", error=error)
            return False
        try:
            self._queue.put(taken, block=wait)
        except queue.Full:
            self._drop("queue_full", taken.n)
            return False
        return True

    def producing(self, state: bool | None) -> None:  # noqa: FBT001 - the PLC's running flag
        """Tell whether the station is producing; None = not known. It travels in the heartbeat."""
        self._producing = state

    @property
    def counts(self) -> dict[str, int]:
        """captured, and dropped or left out by reason, since the start."""
        with self._lock:
            return {"captured": self._captured, **(+(self._counts + self._batcher.left_out))}

    def flush(self) -> None:
        """Wait until every frame taken so far is in the spool; for archives, never on a line."""
        done = threading.Event()
        self._queue.put(done)
        done.wait()

    def close(self) -> None:
        """Unhook, spool what waits (at most limits.close_s), stop publishing; the spool keeps the rest."""
        self._tap.close()
        if self._worker.is_alive():
            self._closed = True
            try:
                self._queue.put(threading.Event(), timeout=self.settings.limits.close_s)
            except queue.Full:
                self._drop("closed", self._queue.qsize())
            self._worker.join(self.settings.limits.close_s)
        self.publisher.stop()
        if not self._worker.is_alive():
            self.spool.close()

    def _take(
        self,
        image: Value,
        output: Value,
        layers: Mapping[str, Value] | None,
        signals: Mapping[str, Value] | None,
        material_lots: Mapping[tuple[str, str], str] | None,
        captured_at_ns: int | tuple[int, ...] | None,
        view: str,
        purpose: Purpose | None,
        progress: tuple[str, int] | None,
        wait: bool,  # noqa: FBT001 - passed on from observe
        context: Context,
    ) -> _Taken:
        view = view or self.settings.view
        tapped = self._tap.take()
        if captured_at_ns is None:
            captured_at_ns = time.time_ns()
        n, unreadable = _frames(image, output, tapped, captured_at_ns)
        with self._lock:
            first_seq = self._next_seq.get(view, 0)
            self._next_seq[view] = first_seq + n
            self._captured += n
        if unreadable is not None:
            self._drop("image_unreadable", n, left_out=True, error=unreadable)
            image = None
        small = None
        if image is not None and (wait or self._share.allows()):
            with self._share.spending():
                small = reduced(image)
        purpose = purpose or self.settings.purpose
        if purpose not in PURPOSES:
            raise ValueError(f"purpose is one of {PURPOSES}; got {purpose!r}")
        return _Taken(
            view=view,
            purpose=purpose,
            first_seq=first_seq,
            n=n,
            captured_at_ns=captured_at_ns if isinstance(captured_at_ns, tuple) else (captured_at_ns,) * n,
            layers={**tapped, **hold(dict(layers or {}))},
            output=hold(output),
            small=small,
            signals=hold(dict(signals or {})),
            context=context,
            material_lots=material_lots or {},
            progress=progress,
            wait=wait,
        )

    def _work(self) -> None:
        while True:
            try:
                taken = self._queue.get(timeout=WAIT_NS_MAX / 2e9)
            except queue.Empty:
                self._spool(self._batcher.due(time.monotonic_ns()), wait=False)
                continue
            if isinstance(taken, threading.Event):
                self._spool(self._batcher.flush(), wait=not self._closed)
                taken.set()
            else:
                self._batch(taken)
            if self._closed and self._queue.empty():
                self._spool(self._batcher.flush(), wait=False)
                return

    def _batch(self, taken: _Taken) -> None:
        try:
            frames = self._frames(taken)
        except Exception as error:  # noqa: BLE001 - the host's boundary: one frame's fault is not the next one's
            self._drop("unreadable", taken.n, error=error)
            return
        for frame in frames:
            self._spool(self._batcher.add(frame, time.monotonic_ns()), wait=taken.wait)
        self._spool(self._batcher.due(time.monotonic_ns()), wait=taken.wait)

    def _frames(self, taken: _Taken) -> list[Frame]:
        n = taken.n
        layers: dict[str, np.ndarray] = {}
        for name, held in taken.layers.items():
            values = np.asarray(settle(held), np.float32)
            values = values.reshape(n, -1) if n == 1 else values
            if len(values) == n and values.ndim == 2:  # noqa: PLR2004 - rows of embeddings
                layers[name] = values
            else:
                self._drop("embedding_rows", n, left_out=True)
        judged = self._judged(taken)
        factors: list[Mapping[str, float]] = [{}] * n
        if taken.small is not None:
            with self._share.spending():
                factors = [image_factors(picture) for picture in pictures(settle(taken.small), self.settings.model)]
        signals, context = settle(taken.signals), taken.context
        return [
            Frame(
                seq=taken.first_seq + row,
                captured_at_ns=int(taken.captured_at_ns[row]),
                view=taken.view,
                purpose=taken.purpose,
                layers={name: values[row] for name, values in layers.items()},
                decision=judged.decision[row] if judged else "",
                confidence=float(judged.confidence[row]) if judged else float("nan"),
                scores=judged.scores[row] if judged and judged.scores is not None else None,
                classes=judged.classes if judged else (),
                factors=factors[row],
                signals={name: float(cast("float", _of(value, row, n))) for name, value in signals.items()},
                context={name: _of(value, row, n) for name, value in context.items()},
                material_lots=taken.material_lots,
                progress=taken.progress if row == n - 1 else None,
            )
            for row in range(n)
        ]

    def _judged(self, taken: _Taken) -> Judged | None:
        if taken.output is None:
            return None
        try:
            judged = judge(settle(taken.output), self.settings.model)
        except (ValueError, TypeError, KeyError) as error:
            self._drop("output_unreadable", taken.n, left_out=True, error=error)
            return None
        if len(judged.decision) != taken.n:
            self._drop("output_rows", taken.n, left_out=True)
            return None
        return judged

    def _spool(self, records: list[Record], *, wait: bool) -> None:
        for record in records:
            while not self._put(record):
                if not wait or self._closed:
                    self._drop("spool_full", record.frames)
                    break
                time.sleep(_FULL_PAUSE_S)

    def _put(self, record: Record) -> bool:
        try:
            self.spool.put(self.settings.station_id, record.value, record.captured_at_ns, record.progress)
        except SpoolFull:
            return False
        except SpoolError as error:
            self._drop("spool_unwell", record.frames, error=error)
        return True

    def _drop(self, reason: str, n: int = 1, *, left_out: bool = False, error: Exception | None = None) -> None:
        """Count; say it once a reason. `left_out`: the frame itself goes on without the value."""
        with self._lock:
            first = reason not in self._counts
            self._counts[reason] += n
        if first:
            what = "value_left_out" if left_out else "frame_dropped"
            log.warning("%s reason=%s %s", what, reason, "" if error is None else f"error={error!r}")

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
    image: Value, output: Value, tapped: Mapping[str, Value], captured_at_ns: int | tuple[int, ...]
) -> tuple[int, Exception | None]:
    """How many frames one call stands for, and why its image can't tell."""
    unreadable = None
    if image is not None:
        try:
            return count(image), None
        except ValueError as error:
            unreadable = error
    if isinstance(captured_at_ns, tuple):
        return len(captured_at_ns), unreadable
    shape: Callable[[Value], tuple[int, ...]] = lambda value: tuple(getattr(value, "shape", ()))  # noqa: E731 - one use
    if len(shape(output)) == 2:  # noqa: PLR2004 - rows of scores
        return shape(output)[0], unreadable
    rows = [shape(held.values) for held in tapped.values()]
    return (rows[0][0] if rows and len(rows[0]) > 1 else 1), unreadable


def _of(value: object, row: int, n: int) -> object:
    """The row's value where there is one a frame."""
    if n > 1 and isinstance(value, list | tuple | np.ndarray) and len(value) == n:
        return value[row]
    return value
