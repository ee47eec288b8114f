"""Stations of one model version measure within a common basis: the same displacement is the same at each of them."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray

from sincewhen.incidents.correlate import correlate
from sincewhen.processor.learn import Subject, build_profile
from sincewhen.profiles.embedding import Common, apply_basis, explained, fit_common, in_common
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.pooling import EXPLAINED_MIN, explained_share, pooled
from sincewhen.profiles.profile import LayerProfile, Profile, decode_profile, encode_profile, profile_sha
from sincewhen_schemas.messages import Detection, Incident
from sincewhen_testing.station import GOLDEN, Recorded, Run, activation, batch
from sincewhen_testing.streams import direction, mixing

SEED, LATENT, DIMS, FRAMES = 31, 24, 96, 3000
Floats = NDArray[np.float64]


@dataclass
class Scene:
    """What the camera of a station sees: parts that vary, some more than others, under a lamp."""

    seed: int
    mix: Floats
    lamp: float = 0.0
    spread: Floats = field(default_factory=lambda: np.ones(LATENT))

    def pictures(self, moved: Floats | None = None) -> NDArray[np.float32]:
        rng = np.random.default_rng(self.seed)
        parts = rng.standard_normal((FRAMES, LATENT)) * self.spread + (0 if moved is None else moved)
        bare = parts @ self.mix + 0.1 * rng.standard_normal((FRAMES, DIMS))
        return np.asarray(bare + self.lamp * self.mix[0], np.float32)

    def learned(self, common: Common | None = None) -> LayerProfile:
        golden = Golden(np.arange(FRAMES) * 10**9, {"head": self.pictures()}, {})
        shared = {} if common is None else {"head": common}
        profile = build_profile(golden, Subject("p/a/l/s", "top", "net", "1"), common=shared)
        assert isinstance(profile, Profile), profile
        return decode_profile(encode_profile(profile)).layers["head"]

    def displacement(self, layer: LayerProfile, moved: Floats) -> Floats:
        """Of the layer's own coordinates."""
        before, after = (apply_basis(layer.basis, x)[0] for x in (self.pictures(), self.pictures(moved)))
        return np.asarray(after.mean(axis=0, dtype=np.float64) - before.mean(axis=0, dtype=np.float64))


def cosine(a: Floats, b: Floats) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def scene(seed: int, *, lamp: float = 0.0, uneven: float = 0.0) -> Scene:
    """The scenes of one mixing seed, SEED, show the same parts."""
    spread = np.exp(uneven * np.random.default_rng(seed).standard_normal(LATENT))
    return Scene(seed, mixing(np.random.default_rng(SEED), LATENT, DIMS), lamp, spread)


@pytest.mark.parametrize(("lamp", "uneven"), [(0.0, 0.0), (30.0, 0.0), (0.0, 0.5)])
def test_the_same_displacement_at_two_stations_is_one_direction_in_the_common_basis(lamp: float, uneven: float) -> None:
    first, other = scene(1), scene(2, lamp=lamp, uneven=uneven)
    moved = 3 * direction(np.random.default_rng(SEED), LATENT)
    one = first.learned()
    two = other.learned(one.basis.common)
    assert one.basis.common.sha == two.basis.common.sha
    at_one = in_common(one.basis, first.displacement(one, moved))
    at_two = in_common(two.basis, other.displacement(two, moved))
    assert cosine(at_one, at_two) > 0.95
    elsewhere = in_common(two.basis, other.displacement(two, 3 * direction(np.random.default_rng(9), LATENT)))
    assert cosine(at_one, elsewhere) < 0.6


def test_a_station_under_another_lamp_keeps_its_size_and_its_own_centre() -> None:
    bright = scene(2, lamp=30.0)
    moved = 3 * direction(np.random.default_rng(SEED), LATENT)
    own, within = bright.learned(), bright.learned(scene(1).learned().basis.common)
    alone, shared = (float(np.linalg.norm(bright.displacement(layer, moved))) for layer in (own, within))
    assert shared == pytest.approx(alone, rel=0.03)
    assert shared > 2.5


def test_within_a_common_basis_a_station_s_coordinates_are_white_as_within_its_own() -> None:
    uneven = scene(2, uneven=0.5)
    x, _, _ = apply_basis(uneven.learned(scene(1).learned().basis.common).basis, uneven.pictures())
    covariance = np.cov(x, rowvar=False)
    assert np.abs(np.diag(covariance) - 1).max() < 0.25
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 0.2


