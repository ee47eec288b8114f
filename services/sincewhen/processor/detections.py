"""A monitor's event becomes the Detection message of the contract, with the name of what it looks like."""

import hashlib
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from sincewhen.detect.naming import UNKNOWN, Name, name
from sincewhen.processor.event import Event
from sincewhen.profiles.embedding import in_common
from sincewhen.profiles.null import StreamNull
from sincewhen.profiles.profile import Profile
from sincewhen.profiles.scalar import raw_value
from sincewhen.profiles.streams import parsed
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


@dataclass(frozen=True, slots=True)
class Widened:
    """What a mean over many stations can say less sharply: who moved, by how much its bins blur every time, and what it
    looks like.
    """

    stations: tuple[str, ...]
    before_ns: int
    after_ns: int
    cause: str = UNKNOWN
    cause_cosine: float = 0.0


def detection(source: Source, event: Event) -> Detection:
    """The same event of the same stream and profile always has the same id."""
    named = _named(source, event)
    before, after = _values(source, event)
    basis, common, error = _common(source, event)
    place = (source.station_id, source.view, source.stream, source.profile_sha)
    return msgspec.structs.replace(
        _message(place, source.arl0, event),
        before=before,
        after=after,
        cause=named.cause,
        cause_cosine=named.cosine,
        cause_strength=named.strength,
        alike=named.alike,
        limit_share=named.near,
        basis=basis,
        common=common,
        common_error=error,
        layers=tuple(source.profile.layers),
        model_version=source.profile.model_version,
    )


def of_group(group_id: str, stream: str, arl0: float, event: Event, widened: Widened) -> Detection:
    """An event of a line or plant mean: of no view and no profile. The same event always has the same id."""
    known = _message((group_id, "", stream, ""), arl0, event)
    middle_ns = (widened.before_ns - widened.after_ns) // 2
    return msgspec.structs.replace(
        known,
        since_ns=known.since_ns - middle_ns,
        since_low_ns=known.since_low_ns - widened.before_ns,
        since_high_ns=known.since_high_ns + widened.after_ns,
        until_low_ns=None if known.until_low_ns is None else known.until_low_ns - widened.before_ns,
        until_high_ns=None if known.until_high_ns is None else known.until_high_ns + widened.after_ns,
        stations=widened.stations,
        cause=widened.cause,
        cause_cosine=widened.cause_cosine,
    )


def _message(place: tuple[str, str, str, str], arl0: float, event: Event) -> Detection:
    """place: station, view, stream, sha of the profile."""
    station_id, view, stream, profile_sha = place
    like = event.like
    return Detection(
        detection_id=_id(place, event.ordinal, event.alarm_at_ns),
        version=event.version,
        station_id=station_id,
        view=view,
        stream=stream,
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
        across=event.across,
        with_lot=event.with_lot,
        seen_before=event.seen_before,
        like_id=None if like is None else _id(place, like.ordinal, like.alarm_at_ns),
        like_cosine=0.0 if like is None else like.cosine,
        new_level=event.new_level,
        contradicted=event.contradicted,
        ln_z=event.ln_z,
        arl0=arl0,
        profile_sha=profile_sha,
        model_version="",
        updated_at_ns=event.at_ns,
    )


def _id(place: tuple[str, str, str, str], ordinal: int, alarm_at_ns: int) -> str:
    return hashlib.sha256("\n".join(map(str, (*place, ordinal, alarm_at_ns))).encode()).hexdigest()[:16]


def _named(source: Source, event: Event) -> Name:
    library, null = source.profile.library(source.stream), source.profile.null(source.stream)
    mean = np.array(event.direction)
    if library is None:
        return name(None, mean, 0.0)
    return name(library, mean, float(_error(null, event) @ (library.half**2).sum(axis=1)))


def _error(null: StreamNull, event: Event) -> NDArray[np.float32]:
    """Variance (d,) of the mean displacement's error."""
    frames = int(np.clip(event.at - event.since + 1, 1, null.n_max))
    return np.asarray(null.vt[frames - 1] / frames + null.reference, np.float32)


def _common(source: Source, event: Event) -> tuple[str, bytes, float]:
    """Of a layer as a whole: address of the common basis, the displacement in it, and its error's squared length."""
    kind, layer, _ = parsed(source.stream)
    if kind != "embedding":
        return "", b"", 0.0
    fitted = source.profile.layers[layer]
    back = in_common(fitted.basis, np.eye(fitted.null.dims))
    common = np.array(event.direction) @ back
    error = float(_error(fitted.null, event) @ (back**2).sum(axis=1))
    return fitted.basis.common.sha, common.astype("<f2").tobytes(), error


def _values(source: Source, event: Event) -> tuple[float | None, float | None]:
    """A scalar's usual value and its value during the change."""
    scalar = source.profile.scalars.get(source.stream)
    if scalar is None:
        return None, None
    return raw_value(scalar.quantiles, scalar.mean), raw_value(scalar.quantiles, scalar.mean + event.direction[0])
