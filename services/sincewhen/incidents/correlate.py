"""Detections that are one event become one incident: a function of the set of detections, not of their order."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from sincewhen.incidents.cause import cause, named
from sincewhen.incidents.layers import layer_moves
from sincewhen.incidents.likeness import likened
from sincewhen.incidents.rebaselining import closing, is_new_level
from sincewhen.plant.places import STATION_DEPTH, line_of, site_of
from sincewhen.profiles.streams import SQUARED, layer_of
from sincewhen_schemas.messages import Detection, Incident, Shape

_IN_TIME = 0.25  # of the frames that the first one needed


@dataclass(slots=True)
class _Event:
    """Detections of one place (a station, a line, the plant), and those of places within it that are the same event."""

    own: list[Detection]
    taken: list[Detection] = field(default_factory=list)

    @property
    def members(self) -> list[Detection]:
        return [*self.own, *self.taken]


def correlate(detections: Iterable[Detection]) -> list[Incident]:
    """One incident per place while it is open, oldest first. Only the newest version of a detection counts.

    A detection belongs to the running incident if it was worth a page before all members had ended, or if its onset
    lies before the incident's end; once people re-baselined, no more. What was found across the direction of an open
    change is a second incident beside it. What a line or the plant has in common is one incident: detections of the
    stations in it that are the same event (`_same_event`) become members, also those that were paged before. `recorded`
    detections make no incident.
    """
    latest: dict[str, Detection] = {}
    for detection in detections:
        known = latest.get(detection.detection_id)
        if known is None or detection.version > known.version:
            latest[detection.detection_id] = detection
    paging = [detection for detection in latest.values() if detection.verdict == "paging"]
    events: list[_Event] = []
    newest: dict[tuple[str, bool], _Event] = {}
    by_place: dict[str, list[_Event]] = {}  # with the places of what was taken
    for detection in sorted(paging, key=lambda d: (d.station_id.count("/"), d.station_id, _paged(d), d.detection_id)):
        place = detection.station_id
        wider = [event for outer in _around(place) for event in by_place.get(outer, ())]
        event = next((event for event in wider if _is_part(detection, event)), None)
        if event is not None:
            event.taken.append(detection)
        elif (place, detection.across) in newest and _belongs(newest[place, detection.across].own, detection):
            newest[place, detection.across].own.append(detection)
            continue
        else:
            event = newest[place, detection.across] = _Event([detection])
            events.append(event)
        by_place.setdefault(place, []).append(event)
    incidents = sorted((_incident(event) for event in events), key=lambda i: (i.opened_at_ns, i.incident_id))
    return likened(incidents, latest)


def _around(place: str) -> tuple[str, ...]:
    """The plant and the line that a place lies in."""
    site, line = site_of(place), line_of(place)
    return tuple(dict.fromkeys(outer for outer in (site, line) if outer and outer != place and outer.count("/") != 1))


def concerns(incident: Incident, place: str) -> bool:
    """Whether it is the incident of a station, a line or the plant, or one in which that station moved."""
    return place == incident.station_id or place in incident.stations


def primary(members: Iterable[Detection]) -> Detection:
    """The member whose dating speaks for the incident: of those that saw it about first the one that dates it best.

    Confirmed before provisional; T² and SPE, which grow with the square of a change, and slices, which see part of the
    frames, only where nothing else moved: of many intervals the narrowest is too often a wrong one. First is who was
    worth a page first: an earlier alarm may have been a lot's, unusual by nature. Who saw it a little later counts as
    first where its date lies within the first one's interval; of something gradual only who saw it by then, because
    what is slow to show it dates it late.
    """
    known = list(members)
    first = min(known, key=lambda d: (*_rank(d), _paged(d), d.detection_id))
    later = 0 if first.shape == "gradual" else _IN_TIME * (_paged(first) - first.since_low_ns)
    seers = [
        member
        for member in known
        if _rank(member) == _rank(first)
        and member.alarm_at_ns <= _paged(first) + later
        and first.since_low_ns <= member.since_ns <= first.since_high_ns
    ]
    return min(seers, key=lambda d: (d.since_high_ns - d.since_low_ns, -d.evidence, d.detection_id))


def _rank(detection: Detection) -> tuple[bool, bool]:
    return is_second(detection.stream), detection.dating == "provisional"


def is_second(stream: str) -> bool:
    """Whether its date counts only where no other stream moved."""
    return stream.startswith((*SQUARED, "slice:"))


def _is_part(detection: Detection, event: _Event) -> bool:
    """Whether a detection is one of a place within the event's, and the same event."""
    return any(
        detection.station_id.startswith(f"{wide.station_id}/") and _same_event(wide, detection)
        for wide in event.members
    )


def _same_event(wide: Detection, detection: Detection) -> bool:
    """The same kind of stream, with an onset that may lie within the wider event; or any stream, with an onset that may
    lie within the wider one's, or before it was seen.

    Of many stations some are dated wrong: what lies outside of an interval by half its width may still be the onset, by
    all of it where both have one cause.
    """
    width = detection.since_high_ns - detection.since_low_ns
    margin = width if set(named(detection)).intersection(named(wide)) else width // 2
    if detection.since_high_ns + margin < wide.since_low_ns:
        return False
    if _kind(detection.stream) == _kind(wide.stream):
        return wide.until_ns is None or detection.since_low_ns - margin <= wide.until_ns
    return detection.since_low_ns - margin <= max(wide.since_high_ns, _paged(wide))


def _kind(stream: str) -> str:
    """What a layer's streams share is the layer."""
    return layer_of(stream) or stream


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


def _incident(event: _Event) -> Incident:
    own, members = event.own, event.members
    first = min(members, key=lambda d: (_paged(d), d.detection_id))
    seen_ns = min(_paged(member) for member in own)
    # what moved only later, however clearly, does not say since when
    chief = primary(member for member in own if member.since_ns <= seen_ns)
    ended = all(member.until_ns is not None for member in members)
    digest = hashlib.sha256(first.detection_id.encode()).hexdigest()[:12]
    return Incident(
        incident_id=digest,
        version=sum(member.version for member in members),
        station_id=own[0].station_id,
        status="ended" if ended else "open",
        severity="page",
        cause=cause(members, with_lot=chief.with_lot),
        with_lot=chief.with_lot,
        dating=chief.dating,
        opened_at_ns=_paged(first),
        since_ns=chief.since_ns,
        since_low_ns=chief.since_low_ns,
        since_high_ns=chief.since_high_ns,
        until_ns=chief.until_ns if ended else None,
        until_high_ns=chief.until_high_ns if ended else None,
        shape=chief.shape if ended or chief.until_ns is None else _lasting(members, chief),
        p_ramp=chief.p_ramp,
        streams=tuple(sorted({member.stream for member in members})),
        layers=layer_moves(members),
        new_level=is_new_level(members),
        contradicted=chief.contradicted,
        closed=closing(members),
        detection_ids=tuple(sorted(member.detection_id for member in members)),
        stations=tuple(sorted({station for member in members for station in _stations(member)})),
        updated_at_ns=max(member.updated_at_ns for member in members),
    )


def _stations(detection: Detection) -> tuple[str, ...]:
    """Those that moved: of a group's detection what it says, else its own."""
    return detection.stations or (detection.station_id,) * (detection.station_id.count("/") == STATION_DEPTH)
