"""A monitor's event becomes the Detection message of the contract, with the name of what it looks like."""

import hashlib
from dataclasses import dataclass

import numpy as np

from sincewhen.detect.naming import Name, name
from sincewhen.processor.event import Event
from sincewhen.profiles.profile import Profile
from sincewhen.profiles.scalar import raw_value
from sincewhen_schemas.messages import Detection


@dataclass(frozen=True, slots=True)
class Source:
    """Which stream of which profile an event comes from."""

    station_id: str
    view: str
    stream: str
    profile_sha: str
    profile: Profile
    arl0: float


def detection(source: Source, event: Event) -> Detection:
    """The same event of the same stream and profile always has the same id."""
    named, like = _named(source, event), event.like
    before, after = _values(source, event)
    return Detection(
        detection_id=_id(source, event.ordinal, event.alarm_at_ns),
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
        direction=np.array(event.direction, "<f2").tobytes(),
        before=before,
        after=after,
        cause=named.cause,
        cause_cosine=named.cosine,
        cause_strength=named.strength,
        alike=named.alike,
        limit_share=named.near,
        layers=tuple(source.profile.layers),
        across=event.across,
        with_lot=event.with_lot,
        seen_before=event.seen_before,
        like_id=None if like is None else _id(source, like.ordinal, like.alarm_at_ns),
        like_cosine=0.0 if like is None else like.cosine,
        new_level=event.new_level,
        contradicted=event.contradicted,
        ln_z=event.ln_z,
        arl0=source.arl0,
        profile_sha=source.profile_sha,
        model_version=source.profile.model_version,
        updated_at_ns=event.at_ns,
    )


def _id(source: Source, ordinal: int, alarm_at_ns: int) -> str:
    parts = (source.station_id, source.view, source.stream, source.profile_sha, ordinal, alarm_at_ns)
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]


def _named(source: Source, event: Event) -> Name:
    library, null = source.profile.library(source.stream), source.profile.null(source.stream)
    mean = np.array(event.direction)
    if library is None:
        return name(None, mean, 0.0)
    frames = int(np.clip(event.at - event.since + 1, 1, null.n_max))
    error = null.vt[frames - 1] / frames + null.reference
    return name(library, mean, float(error @ (library.half**2).sum(axis=1)))


def _values(source: Source, event: Event) -> tuple[float | None, float | None]:
    """A scalar's usual value and its value during the change."""
    scalar = source.profile.scalars.get(source.stream)
    if scalar is None:
        return None, None
    return raw_value(scalar.quantiles, scalar.mean), raw_value(scalar.quantiles, scalar.mean + event.direction[0])
