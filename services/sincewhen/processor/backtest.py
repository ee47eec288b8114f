"""Recorded arrays through profile, detectors and onset, without any service. Nothing uses later rows."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sincewhen.incidents.correlate import correlate, is_second
from sincewhen.processor.dating import CONFIRMED_AFTER
from sincewhen.processor.detections import Source, detection
from sincewhen.processor.event import Rows
from sincewhen.processor.gaps import WEEK_NS, breaks, since_last
from sincewhen.processor.learn import Refusal, build_profile
from sincewhen.processor.monitor import StreamMonitor
from sincewhen.processor.view import MISSING_MAX, SHARE_FRAMES
from sincewhen.processor.whole import Batch, in_order
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.profile import Profile
from sincewhen.score.score import score
from sincewhen_schemas.messages import DatingStatus, Detection, Incident, Shape


@dataclass(frozen=True, slots=True)
class Recording:
    """n rows of one station in order: embeddings by layer, and what else was recorded of each."""

    layers: dict[str, NDArray[np.float32]]  # (n, d) each
    at_ns: NDArray[np.int64]  # (n,)
    scalars: dict[str, NDArray[np.float64]]  # (n,) each
    lot: NDArray[np.object_] | None = None  # (n,)
    regime: NDArray[np.object_] | None = None  # (n,)
    step: NDArray[np.bool_] | None = None  # (n,) a dated context value begins; None: where a lot begins
    number: NDArray[np.int64] | None = None  # (n,) ascending: how alarms name the rows; None: 0..n-1
    pauses: bool = False  # whether a long pause restarts the windows

    @property
    def n(self) -> int:
        return len(self.at_ns)

    @property
    def numbers(self) -> NDArray[np.int64]:
        return np.arange(self.n) if self.number is None else self.number

    def take(self, rows: slice | NDArray[Any]) -> "Recording":
        """Some of the rows, in order; their numbers stay."""
        return Recording(
            layers={name: values[rows] for name, values in self.layers.items()},
            at_ns=self.at_ns[rows],
            scalars={name: values[rows] for name, values in self.scalars.items()},
            lot=None if self.lot is None else self.lot[rows],
            regime=None if self.regime is None else self.regime[rows],
            step=None if self.step is None else self.step[rows],
            number=self.numbers[rows],
            pauses=self.pauses,
        )

    def golden(self) -> Golden:
        return Golden(
            captured_at_ns=self.at_ns, layers=self.layers, scalars=self.scalars, lot=self.lot, regime=self.regime
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
    final: Dating  # as known at the end
    status: Literal["ended"] | DatingStatus
    until: int | None  # last row out of control
    streams: tuple[str, ...]  # all that moved
    cause: str = "unknown"  # what it looks like

    @property
    def known(self) -> Dating:
        """As known in the end; a change that was over before it could be confirmed is dated as at the alarm."""
        short = self.until is not None and self.until < self.first.at + CONFIRMED_AFTER
        return replace(self.first, at=self.final.at, shape=self.final.shape) if short else self.final


@dataclass(frozen=True, slots=True)
class Result:
    """ln_z (n,) of every stream of the profile after each row; NaN: golden, not measured, or a change is open."""

    refused: str | None
    alarms: list[Alarm]
    profile: Profile | None = None
    ln_z: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()  # what makes it less sure


def run(recording: Recording, golden: int, arl0: float, profile: Profile | Refusal | None = None) -> Result:
    """Monitor the rows after the first `golden` ones; arl0 is the run length of all streams together, in rows.

    profile: what was learned of the golden rows; None: learn it now.
    """
    learned = profile or build_profile(recording.take(slice(golden)).golden())
    if isinstance(learned, Refusal):
        return Result(f"{learned.reason}: {learned.detail}", [])
    detections, ln_z = _detections(recording, golden, arl0, learned)
    warnings = (*learned.warnings, *_insufficient(recording, golden, learned))
    return Result(None, _alarms(detections), learned, ln_z, warnings)


def _insufficient(recording: Recording, golden: int, profile: Profile) -> list[str]:
    """What too many rows after the golden ones lack, of the newest hundred: there it was not judged."""
    found = []
    for stream in sorted(profile.scalars.keys() & recording.scalars.keys()):
        seen = np.isfinite(recording.scalars[stream])
        count = np.concatenate([np.zeros(SHARE_FRAMES, np.int64), np.cumsum(~seen[golden:])])
        share = (count[SHARE_FRAMES:] - count[:-SHARE_FRAMES]) / SHARE_FRAMES
        rows = np.flatnonzero(share > MISSING_MAX + np.mean(~seen[:golden]))
        if len(rows):
            missing = int(np.sum(~seen[golden:]))
            what = stream.removeprefix("factor:")
            found.append(
                f"{what} has insufficient data from row {golden + rows[0]} on: {missing:,} of {recording.n - golden:,} "
                "watched rows lack it and were judged without it"
            )
    return found


def watch(recording: Recording, profile: Profile, arl0: float, start: int = 0) -> list[Alarm]:
    """Every change from row `start` on, against a profile."""
    return _alarms(_detections(recording, start, arl0, profile)[0])


def _alarms(detections: list[Detection]) -> list[Alarm]:
    return [_alarm(incident, detections) for incident in correlate(detections)]


def _detections(
    recording: Recording, start: int, arl0: float, profile: Profile
) -> tuple[list[Detection], dict[str, NDArray[np.float32]]]:
    """Every version of every detection, and ln Z. Their times are row numbers: the monitor only copies its stamps."""
    lot, step = _begins(recording, start)
    rest = recording.take(slice(start, None))
    scores = score(profile, rest.layers, rest.scalars, n=rest.n, regime=rest.regime)
    found: list[Detection] = []
    ln_z = {stream: np.full(recording.n, np.nan, np.float32) for stream in scores.positions}
    batch = Batch(rest.n)
    for stream in in_order(scores.positions):
        run_length = profile.run_length(stream, arl0)
        null = profile.null(stream)
        monitor = StreamMonitor(null, run_length, fingerprints=profile.fingerprints(stream))
        source = Source("", "", stream, "", profile, run_length)
        rows = Rows(scores.positions[stream], rest.numbers, lot, step, scores.doubt, layer=scores.layer(stream))
        gap_ns = WEEK_NS / profile.frames_per_week * null.n_max
        cuts = breaks(since_last(rest.at_ns, 0), gap_ns) if rest.pauses else []
        events, ln_z[stream][start:] = batch.take(stream, monitor, rows, scores.valid[stream], cuts)
        found.extend(detection(source, event) for event in events)
    return found, ln_z


def _begins(recording: Recording, start: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows from `start` on that begin another lot, and that begin another value of any dated context."""
    lot = np.zeros(recording.n, bool)
    if recording.lot is not None:
        lot[1:] = recording.lot[1:] != recording.lot[:-1]
    return lot[start:], (lot if recording.step is None else recording.step)[start:]


def _alarm(incident: Incident, detections: list[Detection]) -> Alarm:
    members = [d for d in detections if d.detection_id in incident.detection_ids]
    first = _as_known(incident.opened_at_ns, members)
    paged = [d for d in members if d.paged_at_ns is not None]
    speaking = [d for d in paged if not is_second(d.stream)] or paged
    confirmed_at = min((d.updated_at_ns for d in speaking if d.dating != "provisional"), default=None)
    return Alarm(
        first=first,
        confirmed=None if confirmed_at is None else _as_known(confirmed_at, members),
        final=_dating(incident.updated_at_ns, incident),
        status="ended" if incident.status == "ended" else incident.dating,
        until=incident.until_ns,
        streams=incident.streams,
        cause=incident.cause,
    )


def _as_known(row: int, members: list[Detection]) -> Dating:
    return _dating(row, correlate(d for d in members if d.updated_at_ns <= row)[0])


def _dating(row: int, known: Incident) -> Dating:
    return Dating(row, known.since_ns, known.since_low_ns, known.since_high_ns, known.shape, known.p_ramp)
