"""Detections that are one event become one incident: a function of the set of detections, not of their order."""

import hashlib
from collections.abc import Iterable

from sincewhen.incidents.cause import cause
from sincewhen.incidents.layers import layer_moves
from sincewhen.incidents.likeness import likened
from sincewhen.incidents.rebaselining import closing, is_new_level
from sincewhen.profiles.streams import SQUARED
from sincewhen_schemas.messages import Detection, Incident, Shape

_IN_TIME = 0.25  # of the frames that the first one needed


def correlate(detections: Iterable[Detection]) -> list[Incident]:
    """One incident per station while it is open, oldest first. Only the newest version of a detection counts.

    A detection belongs to the running incident if it was worth a page before all members had ended, or if its onset
    lies before the incident's end; once people re-baselined, no more. What was found across the direction of an open
    change is a second incident beside it. `recorded` detections make no incident.
    """
    latest: dict[str, Detection] = {}
    for detection in detections:
        known = latest.get(detection.detection_id)
        if known is None or detection.version > known.version:
            latest[detection.detection_id] = detection
    paging = [detection for detection in latest.values() if detection.verdict == "paging"]
    groups: list[list[Detection]] = []
    for detection in sorted(paging, key=lambda d: (d.station_id, _paged(d), d.detection_id)):
        newest = next((group for group in reversed(groups) if _alike(group, detection)), None)
        if newest is not None and _belongs(newest, detection):
            newest.append(detection)
        else:
            groups.append([detection])
    incidents = sorted((_incident(group) for group in groups), key=lambda i: (i.opened_at_ns, i.incident_id))
    return likened(incidents, latest)


def primary(members: Iterable[Detection]) -> Detection:
    """The member whose dating speaks for the incident: of those that saw it about first the one that dates it best.

    Confirmed before provisional; T² and SPE, which grow with the square of a change, only where nothing else moved.
    Who saw it a little later counts as first where its date lies within the first one's interval.
    """
    known = list(members)
    first = min(known, key=lambda d: (*_rank(d), d.alarm_at_ns, d.detection_id))
    in_time = first.alarm_at_ns + _IN_TIME * (first.alarm_at_ns - first.since_low_ns)
    seers = [
        member
        for member in known
        if _rank(member) == _rank(first)
        and member.alarm_at_ns <= in_time
        and first.since_low_ns <= member.since_ns <= first.since_high_ns
    ]
    return min(seers, key=lambda d: (d.since_high_ns - d.since_low_ns, -d.evidence, d.detection_id))


def _rank(detection: Detection) -> tuple[bool, bool]:
    return detection.dating == "provisional", detection.stream.startswith(SQUARED)


def _alike(group: list[Detection], detection: Detection) -> bool:
    return (group[0].station_id, group[0].across) == (detection.station_id, detection.across)


def _belongs(group: list[Detection], detection: Detection) -> bool:
    if closing(group) is not None and detection.profile_sha != group[0].profile_sha:
        return False
    if any(member.until_ns is None or _paged(detection) <= member.updated_at_ns for member in group):
        return True
    until = primary(group).until_ns
    return until is not None and detection.since_ns <= until


def _paged(detection: Detection) -> int:
    return detection.alarm_at_ns if detection.paged_at_ns is None else detection.paged_at_ns


def _lasting(group: list[Detection], chief: Detection) -> Shape:
    """Where the member that speaks for the incident is over and others are not: their shape."""
    return primary([member for member in group if member.until_ns is None] or [chief]).shape


def _incident(group: list[Detection]) -> Incident:
    first = group[0]
    opened_at_ns = min(_paged(member) for member in group)
    # what moved only later, however clearly, does not say since when
    chief = primary(member for member in group if member.since_ns <= opened_at_ns)
    ended = all(member.until_ns is not None for member in group)
    digest = hashlib.sha256(first.detection_id.encode()).hexdigest()[:12]
    return Incident(
        incident_id=digest,
        version=sum(member.version for member in group),
        station_id=first.station_id,
        status="ended" if ended else "open",
        severity="page",
        cause=cause(group, with_lot=chief.with_lot),
        with_lot=chief.with_lot,
        dating=chief.dating,
        opened_at_ns=opened_at_ns,
        since_ns=chief.since_ns,
        since_low_ns=chief.since_low_ns,
        since_high_ns=chief.since_high_ns,
        until_ns=chief.until_ns if ended else None,
        until_high_ns=chief.until_high_ns if ended else None,
        shape=chief.shape if ended or chief.until_ns is None else _lasting(group, chief),
        p_ramp=chief.p_ramp,
        streams=tuple(sorted({member.stream for member in group})),
        layers=layer_moves(group),
        new_level=is_new_level(group),
        closed=closing(group),
        detection_ids=tuple(sorted(member.detection_id for member in group)),
        updated_at_ns=max(member.updated_at_ns for member in group),
    )
