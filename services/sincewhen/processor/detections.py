"""A monitor's event becomes the Detection message of the contract."""

import hashlib
from dataclasses import dataclass

from sincewhen.processor.event import Event
from sincewhen_schemas.messages import Detection


@dataclass(frozen=True, slots=True)
class Source:
    """Which stream of which profile an event comes from."""

    station_id: str
    view: str
    stream: str
    profile_sha: str
    model_version: str
    arl0: float


def detection(source: Source, event: Event) -> Detection:
    """The same event of the same stream and profile always has the same id."""
    parts = (source.station_id, source.view, source.stream, source.profile_sha, event.ordinal, event.alarm_at_ns)
    key = "\n".join(map(str, parts))
    return Detection(
        detection_id=hashlib.sha256(key.encode()).hexdigest()[:16],
        version=event.version,
        station_id=source.station_id,
        view=source.view,
        stream=source.stream,
        status=event.status,
        dating=event.dating,
        verdict=event.verdict,
        alarm_at_ns=event.alarm_at_ns,
        paged_at_ns=event.paged_at_ns,
        since_ns=event.since_ns,
        since_low_ns=event.since_low_ns,
        since_high_ns=event.since_high_ns,
        until_ns=event.until_ns,
        until_low_ns=event.until_low_ns,
        until_high_ns=event.until_high_ns,
        shape=event.shape,
        p_ramp=event.p_ramp,
        evidence=event.evidence,
        displacement=event.displacement,
        ln_z=event.ln_z,
        arl0=source.arl0,
        profile_sha=source.profile_sha,
        model_version=source.model_version,
        updated_at_ns=event.at_ns,
    )
