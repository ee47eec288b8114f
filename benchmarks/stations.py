"""Real stations: a product's golden frames and own reference set through the reference model, and stories of it."""

import functools
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import real
from sincewhen.processor.backtest import Recording
from sincewhen.processor.learn import Subject, build_profile
from sincewhen.profiles.profile import Profile
from sincewhen_edge.models import ReferenceModel
from sincewhen_edge.reference.build import Place, build, pinned
from sincewhen_schemas.reference import ReferenceSet, decode_reference

PRODUCTS = ("BDP01_TL", "BRG01_RL", "BTN01_RL", "FLR01_TL", "FVN01_TL", "FVN02_RL", "GLA01_TL")
GOLDEN, PINNED, ARL0 = 5000, 24, 1e4
STATION = "mill/line1/inspection/cam1"
_GOLDEN_SEED, _PINNED_SEED, _FAULTS_SEED = 11, 12, 13
_BUILT_AT_NS = 1_760_000_000_000_000_000


def there() -> bool:
    """Whether the pictures are."""
    return (real.DATA / "images/index.csv").exists()


@functools.cache
def profile_of(product: str, golden: int, without: str = "") -> Profile:
    """Learned as a plant would: the frames in order with their lots and factors, the station's own reference set.

    without: a cause that the set lacks.
    """
    subject = Subject(STATION, "main", ReferenceModel.name, ReferenceModel.version)
    reference = _reference(product)
    if without:
        reference = _less(reference, without)
    learned = build_profile(recording(real.stream(product, golden, _GOLDEN_SEED)).golden(), subject, reference)
    assert isinstance(learned, Profile), (product, learned)
    return learned


def recording(seen: real.Stream) -> Recording:
    scalars = {f"factor:{name}": values for name, values in seen.factors.items()}
    return Recording(seen.layers, np.arange(len(seen.lot)) * 10**9, scalars, seen.lot.astype(str).astype(object))


def _less(reference: ReferenceSet, cause: str) -> ReferenceSet:
    kept = [number for number, name in enumerate(reference.causes) if name != cause]
    decided = reference.decision_faults
    return replace(
        reference,
        causes=tuple(reference.causes[number] for number in kept),
        faults={layer: values[kept] for layer, values in reference.faults.items()},
        decision_faults=None if decided is None else decided[kept],
    )


def _reference(product: str) -> ReferenceSet:
    """Of pinned frames as the camera sees them; kept beside the streams."""
    path = real.CACHE / f"{product}-{PINNED}-{_PINNED_SEED}-{_FAULTS_SEED}.reference"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            for number, picture in enumerate(real.frames(real.product(product), PINNED, _PINNED_SEED)):
                picture.save(Path(folder) / f"{number:02d}.png")
            place = Place(STATION, "main", "")
            made = build(
                pinned(Path(folder)), place, ReferenceModel(real.SIDE), _FAULTS_SEED, _BUILT_AT_NS, lambda _: None
            )
        part = path.with_suffix(f".{product}.part")
        part.write_bytes(made)
        part.rename(path)
    return decode_reference(path.read_bytes())
