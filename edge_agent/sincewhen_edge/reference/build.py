"""Pinned images, clean and corrupted, through a model: the reference set.

A fault is made on the full-size image, which then goes the way every image goes to the model. One full-size image and
one batch of its copies are in memory at a time.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sincewhen_edge.adapters import judge
from sincewhen_edge.models import ModelError
from sincewhen_edge.reference.faults import CAUSES, corrupt
from sincewhen_edge.settings import ModelSettings
from sincewhen_edge.sources.images import BATCH_IMAGES, SUFFIXES, Embedder, opened
from sincewhen_edge.sources.rows import SourceError
from sincewhen_schemas.limits import REFERENCE_BYTES_MAX, REFERENCE_IMAGES_MAX
from sincewhen_schemas.reference import STRENGTHS, ReferenceSet, encode_reference

IMAGES_MIN = 8
SIDE_MIN = 32
COPIES = 1 + len(CAUSES) * len(STRENGTHS)  # of each image: clean, then cause by cause, strength by strength


@dataclass(frozen=True, slots=True)
class Pinned:
    """A file of the reference set."""

    path: Path
    sha: str  # first 16 hex digits of its SHA-256


@dataclass(frozen=True, slots=True)
class Place:
    """What the set is the reference of."""

    station_id: str
    view: str
    regime: str


def pinned(directory: Path) -> list[Pinned]:
    """The image files of a folder, by name. Raises SourceError."""
    paths = sorted(path for path in directory.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not IMAGES_MIN <= len(paths) <= REFERENCE_IMAGES_MAX:
        raise SourceError(
            f"a reference set has {IMAGES_MIN}..{REFERENCE_IMAGES_MAX} images; got {len(paths)} in {directory} "
            f"({', '.join(sorted(SUFFIXES))}): pin 16 to 32 of parts that are good and differ"
        )
    found: dict[str, Path] = {}
    for path in paths:
        sha = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        if sha in found:
            raise SourceError(f"each image is pinned once; {path} is the same as {found[sha].name}: delete one")
        found[sha] = path
    return [Pinned(path, sha) for sha, path in found.items()]


def build(
    files: list[Pinned], place: Place, embed: Embedder, seed: int, now_ns: int, told: Callable[[int], None]
) -> bytes:
    """The encoded set; `told` hears of every copy. Raises ValueError: what the contract refuses, after one image."""
    rows: list[dict[str, NDArray[np.float16]]] = []
    decisions: list[list[str]] = []
    encoded = b""
    for number, file in enumerate(files, start=1):
        layers, decided = _through(file.path, embed, seed, told)
        rows.append(layers)
        decisions.append(decided)
        if (
            number == 1
            and (size := len(files) * sum(values.nbytes for values in layers.values())) > REFERENCE_BYTES_MAX
        ):
            raise ModelError(
                f"a reference set has at most {REFERENCE_BYTES_MAX} bytes; {len(files)} images of layers "
                f"{', '.join(layers)} make {size}: pin fewer images, or pool the layers"
            )
        if number in {1, len(files)}:
            encoded = encode_reference(_joined(files[:number], place, embed, seed, now_ns, rows, decisions))
    return encoded


def _joined(
    files: list[Pinned],
    place: Place,
    embed: Embedder,
    seed: int,
    now_ns: int,
    rows: list[dict[str, NDArray[np.float16]]],
    decisions: list[list[str]],
) -> ReferenceSet:
    """Rows and decisions of each file, COPIES long, as one set."""
    grid = (len(CAUSES), len(STRENGTHS), len(files))
    stacked = {name: np.stack([row[name] for row in rows], axis=1) for name in rows[0]}  # (COPIES, m, d)
    decided = np.array(decisions, object).T if any(itertools.chain(*decisions)) else None  # (COPIES, m)
    return ReferenceSet(
        station_id=place.station_id,
        view=place.view,
        regime=place.regime,
        model_name=embed.name,
        model_version=embed.version,
        built_at_ns=now_ns,
        seed=seed,
        causes=CAUSES,
        images=tuple(file.sha for file in files),
        clean={name: values[0] for name, values in stacked.items()},
        faults={name: values[1:].reshape(*grid, -1) for name, values in stacked.items()},
        decision_clean=None if decided is None else decided[0],
        decision_faults=None if decided is None else decided[1:].reshape(grid),
    )


def copies(image: Image.Image, seed: int) -> Iterator[Image.Image]:
    """COPIES pictures. Every image of one seed gets the same fault: one place of the dirt, one way of the offset."""
    yield image
    values = np.asarray(image, np.float32) / np.float32(255)
    for number, cause in enumerate(CAUSES):
        for strength in STRENGTHS:
            changed = corrupt(values, cause, strength, np.random.default_rng([seed, number]))
            yield Image.fromarray((changed * 255).round().astype(np.uint8))


def _through(
    path: Path, embed: Embedder, seed: int, told: Callable[[int], None]
) -> tuple[dict[str, NDArray[np.float16]], list[str]]:
    """Embeddings (COPIES, d) by layer, and decisions, "" where the model decides nothing."""
    unreadable: list[str] = []
    image = opened(path, unreadable)
    if image is None:
        raise SourceError(f"a pinned image can be read; {unreadable[0]}: pin another one")
    if min(image.size) < SIDE_MIN:
        raise SourceError(f"a pinned image is at least {SIDE_MIN} pixels a side; {path} is {image.size}: pin full size")
    parts: list[dict[str, NDArray[np.float32]]] = []
    decisions: list[str] = []
    waiting = copies(image, seed)
    while batch := list(itertools.islice(waiting, BATCH_IMAGES)):
        try:
            layers, output = embed(batch)
        except RuntimeError as error:  # torch's word for sizes that do not fit
            got = str(error).strip()[-200:]
            raise ModelError(f"{embed.name} takes images of the given --side; {got}: say another one") from error
        parts.append(layers)
        decisions += [""] * len(batch) if output is None else judge(output, ModelSettings()).decision
        told(len(batch))
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    with np.errstate(over="ignore"):
        found = {name: values.astype(np.float16) for name, values in whole.items()}
    for name, values in found.items():
        if not bool(np.isfinite(values).all()):
            wrong = int((~np.isfinite(values)).any(axis=1).sum())
            raise ModelError(
                f"embeddings fit float16 (±65504); {wrong} of {COPIES} copies of {path.name} do not in layer {name!r}: "
                "normalise the layer, or name another one"
            )
    return found, decisions
