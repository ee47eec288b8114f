"""The order of the rooms: one record of the log, and what it changes and makes. Pure: time comes with the record."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from sincewhen.detect.budget import arl0, view_weight
from sincewhen.ingest.decode import ControlRecord, HeartbeatRecord, decode
from sincewhen.plant import Plant
from sincewhen.presence.presence import arrive, beat, heard
from sincewhen.processor.calm import Calm
from sincewhen.processor.detections import Source, detection
from sincewhen.processor.event import Rows
from sincewhen.processor.gaps import WEEK_NS, breaks, since_last
from sincewhen.processor.monitor import StreamMonitor
from sincewhen.processor.opinions import Opinions
from sincewhen.processor.outputs import Outputs, ScoredBatch
from sincewhen.processor.state import CHANGES_MAX, StationState, ViewState
from sincewhen.processor.view import (
    STEP_FIELDS,
    begins,
    enter,
    learn,
    marks_of,
    settle,
    spacing_ns,
    state_name,
    status_of,
)
from sincewhen.processor.whole import Batch, in_order
from sincewhen.profiles.profile import Profile
from sincewhen.score.score import score
from sincewhen_schemas import limits
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.frames import Frames, Strings
from sincewhen_schemas.invalid import InvalidFrame, InvalidReason
from sincewhen_schemas.messages import Activation, BlindTime, Closing, DeadLetter, Heard, StationStatus

_SAMPLED_EVERY = 50  # embeddings of a station that keeps a sample


@dataclass(slots=True)
class Pipeline:
    """profile_of raises KeyError where a body is not there yet."""

    profile_of: Callable[[str], Profile]
    plant: Plant = field(default_factory=Plant)

    def step(self, state: StationState, key: str, value: bytes, offset: int, appended_at_ns: int) -> Outputs:
        """Take one record; changes `state`, the state of the station `key`, and returns what it makes."""
        outputs = Outputs()
        try:
            record = decode(key, value, appended_at_ns, self.plant.knows)
            self.check(state, record)
        except InvalidFrame as refusal:
            outputs.dead_letters.append(dead_letter(key, value, offset, appended_at_ns, refusal))
            return outputs
        if isinstance(record, ControlRecord):
            self._control(state, record, outputs)
        elif isinstance(record, Frames):
            frames = _unseen(state, record, outputs)
            if frames is not None:
                self._frames(state, frames, offset, appended_at_ns, outputs)
        else:
            self._heartbeat(state, record, appended_at_ns, outputs)
        return outputs

    def check(self, state: StationState, record: Frames | HeartbeatRecord | ControlRecord) -> None:
        """What only the plant, or what came before, can say of a record. Raises InvalidFrame."""
        if isinstance(record, ControlRecord):
            if record.control.HasField("profile_activated"):
                self._check_profile(record.station_id, record.control.profile_activated)
            return
        view = record.view if isinstance(record, Frames) else record.heartbeat.view
        if not view or view in state.views:
            return
        if not self.plant.knows_view(record.station_id, view):
            detail = (
                f"{view[:80]!r} is no view of {record.station_id!r} in plant.toml: add it there, or correct the agent's"
            )
            raise InvalidFrame(InvalidReason.UNKNOWN_VIEW, detail)
        if len(state.views) >= limits.VIEWS_MAX:
            detail = f"a station has at most {limits.VIEWS_MAX} views; got one more, {view[:80]!r}: correct the agent's"
            raise InvalidFrame(InvalidReason.TOO_LARGE, detail)

    def _check_profile(self, station_id: str, event: pb.ProfileActivated) -> None:
        sha = event.profile_sha
        try:
            profile = self.profile_of(sha)
        except KeyError:
            detail = f"an activated profile was built before; there is none of address {sha[:80]!r}: build it first"
            raise InvalidFrame(InvalidReason.BAD_CONTROL, detail) from None
        if (profile.station_id, profile.view) != (station_id, event.view):
            detail = (
                f"a profile is of one station and view; {sha[:80]!r} is of {profile.station_id!r} {profile.view!r}, "
                f"got {station_id!r} {event.view[:80]!r}: activate it there, or build one here"
            )
            raise InvalidFrame(InvalidReason.BAD_CONTROL, detail)

    def _heartbeat(self, state: StationState, record: HeartbeatRecord, appended_at_ns: int, outputs: Outputs) -> None:
        """An agent speaks for its view, and for the running flag of the whole station."""
        told = record.heartbeat
        producing = told.producing if told.HasField("producing") else None
        if told.view:
            state.views.setdefault(told.view, ViewState())
        for view in state.views.values():
            observing = told.mode in {pb.AGENT_MODE_OBSERVE, pb.AGENT_MODE_UNSPECIFIED}
            beat(view.memory.presence, told.sent_at_ns, appended_at_ns, producing, observing=observing)
        outputs.heartbeats.append(record)
        outputs.statuses += [self.status(record.station_id, name, view) for name, view in state.views.items()]

    def _control(self, state: StationState, record: ControlRecord, outputs: Outputs) -> None:
        control = record.control
        kind = control.WhichOneof("event")
        if kind == "profile_activated":
            self._activate(state, record, outputs)
        elif kind == "not_drift":
            self._mute(state, record, outputs)
        elif kind == "recorded_change":
            for view in state.views.values():
                told = (control.at_ns, control.recorded_change.kind)
                view.memory.changes = sorted([*view.memory.changes, told])[-CHANGES_MAX:]
        elif control.challenge.passed:
            for name, view in state.views.items():
                if control.challenge.view in {"", name}:
                    view.memory.passed = sorted([*view.memory.passed, control.at_ns])[-CHANGES_MAX:]

    def _mute(self, state: StationState, record: ControlRecord, outputs: Outputs) -> None:
        """Not drift: the direction of that detection is not looked at for a while, in the stream that it came from."""
        told = record.control.not_drift
        view = state.views.get(told.view, ViewState())
        for stream, monitor in view.monitors.items():
            source = self._source(record.station_id, told.view, stream, view)
            for event in monitor.open:
                if detection(source, event).detection_id == told.detection_id:
                    view.memory.not_drift += event.paged_at_ns is not None
                    ended = monitor.mute(event.ordinal, told.until_ns)
                    outputs.detections.extend(detection(source, item) for item in ended)
                    outputs.statuses.append(self.status(record.station_id, told.view, view))

    def _activate(self, state: StationState, record: ControlRecord, outputs: Outputs) -> None:
        control, event = record.control, record.control.profile_activated
        profile = self.profile_of(event.profile_sha)
        view = state.views.setdefault(event.view, ViewState())
        for stream, monitor in view.monitors.items():
            for closed in monitor.close():
                source = self._source(record.station_id, event.view, stream, view)
                said = Closing(by=control.actor, why=control.reason)
                outputs.detections.append(structs.replace(detection(source, closed), closed=said))
        views = self.plant.budget_views(record.station_id, len(state.views))
        weight = view_weight(self.plant.budget_stations, self.plant.groups, views)
        frames = arl0(profile.frames_per_week, self.plant.pages_per_week, weight)
        view.memory.profile_sha = event.profile_sha
        view.memory.missing_share = {}
        view.opinions, view.calm = Opinions(profile), None
        view.monitors = {
            stream: StreamMonitor(
                profile.null(stream),
                profile.run_length(stream, frames),
                fingerprints=profile.fingerprints(stream),
                good_ns=profile.golden_until_ns,
            )
            for stream in profile.streams
        }
        enter(view, "in control", control.at_ns)
        outputs.activations.append(
            Activation(
                station_id=record.station_id,
                view=event.view,
                profile_sha=event.profile_sha,
                at_ns=control.at_ns,
                by=control.actor,
                why=control.reason,
            )
        )
        outputs.statuses.append(self.status(record.station_id, event.view, view))

    def _frames(self, state: StationState, frames: Frames, offset: int, appended_at_ns: int, outputs: Outputs) -> None:
        view = state.views.setdefault(frames.view, ViewState())
        memory = view.memory
        memory.frames += frames.n
        profile = self.profile_of(memory.profile_sha) if memory.profile_sha else None
        shift = self.plant.shifts(frames.station_id, frames.captured_at_ns)
        self._present(view, frames, appended_at_ns, profile, outputs)
        ln_z: dict[str, NDArray[np.float32]] = {}
        if frames.purpose == "production":
            if profile is None or profile.model_version != frames.model_version:
                learn(view, frames, shift)
                enter(view, "learning", int(frames.captured_at_ns[0]))
            else:
                ln_z = self._judge(view, profile, frames, shift, outputs)
            memory.last_captured_at_ns = int(frames.captured_at_ns[-1])
            memory.context = {name: str(values[-1]) for name, values in frames.context.items() if name in STEP_FIELDS}
            memory.context["shift"] = str(shift[-1])
        state_now = state_name(memory.state)
        kept = self._kept(frames, sampled=memory.state != "learning")
        outputs.batches.append(ScoredBatch(frames, offset, appended_at_ns, state_now, shift, kept, ln_z))
        outputs.statuses.append(self.status(frames.station_id, frames.view, view))

    def _present(
        self, view: ViewState, frames: Frames, appended_at_ns: int, profile: Profile | None, outputs: Outputs
    ) -> None:
        """Frames came: the time before them in which they should have come and did not is blind."""
        at_ns, presence = frames.captured_at_ns, view.memory.presence
        calendar = self.plant.calendar(frames.station_id)
        spacing = spacing_ns(view, profile)
        blind = arrive(presence, int(at_ns.min()), int(at_ns.max()), appended_at_ns, spacing, calendar)
        if any(item.view == frames.view for item in outputs.blind_times):  # the gap in the sequence says it already
            return
        outputs.blind_times += [
            BlindTime(
                station_id=frames.station_id,
                view=frames.view,
                since_ns=stretch.since_ns,
                until_ns=stretch.until_ns,
                reason=stretch.reason,
            )
            for stretch in blind
        ]

    def _kept(self, frames: Frames, *, sampled: bool) -> Strings:
        """How long each embedding is kept; a station that still learns keeps all."""
        if not sampled or self.plant.embeddings(frames.station_id) == "all":
            return np.full(frames.n, "all", object)
        chosen = (frames.first_seq + np.arange(frames.n)) % _SAMPLED_EVERY == 0
        return np.where(chosen, "sampled", "").astype(object)

    def _judge(
        self, view: ViewState, profile: Profile, frames: Frames, shift: Strings, outputs: Outputs
    ) -> dict[str, NDArray[np.float32]]:
        assert view.opinions is not None
        memory = view.memory
        spacing = WEEK_NS / profile.frames_per_week
        at_ns = frames.captured_at_ns
        scores = score(profile, frames.layers, frames.scalars, n=frames.n, present=frames.present, regime=frames.regime)
        lot_change, step = begins(frames, shift, memory.context)
        pause = since_last(at_ns, memory.last_captured_at_ns)
        longest = {stream: monitor.null.n_max for stream, monitor in view.monitors.items()}
        cuts_of = {window: breaks(pause, spacing * window) for window in set(longest.values())}
        cuts = {stream: cuts_of[window] for stream, window in longest.items()}
        view.calm = view.calm or Calm(view.monitors)
        began = view.calm.take(scores, at_ns, (lot_change, step), cuts)
        ln_z = dict(zip(view.monitors, began.ln_z, strict=True))
        alarms = zip(began.alarm, began.alarm_ln_z, strict=True)
        left = {
            stream: alarm
            for stream, taken, alarm in zip(view.monitors, began.rows, alarms, strict=True)
            if taken < 0 or alarm[0] >= 0
        }
        batch = Batch(frames.n)
        for stream in in_order(left):
            monitor, keep, marks = view.monitors[stream], scores.valid[stream], marks_of(memory, profile, stream)
            x = scores.positions[stream]
            rows = Rows(x, at_ns, lot_change, step, scores.doubt, marks, scores.layer(stream))
            if left[stream][0] < 0:
                events, ln_z[stream] = batch.take(stream, monitor, rows, keep, cuts[stream])
            else:
                events = batch.go_on(stream, monitor, rows, keep, left[stream], ln_z[stream])
            source = self._source(frames.station_id, frames.view, stream, view)
            outputs.detections.extend(detection(source, event) for event in events)
        view.opinions.take(frames, scores, cuts, outputs)
        settle(view, scores, int(at_ns[-1]))
        return ln_z

    def status(self, station_id: str, name: str, view: ViewState) -> StationStatus:
        """What is known of one view now."""
        profile = self.profile_of(view.memory.profile_sha) if view.memory.profile_sha else None
        return status_of(station_id, name, view, profile, self.plant.shift_names(station_id))

    def heard(self, status: StationStatus, view: ViewState) -> Heard:
        """A view's status, and by what its silence is judged."""
        profile = self.profile_of(status.profile_sha) if status.profile_sha else None
        return heard(status, view.memory.presence, spacing_ns(view, profile))

    def _source(self, station_id: str, name: str, stream: str, view: ViewState) -> Source:
        sha = view.memory.profile_sha
        return Source(station_id, name, stream, sha, self.profile_of(sha), view.monitors[stream].arl0)


