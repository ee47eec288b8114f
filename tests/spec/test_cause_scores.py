"""Scores along known causes: what a station sends of them, and what a line makes of it."""

import numpy as np
import pytest

from sincewhen.console.pages import _words
from sincewhen.processor.learn import Subject, build_profile
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.profile import Profile
from sincewhen.profiles.scores import SCORES_MAX, cause_scores
from sincewhen.profiles.streams import cause_of, cause_stream, layer_of, parsed
from sincewhen.score.score import score
from sincewhen_schemas.reference import ReferenceSet
from sincewhen_testing.references import pinned
from sincewhen_testing.station import STATION
from sincewhen_testing.streams import direction, mixing, noise

LATENT, DIMS, FRAMES = 12, 24, 2000


def learned(causes: tuple[str, ...], seed: int = 51) -> tuple[Profile, np.ndarray, dict[str, np.ndarray]]:
    """A profile with these causes and class mixes, the way from latent coordinates to embeddings, and each cause's."""
    rng = np.random.default_rng(seed)
    mix = mixing(rng, LATENT, DIMS)
    ways = {cause: direction(rng, LATENT) for cause in causes}
    latent = noise(rng, FRAMES, LATENT)
    decision = np.where(latent[:, 0] > 1, "bad", "ok").astype(object)
    golden = Golden(np.arange(FRAMES) * 10**9, {"head": (latent @ mix).astype(np.float32)}, {}, decision=decision)
    reference: ReferenceSet | None = None
    if causes:
        reference = pinned(noise(rng, 32, LATENT) @ mix, {cause: way @ mix for cause, way in ways.items()})
    profile = build_profile(golden, Subject(STATION, "top", "net", "1"), reference)
    assert isinstance(profile, Profile), profile
    return profile, mix, ways


def test_a_score_grows_by_a_displacement_along_its_cause_and_varies_as_it_says() -> None:
    profile, mix, ways = learned(("haze", "glare", "dirt"))
    scores = cause_scores(profile)
    assert scores is not None
    assert scores.streams == ("cause:head:haze", "cause:head:glare", "cause:head:dirt")
    rng = np.random.default_rng(52)
    calm = noise(rng, 20_000, LATENT)
    before, after = (
        scores.of(score(profile, {"head": (x @ mix).astype(np.float32)}, {}, n=len(x)).positions["embedding:head"])
        for x in (calm, calm + 0.5 * ways["glare"])
    )
    assert before.var(axis=0) == pytest.approx(scores.variance, rel=0.1)
    moved = (after - before).mean(axis=0)
    assert moved[1] == pytest.approx(0.5, rel=0.15)
    assert abs(moved[[0, 2]]).max() < 0.9 * moved[1]


def test_a_fault_of_two_ways_has_one_score_that_goes_both_ways() -> None:
    profile, mix, ways = learned(("rotation", "haze"))
    scores = cause_scores(profile)
    assert scores is not None
    x = noise(np.random.default_rng(53), 2000, LATENT)
    there, back = (
        scores.of(score(profile, {"head": (y @ mix).astype(np.float32)}, {}, n=2000).positions["embedding:head"])
        for y in (x + ways["rotation"], x - ways["rotation"])
    )
    assert there[:, 0].mean() > 0.7
    assert back[:, 0].mean() < -0.7


def test_there_are_none_without_a_reference_set_and_never_too_many() -> None:
    assert cause_scores(learned(())[0]) is None, "a class mix is no fault"
    many = cause_scores(learned(tuple(f"fault{number}" for number in range(20)))[0])
    assert many is not None
    assert len(many.streams) == SCORES_MAX


@pytest.mark.parametrize(("layer", "cause"), [("head", "haze"), ("block:4", "contrast_loss"), ("head", "odd:name")])
def test_the_name_of_a_stream_of_scores_says_layer_and_cause(layer: str, cause: str) -> None:
    stream = cause_stream(layer, cause)
    assert parsed(stream) == ("cause", layer, -1)
    assert (layer_of(stream), cause_of(stream)) == (layer, cause.replace(":", "_"))
    assert _words(stream) == f"how much it looks like {cause.replace('_', ' ').replace(':', ' ')}"
