"""An incident says which layers of the model moved, in the model's order: seeing changed, or only deciding."""

from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from sincewhen.incidents.correlate import correlate
from sincewhen.incidents.layers import said
from sincewhen.processor.learn import Subject, build_profile
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.profile import Profile, encode_profile, profile_sha
from sincewhen_schemas.encode import encode_frames
from sincewhen_schemas.messages import Incident
from sincewhen_testing.station import (
    END,
    GOLDEN,
    ONSET,
    START_NS,
    STATION,
    STEP_NS,
    Run,
    activation,
    columns,
    stream,
)
from sincewhen_testing.streams import direction, mixing, noise

ORDER = ("stem", "blocks", "head")  # not the alphabet's


def incident(moved: set[str]) -> Incident:
    """Of a station whose named layers move from ONSET to END, while it is open."""
    rng = np.random.default_rng(91)
    layers = {}
    for layer in ORDER:
        latent = noise(rng, END, 10)
        latent[ONSET:] += 3 * direction(rng, 10) * (layer in moved)
        layers[layer] = (latent @ mixing(rng, 10, 16)).astype(np.float16)
    factor = rng.standard_normal(END)
    factor[ONSET:] += 6 * (not moved)
    golden = Golden(
        START_NS + np.arange(GOLDEN) * STEP_NS,
        {layer: values[:GOLDEN].astype(np.float32) for layer, values in layers.items()},
        {"factor:brightness": factor[:GOLDEN]},
    )
    profile = build_profile(golden, Subject(STATION, "top", "", "1"))
    assert isinstance(profile, Profile), profile
    sha = profile_sha(encode_profile(profile))
    runner = Run({sha: profile})
    runner.feed(activation(sha))
    for start in range(GOLDEN, END, 50):
        rows = slice(start, start + 50)
        frames = replace(
            columns(stream(91), start, start + 50),
            layers={layer: values[rows] for layer, values in layers.items()},
            factors={"brightness": factor[rows].astype(np.float32)},
            context={},
        )
        runner.feed(encode_frames(frames))
    (found,) = correlate(runner.outputs.detections)
    return found


@pytest.mark.parametrize(
    ("moved", "sentence"),
    [
        ({"stem", "head"}, "Early layers moved (stem, head): seeing changed."),
        ({"head"}, "So far only late layers moved (head): deciding changed, seeing did not."),
        (set(), "No layer of the model moved beyond control."),
    ],
)
def test_an_incident_says_how_far_each_layer_moved_in_the_models_order(moved: set[str], sentence: str) -> None:
    found = incident(moved)
    assert [move.layer for move in found.layers] == list(ORDER)
    for move in found.layers:
        assert move.moved == (move.layer in moved)
        assert (move.displacement is not None) == move.moved
        assert move.displacement is None or 2 < move.displacement < 4
    assert said(found) == sentence
    assert said(structs.replace(found, status="ended")) == sentence.replace("So far only", "Only")


def test_views_are_told_apart_and_a_single_layer_tells_neither() -> None:
    found = incident({"head"})
    (only,) = (move for move in found.layers if move.moved)
    told = said(structs.replace(found, layers=(only,)))
    assert told == "The one layer that is watched moved (head): seeing or deciding, nobody can tell."
    views = tuple(structs.replace(only, view=view) for view in ("left", "right"))
    assert said(structs.replace(found, layers=views)) == f"left: {told} right: {told}"
    assert said(structs.replace(found, layers=())) == ""