def dead_letter(key: str, value: bytes, offset: int, appended_at_ns: int, refusal: InvalidFrame) -> DeadLetter:
    """A refused record, kept with the reason."""
    return DeadLetter(
        station_id=key,
        reason=refusal.reason,
        detail=refusal.detail,
        payload=value,
        appended_at_ns=appended_at_ns,
        offset=offset,
    )


def _unseen(state: StationState, frames: Frames, outputs: Outputs) -> Frames | None:
    """The frames that were not seen before; a gap in the sequence is blind time of a known count."""
    key = (frames.agent_id, frames.boot_id, frames.view)
    seen = frames.view in state.views and state.views[frames.view].memory.frames > 0
    fresh = 0 if seen else frames.first_seq  # who never saw a frame of the view can't miss its first ones
    expected = state.marks.get(key, fresh)
    if frames.first_seq + frames.n <= expected:
        return None
    if frames.first_seq > expected:
        view = state.views.get(frames.view)
        since = (view.memory.last_captured_at_ns if view else 0) or int(frames.captured_at_ns[0])
        outputs.blind_times.append(
            BlindTime(
                station_id=frames.station_id,
                view=frames.view,
                since_ns=min(since, int(frames.captured_at_ns[0])),
                until_ns=int(frames.captured_at_ns[0]),
                reason="sequence_gap",
                frames_missed=frames.first_seq - expected,
            )
        )
    state.mark(key, frames.first_seq + frames.n)
    return frames.tail(max(0, expected - frames.first_seq))
