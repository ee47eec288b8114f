"""Pictures through the model and the image factors, eight at a time, with what the cache knows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sincewhen.scan.archive import READ_ERRORS, told
from sincewhen.scan.cache import FeatureCache, Row
from sincewhen.scan.order import Picture
from sincewhen_edge.factors import image_factors
from sincewhen_edge.sources.images import BATCH_IMAGES, Embedder

FEATURES_VERSION = 1  # of the image factors and of how a picture is opened
_DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")  # 16 bits of grey, which Pillow would clip to 8


@dataclass(frozen=True, slots=True)
class Features:
    """Of n pictures in order."""

    pictures: list[Picture]
    layers: dict[str, NDArray[np.float32]]  # (n, d) each
    factors: dict[str, NDArray[np.float64]]  # (n,) each, NaN = not measured


def model_key(embed: Embedder, side: int) -> str:
    """Everything that a row depends on but the picture."""
    return f"{embed.name}/{embed.version}/{side}/{FEATURES_VERSION}"


def extract(
    pictures: Sequence[Picture], embed: Embedder, cache: FeatureCache, advance: Callable[[int], None]
) -> tuple[Features, list[tuple[str, str]]]:
    """Features of every picture that can be read, and the name and reason of each that can't."""
    unreadable: list[tuple[str, str]] = []
    kept: list[tuple[Picture, Row]] = []
    for start in range(0, len(pictures), BATCH_IMAGES):
        chunk = pictures[start : start + BATCH_IMAGES]
        kept.extend(_batch(chunk, embed, cache, unreadable))
        advance(len(chunk))
    rows = [row for _, row in kept]
    first = rows[0] if rows else Row({}, {})
    return Features(
        [picture for picture, _ in kept],
        {name: np.stack([row.layers[name] for row in rows]) for name in first.layers},
        {name: np.array([row.factors[name] for row in rows]) for name in first.factors},
    ), unreadable


def opened(picture: Picture) -> Image.Image:
    """The picture in RGB. Raises one of READ_ERRORS."""
    with Image.open(picture.path) as file:
        if file.mode in _DEEP_MODES:
            deep = np.asarray(file, np.int64).clip(0, 65535)
            return Image.fromarray((deep >> 8).astype(np.uint8)).convert("RGB")
        return file.convert("RGB")


def _batch(
    chunk: Sequence[Picture], embed: Embedder, cache: FeatureCache, unreadable: list[tuple[str, str]]
) -> Iterator[tuple[Picture, Row]]:
    known: dict[int, Row] = {}
    images: dict[int, Image.Image] = {}
    for number, picture in enumerate(chunk):
        try:
            row = cache.get(picture)
            if row is None:
                images[number] = opened(picture)
            else:
                known[number] = row
        except READ_ERRORS as error:
            unreadable.append((picture.name, told(error, picture.path)))
    if images:
        layers, _ = embed(list(images.values()))
        for place, (number, image) in enumerate(images.items()):
            known[number] = Row({name: values[place] for name, values in layers.items()}, image_factors(image))
    cache.put([(chunk[number], known[number]) for number in images])
    return iter([(chunk[number], known[number]) for number in sorted(known)])
