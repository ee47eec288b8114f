"""Images through a model, as if they came from the line: an archive with an index, or a folder as it fills."""

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sincewhen_edge.agent import EdgeAgent
from sincewhen_edge.fit import TIMES, untimely
from sincewhen_edge.sources.pace import Pace
from sincewhen_edge.sources.rows import Row
from sincewhen_edge.spool import Progress
from sincewhen_edge.tensors import Value

BATCH_IMAGES = 8
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
_SETTLED_NS = 1_000_000_000  # a file that has not changed for so long is written
_POLL_S, _SCAN_SHARE = 0.5, 5  # a scan takes at most one part in _SCAN_SHARE + 1 of the time


class Embedder(Protocol):
    """A model over images."""

    name: str
    version: str

    def __call__(self, images: Sequence[Image.Image]) -> tuple[dict[str, NDArray[np.float32]], Value]:
        """Embeddings by layer (n, d), and what the model decides (None where it decides nothing)."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One image file on its way."""

    path: Path
    captured_at_ns: int
    context: dict[str, object]
    progress: Progress


def archive_shots(directory: Path, unsent: Sequence[tuple[Row, Progress]]) -> Iterator[Shot]:
    for row, progress in unsent:
        context: dict[str, object] = {name: value for name, value in row.values.items() if name != "path"}
        yield Shot(directory / row.values["path"], row.captured_at_ns, context, progress)


def folder_shots(
    directory: Path, sent: Progress, context: dict[str, object], stop: threading.Event, unreadable: list[str]
) -> Iterator[Shot]:
    """New files as they appear, in the order in which they arrived, until `stop`; captured_at is the file's time.

    Progress is the arrival (inode change) in µs × 1000 + the rank among files of one µs, so that a file whose own time
    is older than what was sent before is still taken. A file of an impossible time is told to `unreadable`.
    """
    done = sent.position
    while not stop.is_set():
        began = time.monotonic()
        now_ns = time.time_ns()
        found = sorted(_arrived(directory, now_ns))
        for _, group in itertools.groupby(found, key=lambda item: item[0]):
            for rank, (arrived_us, path, captured_at_ns) in enumerate(group):
                position = arrived_us * 1000 + min(rank, 999)
                if position <= done:
                    continue
                done = position
                reason = untimely(captured_at_ns, now_ns)
                if reason is None:
                    yield Shot(path, captured_at_ns, dict(context), Progress(sent.source, position))
                else:
                    unreadable.append(f"{path}: {TIMES[reason]}; got {captured_at_ns / 1e9:.0f} s: touch the file")
        stop.wait(max(_POLL_S, _SCAN_SHARE * (time.monotonic() - began)))


def play(
    agent: EdgeAgent,
    shots: Iterable[Shot],
    embed: Embedder,
    pace: Pace,
    told: Callable[[int], None],
    batch: int,
    unreadable: list[str],
) -> None:
    """Send every shot; why images could not be read (their frames go without embedding) is told to `unreadable`."""
    remaining = iter(shots)
    while chunk := list(itertools.islice(remaining, batch)):
        images = [opened(shot.path, unreadable) for shot in chunk]
        good = [image for image in images if image is not None]
        layers, output = embed(good) if good else ({}, None)
        row = 0
        for shot, image in zip(chunk, images, strict=True):
            pace.wait(shot.captured_at_ns)
            seen = image is not None
            agent.observe(
                image=image,
                layers={name: values[row] for name, values in layers.items()} if seen else None,
                output=output[row] if seen and output is not None else None,
                captured_at_ns=shot.captured_at_ns,
                attributes=shot.context,
                progress=shot.progress,
                wait=True,
            )
            row += seen
            told(1)


def opened(path: Path, unreadable: list[str]) -> Image.Image | None:
    """The image in RGB; None where it can't be read, with the reason appended to `unreadable`."""
    try:
        with Image.open(path) as file:
            return file.convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        unreadable.append(f"{path}: {error}")
        return None


def _arrived(directory: Path, now_ns: int) -> Iterator[tuple[int, Path, int]]:
    for path in directory.iterdir():
        if path.suffix.lower() not in SUFFIXES:
            continue
        try:
            status = path.stat()
        except OSError:
            continue
        own_ns = status.st_mtime_ns if status.st_mtime_ns <= now_ns else 0  # ahead of the clock it does not say
        if max(status.st_ctime_ns, own_ns) <= now_ns - _SETTLED_NS:
            yield status.st_ctime_ns // 1000, path, status.st_mtime_ns