def test_a_basis_fits_who_varies_along_it_and_a_pooled_one_both() -> None:
    here, there = scene(1).pictures(), scene(2).pictures()
    other = Scene(3, mixing(np.random.default_rng(SEED + 1), LATENT, DIMS)).pictures()
    common = fit_common([here], 48)
    assert explained_share(common, there[:1200], there[1200:], 48) >= EXPLAINED_MIN
    assert explained_share(common, other[:1200], other[1200:], 48) < 0.9
    both = pooled([here[:1200], 100 * other[:1200]], 48)
    assert both.stations == 2
    assert explained(both, here[1200:]) > 0.95, "who varies a hundred times as much counts no more"
    assert explained(both, other[1200:]) > 0.95


def test_a_profile_of_the_schema_before_is_refused_with_the_way_out() -> None:
    golden = Golden(np.arange(FRAMES) * 10**9, {"head": scene(1).pictures()}, {})
    profile = build_profile(golden)
    assert isinstance(profile, Profile)
    older = replace(profile, schema=profile.schema - 1)
    with pytest.raises(ValueError, match=f"this one has {older.schema}: build it again"):
        decode_profile(encode_profile(older))


def twins(*, same: bool) -> list[Recorded]:
    """Two stations that see the same scene; each changes once, the second after the first has recovered."""
    rng = np.random.default_rng(SEED)
    mix, way, away = mixing(rng, 12, 24), direction(rng, 12), direction(rng, 12)
    found = []
    for start, moved in ((GOLDEN + 100, way), (GOLDEN + 900, way if same else away)):
        latent = rng.standard_normal((start + 600, 12))
        latent[start : start + 300] += 3 * moved
        lots = np.array([f"L{row // 100:02d}" for row in range(len(latent))], object)
        x = latent @ mix + 0.05 * rng.standard_normal((len(latent), 24))
        found.append((x.astype(np.float16), rng.standard_normal(len(latent)).astype(np.float32), lots))
    return found


def found(data: list[Recorded], *, shared: bool) -> list[Detection]:
    """At two stations, within one basis or each within its own."""
    detections: list[Detection] = []
    common: dict[str, Common] = {}
    for number, recorded in enumerate(data):
        station = f"plant/paint/line1/twin{number}"
        x, _, lots = recorded
        golden = Golden(np.arange(GOLDEN) * 10**9, {"head": x[:GOLDEN].astype(np.float32)}, {}, lots[:GOLDEN])
        profile = build_profile(golden, Subject(station, "top", "", "1"), common=common if shared else {})
        assert isinstance(profile, Profile), profile
        common = {"head": profile.layers["head"].basis.common}
        sha = profile_sha(encode_profile(profile))
        runner = Run({sha: profile}, station=station)
        runner.feed(activation(sha, station))
        for start in range(GOLDEN, len(x), 50):
            runner.feed(batch(recorded, start, start + 50, station))
        detections += runner.outputs.detections
    return detections


def incidents(data: list[Recorded], *, shared: bool) -> list[Incident]:
    return correlate(found(data, shared=shared))


def test_an_incident_looks_like_an_earlier_one_at_another_station() -> None:
    first, second = incidents(twins(same=True), shared=True)
    assert (first.looks_like, first.looks_like_station_id) == (None, "")
    assert (second.looks_like, second.looks_like_since_ns) == (first.incident_id, first.since_ns)
    assert second.looks_like_station_id == first.station_id != second.station_id


@pytest.mark.parametrize(("same", "shared"), [(False, True), (True, False)])
def test_what_points_elsewhere_or_is_measured_by_another_basis_is_not_alike(same: bool, shared: bool) -> None:  # noqa: FBT001 - parametrized
    assert [incident.looks_like for incident in incidents(twins(same=same), shared=shared)] == [None, None]


@pytest.mark.parametrize(("near", "basis", "alike"), [(0.9, "", False), (0.97, "", True), (1.0, "another", False)])
def test_a_layer_that_stands_alone_must_be_nearer_and_on_the_same_basis(near: float, basis: str, alike: bool) -> None:  # noqa: FBT001 - parametrized
    detections = found(twins(same=True), shared=True)
    first = next(item for item in detections if item.basis)
    way = np.frombuffer(first.common, "<f2").astype(np.float64)
    aside = np.linalg.qr(np.stack([way, np.arange(len(way), dtype=float)]).T)[0][:, 1] * np.linalg.norm(way)
    turned = (near * way + (1 - near**2) ** 0.5 * aside).astype("<f2").tobytes()
    exact = [
        structs.replace(item, common=first.common, common_error=0.0)
        if item.station_id == first.station_id
        else structs.replace(item, common=turned, common_error=0.0, basis=basis or first.basis)
        for item in detections
        if item.basis
    ]
    _, second = correlate(exact)
    assert (second.looks_like is not None) == alike
