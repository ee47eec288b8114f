"""A displacement is named by the fingerprints of the station's own reference set, or it is unknown."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sincewhen.detect.naming import UNKNOWN, name
from sincewhen.processor.backtest import Recording, watch
from sincewhen.processor.learn import Refusal, RefusalReason, Subject, build_profile
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.library import CLASS_MIX, Library
from sincewhen.profiles.profile import Profile, decode_profile, encode_profile
from sincewhen_schemas.reference import ReferenceSet
from sincewhen_testing.streams import mixing, noise

LATENT, DIMS, IMAGES = 12, 24, 16
CAUSES = ("haze", "contrast_loss", "glare")
SEED = 81


def reference(mix: np.ndarray, *, model_version: str = "1") -> ReferenceSet:
    """Haze and contrast loss point almost the same way, glare another; decisions flip from haze 3 on."""
    rng = np.random.default_rng(SEED)
    ways = np.zeros((3, LATENT))
    ways[0, 0], ways[1, 0], ways[1, 1], ways[2, 5] = 1, 1, 0.2, 1
    clean = rng.standard_normal((IMAGES, LATENT))
    sizes = np.array([0.5, 1, 1.5, 2, 2.5])
    faults = (
        clean + sizes[None, :, None, None] * ways[:, None, None, :] + 0.05 * rng.standard_normal((3, 5, IMAGES, 12))
    )
    flips = np.full((3, 5, IMAGES), "ok", object)
    flips[0, 2:, :4] = "bad"
    return ReferenceSet(
        station_id="p/a/l/s",
        view="main",
        regime="",
        model_name="net",
        model_version=model_version,
        built_at_ns=1_790_000_000_000_000_000,
        seed=1,
        causes=CAUSES,
        images=tuple(f"{number:016x}" for number in range(IMAGES)),
        clean={"head": (clean @ mix).astype(np.float16)},
        faults={"head": (faults @ mix).astype(np.float16)},
        decision_clean=np.full(IMAGES, "ok", object),
        decision_faults=flips,
    )


def learned(*, model_version: str = "1") -> tuple[Profile | Refusal, np.ndarray]:
    rng = np.random.default_rng(SEED)
    mix = mixing(rng, LATENT, DIMS)
    latent = noise(rng, 2000, LATENT)
    decision = np.where(latent[:, 8] > 1, "bad", "ok").astype(object)
    golden = Golden(np.arange(2000) * 10**9, {"head": (latent @ mix).astype(np.float32)}, {}, decision=decision)
    return build_profile(
        golden, Subject("p/a/l/s", "main", "net", "1"), reference(mix, model_version=model_version)
    ), mix


@pytest.fixture(scope="module")
def library() -> Library:
    profile, _ = learned()
    assert isinstance(profile, Profile)
    found = decode_profile(encode_profile(profile)).library("embedding:head")
    assert found is not None
    return found


def fingerprint(library: Library, cause: str, strength: int) -> NDArray[np.float32]:
    rows = [r for r, c in enumerate(library.causes) if c == cause and library.strengths[r] == strength]
    return np.asarray(library.displacement[rows[0]])


def test_a_cause_is_named_with_its_strength(library: Library) -> None:
    between = (fingerprint(library, "glare", 3) + fingerprint(library, "glare", 4)) / np.float32(2)
    found = name(library, between, 0.0)
    assert found.cause == "glare"
    assert found.strength == pytest.approx(3.5, abs=0.3)
    assert found.cosine > 0.95


def test_causes_that_can_t_be_told_apart_are_named_together(library: Library) -> None:
    found = name(library, fingerprint(library, "haze", 3), 0.0)
    assert set(found.cause.split(" or ")) == {"haze", "contrast_loss"}


def test_what_looks_like_nothing_known_is_unknown(library: Library) -> None:
    rng = np.random.default_rng(SEED + 1)
    across = rng.standard_normal((library.displacement.shape[1],))
    known = np.linalg.qr(library.displacement.astype(np.float64).T)[0][:, :8]
    left = np.asarray(across - known @ (known.T @ across))
    assert name(library, np.multiply(left, 3.0), 0.0).cause == UNKNOWN
    assert name(None, across, 0.0).cause == UNKNOWN


def test_a_changed_share_of_decisions_is_no_camera_fault(library: Library) -> None:
    rows = [row for row, cause in enumerate(library.causes) if cause == CLASS_MIX]
    assert len(rows) == 4
    assert name(library, 0.4 * library.displacement[rows[0]], 0.0).cause == CLASS_MIX


@pytest.mark.parametrize(("told", "cause"), [(True, CLASS_MIX), (False, "glare")])
def test_a_changed_defect_rate_that_looks_much_like_a_camera_fault_is_not_named_one(told: bool, cause: str) -> None:  # noqa: FBT001 - parametrized
    """Defects lie near where glare moves frames to; that there are more of them is only known from the decisions."""
    rng, golden, onset = np.random.default_rng(SEED), 2000, 2300
    mix, toward = mixing(rng, LATENT, DIMS), np.zeros(LATENT)
    toward[5], toward[8] = 0.8, 0.6
    latent = noise(rng, onset + 400, LATENT)
    bad = rng.random(len(latent)) < np.where(np.arange(len(latent)) < onset, 0.1, 0.5)
    x = ((latent + 5 * bad[:, None] * toward) @ mix).astype(np.float32)
    at_ns, decision = np.arange(len(x)) * 10**9, np.where(bad, "bad", "ok").astype(object)
    seen = Golden(at_ns[:golden], {"head": x[:golden]}, {}, decision=decision[:golden] if told else None)
    profile = build_profile(seen, Subject("p/a/l/s", "main", "net", "1"), reference(mix))
    assert isinstance(profile, Profile), profile
    found = watch(Recording({"head": x}, at_ns, {}).take(slice(golden, None)), profile, 1e4)
    assert [alarm.cause for alarm in found] == [cause]
    assert abs(found[0].final.since - onset) <= 10


def test_the_decision_limit_is_where_decisions_begin_to_flip(library: Library) -> None:
    sizes = [float(np.linalg.norm(fingerprint(library, "haze", strength))) for strength in (2, 3)]
    assert set(library.limits) == {"haze"}
    assert library.decision_limit is not None
    assert sizes[0] < library.decision_limit < sizes[1]
    found = name(library, fingerprint(library, "haze", 2), 0.0)
    assert found.near is None or found.near < 1


def test_the_detector_looks_along_each_direction_once(library: Library) -> None:
    directions = library.directions
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, rtol=1e-5)
    cosine = directions @ directions.T - np.eye(len(directions))
    assert cosine.max() < 0.95
    assert len(directions) < len(library.causes)


def test_a_reference_set_of_another_model_version_is_refused() -> None:
    refusal, _ = learned(model_version="2")
    assert isinstance(refusal, Refusal)
    assert refusal.reason is RefusalReason.OTHER_MODEL
    assert "run `sincewhen-edge reference build`" in refusal.detail
