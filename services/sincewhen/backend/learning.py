"""An engineer's part of learning: build a profile from a window of the store, look at it, activate it."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from sincewhen.backend.backend import Backend
from sincewhen.backend.bases import Bases, common_bases
from sincewhen.backend.references import chosen
from sincewhen.incidents.correlate import concerns
from sincewhen.processor.learn import FRAMES_MIN, Refusal, RefusalReason, Subject, build_profile
from sincewhen.profiles.library import Library
from sincewhen.profiles.profile import Profile
from sincewhen.store import read
from sincewhen.store.write import write_profile
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.encode import encode_control
from sincewhen_schemas.messages import StationStatus


def proposal(backend: Backend, status: StationStatus) -> dict[str, int] | None:
    """The window that would make a profile: all since learning, once nothing is missing, or since a new level began."""
    until_ns = status.last_captured_at_ns
    learns = status.learning_since_ns is not None
    from_ns = status.learning_since_ns if learns else _level_since(backend, status)
    if from_ns is None or (learns and status.missing) or _open_incident(backend, status.station_id, from_ns, until_ns):
        return None
    return {"from_ns": from_ns, "until_ns": until_ns}


def _level_since(backend: Backend, status: StationStatus) -> int | None:
    """From where on all frames of a view are of a level that is proposed as its new reference."""
    for incident in backend.known.incidents.values():
        here = incident.station_id == status.station_id and incident.status == "open" and incident.new_level
        if here and any(move.moved and move.view == status.view for move in incident.layers):
            return incident.since_high_ns
    return None


def build(
    backend: Backend, station: str, view: str, from_ns: int, until_ns: int, reference: str
) -> dict[str, Any] | Refusal:
    """Learn from the window; the profile is kept under its sha, not yet active. Raises KeyError for a reference set."""
    overlap = _open_incident(backend, station, from_ns, until_ns)
    if overlap is not None:
        return overlap
    golden, version = read.golden(backend.store, station, view, from_ns, until_ns)
    named = chosen(backend, reference, station, view, version)
    bases = common_bases(backend, golden, station, view, version) if golden.n >= FRAMES_MIN else Bases()
    learned = build_profile(golden, Subject(station, view, "", version), *named, bases.common)
    if isinstance(learned, Refusal):
        return learned
    learned = replace(learned, warnings=(*learned.warnings, *bases.warnings))
    sha = backend.profiles.keep(learned)
    made = summary(sha, learned)
    write_profile(backend.store, sha, learned, backend.now_ns(), msgspec.json.encode(made).decode())
    return made


def _open_incident(backend: Backend, station: str, from_ns: int, until_ns: int) -> Refusal | None:
    """What is out of control is no reference, but from its onset on where it is proposed as a new level."""
    for incident in backend.known.incidents.values():
        if not concerns(incident, station) or incident.status != "open" or incident.since_low_ns > until_ns:
            continue
        if incident.new_level and from_ns >= incident.since_ns:
            continue
        way_out = (
            f"begin the window at or after its onset {_utc(incident.since_ns)}, it is a new level"
            if incident.new_level
            else "end the window before it, or wait for its end"
        )
        detail = (
            f"a window does not overlap an open incident; incident {incident.incident_id} of {incident.station_id} is "
            f"open since {_utc(incident.since_low_ns)}: {way_out}"
        )
        return Refusal(RefusalReason.OPEN_INCIDENT, detail)
    return None


def _utc(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="seconds")


def activate(backend: Backend, sha: str, actor: str, reason: str) -> dict[str, Any]:
    """Put the activation into the station's log, among its frames. Raises KeyError where the sha is unknown."""
    profile = backend.profiles.of(sha)
    control = pb.Control(
        control_id=uuid.uuid4().hex,
        at_ns=backend.now_ns(),
        actor=actor,
        reason=reason,
        profile_activated=pb.ProfileActivated(view=profile.view, profile_sha=sha),
    )
    backend.intake.append([(profile.station_id, encode_control(profile.station_id, control))])
    return summary(sha, profile)


def summary(sha: str, profile: Profile) -> dict[str, Any]:
    """What an engineer looks at before activating."""
    test = profile.self_test
    return {
        "sha": sha,
        "station_id": profile.station_id,
        "view": profile.view,
        "model_version": profile.model_version,
        "golden_from_ns": profile.golden_from_ns,
        "golden_until_ns": profile.golden_until_ns,
        "frames": profile.frames,
        "lots": profile.lots,
        "streams": list(profile.streams),
        "common_bases": {name: layer.basis.common.sha for name, layer in profile.layers.items()},
        "warnings": list(profile.warnings),
        "reference": profile.reference_sha or None,
        "causes": {name: _causes(layer.library) for name, layer in profile.layers.items() if layer.library},
        "self_test": {
            "frames": test.frames,
            "arl0": test.arl0,
            "alarms": test.alarms,
            "alarms_max": test.alarms_max,
        },
    }


def _causes(library: Library) -> dict[str, Any]:
    """What a layer knows by name, what it can't tell apart, and from which displacement on decisions flip."""
    families: dict[int, list[str]] = {}
    for cause, number in dict.fromkeys(zip(library.causes, library.families, strict=True)):
        families.setdefault(number, []).append(cause)
    return {
        "known": list(dict.fromkeys(library.causes)),
        "families": list(families.values()),
        "decision_limits": library.limits,
    }
