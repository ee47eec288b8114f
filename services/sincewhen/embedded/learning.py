"""An engineer's part of learning: build a profile from a window of the store, look at it, activate it."""

import uuid
from typing import Any

from sincewhen.embedded.runner import Runner
from sincewhen.processor.learn import Refusal, Subject, build_profile
from sincewhen.profiles.profile import Profile, encode_profile, profile_sha
from sincewhen.store import read
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.encode import encode_control
from sincewhen_schemas.messages import StationStatus


def proposal(status: StationStatus) -> dict[str, int] | None:
    """The window that would make a profile: everything since learning began, once nothing is missing."""
    if status.state != "learning" or status.missing:
        return None
    return {"from_ns": status.since_ns, "until_ns": status.last_captured_at_ns}


def build(runner: Runner, station: str, view: str, from_ns: int, until_ns: int) -> dict[str, Any] | Refusal:
    """Learn from the window; the profile is kept under its sha, not yet active."""
    golden, version = read.golden(runner.connection, station, view, from_ns, until_ns)
    learned = build_profile(golden, Subject(station, view, "", version))
    if isinstance(learned, Refusal):
        return learned
    body = encode_profile(learned)
    sha = profile_sha(body)
    runner.log.put_body(sha, body)
    return summary(sha, learned)


def activate(runner: Runner, sha: str, actor: str, reason: str) -> dict[str, Any]:
    """Put the activation into the station's log, among its frames. Raises KeyError where the sha is unknown."""
    profile = runner.profile(sha)
    control = pb.Control(
        control_id=uuid.uuid4().hex,
        at_ns=runner.now_ns(),
        actor=actor,
        reason=reason,
        profile_activated=pb.ProfileActivated(view=profile.view, profile_sha=sha),
    )
    runner.append([(profile.station_id, encode_control(profile.station_id, control))])
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
        "warnings": list(profile.warnings),
        "self_test": {
            "frames": test.frames,
            "arl0": test.arl0,
            "alarms": test.alarms,
            "alarms_max": test.alarms_max,
        },
    }
