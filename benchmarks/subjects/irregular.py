"""Frames that come irregularly, through the pipeline record by record: alarms in control, delay and date of a step.

In control a station is fed for long; steps are runs of their own. The line's clock ticks once a frame; what is not
seen of its ticks, and how, is one of HOWS. Delays and errors are in frames that were judged, or could have been.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.cell import Cell, Effort, Figures, Floats
from benchmarks.whole import LATENT, Whole
from sincewhen.incidents.correlate import correlate
from sincewhen.plant import Plant
from sincewhen.plant.plant import Station
from sincewhen.processor.gaps import WEEK_NS
from sincewhen.processor.learn import Subject
from sincewhen.processor.pipeline import Pipeline
from sincewhen.processor.state import StationState
from sincewhen.profiles.profile import encode_profile, profile_sha
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.encode import encode_control, encode_frames
from sincewhen_schemas.frames import Frames
from sincewhen_schemas.messages import Detection, Incident
from sincewhen_testing.streams import direction

HOWS = {
    "steady": "one frame a second",
    "jitter": "exponential spacing",
    "pauses": "the line stands still for 10 minutes every 5 on average",
    "lost": "30 % of the frames lost, 5 at a time",
    "parts": "15 % of the frames without embedding, 15 % without confidence",
    "all": "all of it",
}
KINDS, SIZE, ARL0 = ("ar 0", "ar .9"), 3.0, 1e4
STATION, VIEW, START_NS, TICK_NS = "mill/line1/inspection/cam1", "main", 1_760_000_000_000_000_000, 10**9
BEFORE, JITTER, AFTER = 400, 64, 800  # frames seen
Rows: TypeAlias = NDArray[np.int64]
_BATCH, _PAUSE, _RUN, _LOST, _LOST_RUN, _WITHOUT = 32, 600, 300, 0.3, 5, 0.15


def cells(effort: Effort) -> list[Cell]:
    frames, runs = effort.pick(1000, 10_000, 25_000), effort.pick(1, 4, 10)
    return [
        Cell.of("irregular", repetition, how=how, kind=kind, frames=frames, runs=runs)
        for repetition in range(effort.pick(1, 1, 4))
        for kind in (KINDS if effort > Effort.SMOKE else KINDS[:1])
        for how in (HOWS if effort > Effort.SMOKE else ("all",))
    ]


def measure(cell: Cell) -> Figures:
    rng, how = cell.rng, cell.get("how", str)
    whole = Whole.learn(rng, cell.get("kind", str), Subject(STATION, VIEW, "", "1"))
    ticks = _ticks(rng, how, cell.get("frames", int))
    calm = _told(whole, _seen(whole, ticks, how))
    found: Figures = {"alarms": [len(calm)], "frames": [cell.get("frames", int)]}
    found |= {name: [] for name in ("early", "missed", "delay", "error", "covered", "width")}
    for _ in range(cell.get("runs", int)):
        first = BEFORE + int(rng.integers(JITTER))
        seen = _seen(whole, _ticks(rng, how, first + AFTER), how, first)
        said = _told(whole, seen)
        found["missed"].append(float(not said))
        found["early"].append(float(bool(said) and said[0].opened_at_ns < seen.at_ns[first]))
        if said and said[0].opened_at_ns >= seen.at_ns[first]:
            _judged(found, said[0], seen.at_ns, first)
    return found


def _judged(found: Figures, said: Incident, at_ns: Rows, first: int) -> None:
    """The true onset lies between the last frame before and the first frame after it."""
    alarm, since, low, high = (
        int(np.searchsorted(at_ns, at))
        for at in (said.opened_at_ns, said.since_ns, said.since_low_ns, said.since_high_ns)
    )
    found["delay"].append(alarm - first + 1.0)
    found["error"].append(float(abs(since - first)))
    found["covered"].append(float(low <= first <= high))
    found["width"].append(high - low + 1.0)


@dataclass(frozen=True, slots=True)
class _Seen:
    """n frames that came, in order; whole (n,) says whether embedding and confidence are there."""

    latent: Floats
    at_ns: Rows
    seq: Rows
    embedded: NDArray[np.bool_]
    decided: NDArray[np.bool_]


def _ticks(rng: np.random.Generator, how: str, frames: int) -> tuple[Rows, Rows]:
    """Tick and sequence number of each frame that is seen; what is lost has a number, a pause has none."""
    seq = np.arange(frames)
    if how in {"lost", "all"}:
        begins = np.cumsum(rng.geometric(_LOST / (1 - _LOST) / _LOST_RUN, frames))
        gaps = np.zeros(frames, np.int64)
        gaps[begins[begins < frames]] = rng.geometric(1 / _LOST_RUN, int((begins < frames).sum()))
        seq += np.cumsum(gaps)
    if how in {"pauses", "all"}:
        return seq + _PAUSE * np.cumsum(rng.random(frames) < 1 / _RUN), seq
    return seq, seq


def _seen(whole: Whole, ticks: tuple[Rows, Rows], how: str, first: int | None = None) -> _Seen:
    """Of a line that changes at its `first` frame seen."""
    (tick, seq), rng = ticks, whole.rng
    latent = whole.latent(int(tick[-1]) + 1)[tick]
    if first is not None:
        latent[first:] += SIZE * direction(rng, LATENT)
    at_ns = START_NS + tick * TICK_NS
    if how in {"jitter", "all"}:
        spent = np.diff(tick, prepend=0) * rng.exponential(TICK_NS, len(tick))
        at_ns = START_NS + np.cumsum(spent).astype(np.int64)
    less = _WITHOUT if how in {"parts", "all"} else 0.0
    embedded, decided = (rng.random(len(tick)) >= less for _ in range(2))
    return _Seen(latent, at_ns, seq, embedded, decided)


def _told(whole: Whole, seen: _Seen) -> list[Incident]:
    """What the station's incidents are after all of its records."""
    sha = profile_sha(encode_profile(whole.profile))
    plant = Plant({STATION: Station(STATION, (VIEW,))}, WEEK_NS / TICK_NS / ARL0)
    pipeline, state = Pipeline({sha: whole.profile}.__getitem__, plant), StationState()
    event = pb.ProfileActivated(view=VIEW, profile_sha=sha)
    activated = encode_control(STATION, pb.Control(control_id="c", at_ns=START_NS, profile_activated=event))
    said: list[Detection] = []
    for offset, record in enumerate([activated, *_records(whole, seen)]):
        outputs = pipeline.step(state, STATION, record, offset, START_NS + 10**18)
        assert not outputs.dead_letters, outputs.dead_letters
        said += outputs.detections
    return correlate(said)


def _records(whole: Whole, seen: _Seen) -> Iterator[bytes]:
    """Batches of consecutive frames."""
    recording = whole.recording(seen.latent)
    x = recording.layers["x"].astype(np.float16)
    confidence = np.where(seen.decided, recording.scalars["confidence"], np.nan).astype(np.float32)
    cuts = np.flatnonzero(np.diff(seen.seq) != 1) + 1
    for start, stop in zip([0, *cuts], [*cuts, len(x)], strict=True):
        for at in range(start, stop, _BATCH):
            rows = slice(at, min(stop, at + _BATCH))
            yield encode_frames(
                Frames(
                    station_id=STATION, view=VIEW, agent_id="pc", boot_id="b", first_seq=int(seen.seq[at]),
                    captured_at_ns=seen.at_ns[rows], purpose="production", model_version="1",
                    layers={"x": x[rows]}, present={"x": seen.embedded[rows]}, confidence=confidence[rows],
                )
            )  # fmt: skip
