"""Streams in control that take a batch together say, to the last bit, what each says by itself."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sincewhen.processor import pipeline
from sincewhen.processor.calm import Began
from sincewhen.processor.learn import Subject, build_profile
from sincewhen.processor.monitor import StreamMonitor
from sincewhen.processor.state import encode_state
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.profile import Profile, encode_profile, profile_sha
from sincewhen.score.score import Scores
from sincewhen_schemas.encode import encode_frames
from sincewhen_testing.station import START_NS, STATION, STEP_NS, Run, activation, frames_of
from sincewhen_testing.streams import direction, mixing, noise

SEED, GOLDEN, FRAMES, LATENT, DIMS = 2100, 2600, 1200, 20, 48
ONSET, END, PAUSE = 500, 760, 1000


class Nobody:
    """Leaves every stream to its monitor."""

    def __init__(self, monitors: Mapping[str, StreamMonitor]) -> None:
        self._streams = len(monitors)

    def take(self, _scores: Scores, at_ns: np.ndarray, *_: object) -> Began:
        none = [-1] * self._streams
        return Began(none, none, [0.0] * self._streams, np.full((self._streams, len(at_ns)), np.nan, np.float32))


@cache
def station() -> tuple[str, Profile, np.ndarray, np.ndarray]:
    """A change of 260 frames of both layer and factor; a profile with slices, T² and SPE."""
    rng = np.random.default_rng(SEED)
    latent, brightness = noise(rng, GOLDEN + FRAMES, LATENT), rng.standard_normal(GOLDEN + FRAMES)
    latent[GOLDEN + ONSET : GOLDEN + END] += 3 * direction(rng, LATENT)
    brightness[GOLDEN + ONSET : GOLDEN + END] += 1.5
    x = (latent @ mixing(rng, LATENT, DIMS)).astype(np.float16)
    scalars = {"factor:brightness": brightness[:GOLDEN]}
    golden = Golden(START_NS + np.arange(GOLDEN) * STEP_NS, {"head": x[:GOLDEN].astype(np.float32)}, scalars, None)
    profile = build_profile(golden, Subject(STATION, "top", "", "1"))
    assert isinstance(profile, Profile), profile
    return profile_sha(encode_profile(profile)), profile, x[GOLDEN:], brightness[GOLDEN:].astype(np.float32)


def records(cuts: list[int], rng: np.random.Generator) -> list[bytes]:
    """Some frames lack the layer or the factor; lots change; there is a pause longer than any window."""
    _, _, x, brightness = station()
    seen, known = rng.random(FRAMES) < 0.9, np.where(rng.random(FRAMES) < 0.95, brightness, np.nan)
    lots = np.array([f"L{number // 90}" for number in range(FRAMES)], object)
    at_ns = START_NS + (GOLDEN + np.arange(FRAMES) + 10_000 * (np.arange(FRAMES) >= PAUSE)) * STEP_NS
    parts = np.split(np.arange(FRAMES), sorted({cut for cut in cuts if 0 < cut < FRAMES} | {400, 800}))
    return [
        encode_frames(
            frames_of(
                STATION, int(rows[0]), at_ns[rows], layers={"head": x[rows]}, present={"head": seen[rows]},
                factors={"brightness": known[rows]}, context={"lot": lots[rows]},
            )
        )
        for rows in parts
    ]  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, FRAMES), max_size=60), st.integers(0, 2**31), st.booleans())
def test_together_they_say_what_each_says_by_itself(cuts: list[int], seed: int, reload: bool) -> None:  # noqa: FBT001 - drawn
    sha, profile, *_ = station()
    sent = [activation(sha), *records(cuts, np.random.default_rng(seed))]
    together, alone = Run({sha: profile}), Run({sha: profile})
    for number, record in enumerate(sent):
        if reload and number % 7 == 6:
            together.reload()
        together.feed(record)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "Calm", Nobody)
        for record in sent:
            alone.feed(record)
    assert len(together.outputs.detections) > 2
    assert together.outputs.detections == alone.outputs.detections
    for one, other in zip(together.outputs.batches, alone.outputs.batches, strict=True):
        assert {s: z.tobytes() for s, z in one.ln_z.items()} == {s: z.tobytes() for s, z in other.ln_z.items()}
    assert encode_state(together.state) == encode_state(alone.state)
    assert any(name.startswith("slice:") for name in profile.streams)
