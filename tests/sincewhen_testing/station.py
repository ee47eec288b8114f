"""One simulated station: its records through the pipeline, with a change of known onset and end."""

from typing import Any, TypeAlias

import numpy as np

from sincewhen.plant import Plant
from sincewhen.processor.learn import Subject, build_profile
from sincewhen.processor.outputs import Outputs
from sincewhen.processor.pipeline import Pipeline
from sincewhen.processor.state import StationState, decode_state, encode_state
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.profile import Profile, encode_profile, profile_sha
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.encode import encode_control, encode_frames
from sincewhen_schemas.frames import Frames
from sincewhen_schemas.reference import ReferenceSet
from sincewhen_testing.streams import direction, mixing, noise

STATION, START_NS, STEP_NS = "plant/paint/line1/cam1", 1_760_000_000_000_000_000, 2 * 10**9
GOLDEN, ONSET, END = 2000, 2600, 2900
Recorded: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]  # embeddings, factor, lots


def stream(seed: int, hidden: int = 12, columns: int = 24) -> Recorded:
    rng = np.random.default_rng(seed)
    latent = noise(rng, 3400, hidden)
    latent[ONSET:END] += 3 * direction(rng, hidden)
    x = (latent @ mixing(rng, hidden, columns)).astype(np.float16)
    lots = np.array([f"L{row // 100:02d}" for row in range(len(x))], object)
    return x, rng.standard_normal(len(x)).astype(np.float32), lots


def changes(seed: int, same: tuple[bool, ...]) -> Recorded:
    """A change of 300 frames every 700 frames; change i points where the first did, or elsewhere."""
    rng = np.random.default_rng(seed)
    _, factor, lots = stream(seed)
    frames = GOLDEN + 700 * len(same) + 100
    latent, first = noise(rng, frames, 12), direction(rng, 12)
    for number, alike in enumerate(same):
        start = GOLDEN + 100 + 700 * number
        latent[start : start + 300] += 3 * (first if alike else direction(rng, 12))
    x = (latent @ mixing(rng, 12, 24)).astype(np.float16)
    return x, np.resize(factor, frames), np.resize(lots, frames)


def frames_of(station: str, start: int, captured_at_ns: np.ndarray, **known: Any) -> Frames:  # noqa: ANN401 - columns of Frames
    """Production frames of a station's one view, by their first number."""
    return Frames(
        station_id=station,
        view="top",
        agent_id="pc",
        boot_id="b",
        first_seq=start,
        captured_at_ns=captured_at_ns,
        purpose="production",
        model_version="1",
        **known,
    )


def columns(data: Recorded, start: int, stop: int, station: str = STATION) -> Frames:
    x, factor, lots = data
    return frames_of(
        station,
        start,
        START_NS + np.arange(start, stop) * STEP_NS,
        layers={"head": x[start:stop]},
        factors={"brightness": factor[start:stop]},
        context={"lot": lots[start:stop]},
    )


def batch(data: Recorded, start: int, stop: int, station: str = STATION) -> bytes:
    return encode_frames(columns(data, start, stop, station))


def learned(data: Recorded, reference: ReferenceSet | None = None) -> tuple[str, Profile]:
    x, factor, lots = data
    golden = Golden(
        START_NS + np.arange(GOLDEN) * STEP_NS,
        {"head": x[:GOLDEN].astype(np.float32)},
        {"factor:brightness": factor[:GOLDEN].astype(np.float64)},
        lots[:GOLDEN],
    )
    model = "" if reference is None else reference.model_name
    profile = build_profile(golden, Subject(STATION, "top", model, "1"), reference)
    assert isinstance(profile, Profile), profile
    return profile_sha(encode_profile(profile)), profile


def activation(sha: str, station: str = STATION) -> bytes:
    event = pb.ProfileActivated(view="top", profile_sha=sha)
    return encode_control(station, pb.Control(control_id="c", at_ns=START_NS, profile_activated=event))


class Run:
    """A pipeline over one station; offsets grow by one a record."""

    def __init__(self, profiles: dict[str, Profile], plant: Plant | None = None, station: str = STATION) -> None:
        self.station = station
        self.pipeline = Pipeline(profiles.__getitem__, plant or Plant())
        self.profiles, self.state, self.outputs, self.offset = profiles, StationState(), Outputs(), 1

    def feed(self, value: bytes) -> Outputs:
        made = self.pipeline.step(self.state, self.station, value, self.offset, START_NS + 10**15)
        self.offset += 1
        self.outputs.add(made)
        return made

    def reload(self) -> None:
        self.state = decode_state(encode_state(self.state), self.profiles.__getitem__)


def run(
    seed: int,
    size: int,
    *,
    reload: bool = False,
    data: Recorded | None = None,
    known: tuple[str, Profile] | None = None,
) -> Run:
    data = data or stream(seed)
    sha, profile = known or learned(data)
    runner = Run({sha: profile})
    runner.feed(activation(sha))
    for start in range(GOLDEN, len(data[0]), size):
        runner.feed(batch(data, start, min(start + size, len(data[0]))))
        if reload:
            runner.reload()
    return runner
