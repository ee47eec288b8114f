"""Recorded arrays through profile, detectors and onset, without any service. Nothing uses later rows."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sincewhen.incidents.correlate import correlate
from sincewhen.processor.detections import Source, detection
from sincewhen.processor.event import Rows
from sincewhen.processor.learn import Refusal, Subject, build_profile
from sincewhen.processor.monitor import StreamMonitor
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.profile import Profile
from sincewhen.score.score import score
from sincewhen_schemas.messages import DatingStatus, Detection, Incident, Shape

LAYER = "x"


@dataclass(frozen=True, slots=True)
class Recording:
    """n rows of one station: embeddings x (n, d), and what else was recorded of each."""

    x: NDArray[np.float32]
    at_ns: NDArray[np.int64]  # (n,)
    scalars: dict[str, NDArray[np.float64]]  # (n,) each
    lot: NDArray[np.object_] | None = None  # (n,)

    def golden(self, count: int) -> Golden:
        return Golden(
            captured_at_ns=self.at_ns[:count],
            layers={LAYER: self.x[:count]},
            scalars={name: values[:count] for name, values in self.scalars.items()},
            lot=None if self.lot is None else self.lot[:count],
        )


@dataclass(frozen=True, slots=True)
class Dating:
    """Since when, as known at row `at`."""

    at: int
    since: int
    since_low: int
    since_high: int
    shape: Shape
    p_ramp: float


@dataclass(frozen=True, slots=True)
class Alarm:
    """One change of the recording. `confirmed` as known at its own row; status and until as known at the end."""

    first: Dating
    confirmed: Dating | None
    status: Literal["ended"] | DatingStatus
    until: int | None  # last row out of control


@dataclass(frozen=True, slots=True)
class Result:
    refused: str | None
    alarms: list[Alarm]


def run(recording: Recording, golden: int, arl0: float, profile: Profile | None = None) -> Result:
    """Monitor the rows after the first `golden` ones; arl0 is the run length of all streams together, in rows."""
    learned: Profile | Refusal = profile or build_profile(recording.golden(golden), Subject())
    if isinstance(learned, Refusal):
        return Result(f"{learned.reason}: {learned.detail}", [])
    detections = _detections(recording, golden, arl0, learned)
    return Result(None, [_alarm(incident, detections) for incident in correlate(detections)])


def _detections(recording: Recording, golden: int, arl0: float, profile: Profile) -> list[Detection]:
    """Every version of every detection. Their times are rows: the monitor only copies the stamps that it is given."""
    n = len(recording.x)
    layers = {LAYER: recording.x[golden:]}
    scalars = {name: values[golden:] for name, values in recording.scalars.items()}
    scores = score(profile, layers, scalars, n=n - golden)
    begins = np.zeros(n - golden, bool)
    if recording.lot is not None:
        begins = recording.lot[golden:] != recording.lot[golden - 1 : n - 1]
    rows = np.arange(golden, n)
    found: list[Detection] = []
    for stream, positions in scores.positions.items():
        keep = scores.valid[stream]
        run_length = arl0 * len(scores.positions)
        monitor = StreamMonitor(profile.null(stream), run_length, fingerprints=profile.fingerprints(stream))
        events, _ = monitor.update(Rows(positions[keep], rows[keep], begins[keep], begins[keep]))
        source = Source("", "", stream, "", profile, run_length)
        found.extend(detection(source, event) for event in events)
    return found


def _alarm(incident: Incident, detections: list[Detection]) -> Alarm:
    members = [d for d in detections if d.detection_id in incident.detection_ids]
    first = _as_known(incident.opened_at_ns, members)
    confirmed_at = min(
        (d.updated_at_ns for d in members if d.dating != "provisional" and d.paged_at_ns is not None), default=None
    )
    return Alarm(
        first=first,
        confirmed=None if confirmed_at is None else _as_known(confirmed_at, members),
        status="ended" if incident.status == "ended" else incident.dating,
        until=incident.until_ns,
    )


def _as_known(row: int, members: list[Detection]) -> Dating:
    known = correlate(d for d in members if d.updated_at_ns <= row)[0]
    return Dating(row, known.since_ns, known.since_low_ns, known.since_high_ns, known.shape, known.p_ramp)
