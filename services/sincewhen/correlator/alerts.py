"""Incidents as Prometheus Alertmanager's alerts (API v2): who is paged needs neither store nor console.

An open incident is sent again every minute and would end by itself seven days later; one that ended, or became a part
of another one, is resolved by endsAt. Alertmanager groups, silences and routes by the labels.
"""

from datetime import UTC, datetime
from typing import Any

from sincewhen.plant.places import STATION_DEPTH, line_of, site_of
from sincewhen_schemas.messages import Incident, Shape

AGAIN_S = 60.0
ALIVE_NS = 7 * 86400 * 10**9
_HOW: dict[Shape, str] = {
    "abrupt": "suddenly",
    "gradual": "gradually",
    "undecided": "in a way that is not clear yet",
    "transient": "for a short time",
    "recurring": "again, as it did before",
}
_FIRST: dict[str, str] = {  # by what it looks like
    "haze": "look at the lens and its window: clean them",
    "contrast_loss": "look at the lens and its window, then at stray light",
    "defocus": "look at the lens: is it loose, is the distance right?",
    "motion_blur": "look at exposure time, trigger and speed",
    "glare": "look for light that shines into the lens or off the part",
    "brightness_up": "look at lamp, exposure and gain",
    "brightness_down": "look at lamp, exposure and gain",
    "noise": "look at light and gain",
    "rotation": "look at camera mount and fixture",
    "offset": "look at camera mount, fixture and trigger",
    "zoom": "look at camera mount and distance",
    "texture": "look at the material: lot and supplier",
    "dirt": "look at the lens and its window: clean them",
    "colour_cast": "look at lamp and white balance",
    "class_mix": "look at what is being made: has the mix of parts changed?",
}
_OTHERWISE = "compare the pictures before and after, then what was changed about then"


def is_firing(incident: Incident) -> bool:
    """Whether it is to be paged: open, and no part of another one."""
    return incident.status == "open" and not incident.merged_into


def alert(incident: Incident, console: str, now_ns: int) -> dict[str, Any]:
    """One alert; console: address of the pages. now_ns: of this machine, for endsAt."""
    place = incident.station_id
    return {
        "labels": {
            "alertname": "SinceWhen",
            "incident_id": incident.incident_id,
            "site": site_of(place),
            "line": line_of(place) if place.count("/") == STATION_DEPTH else place,
            "station": place,
            "severity": incident.severity,
            "audience": "quality",
        },
        "annotations": {
            "sentence": sentence(incident),
            "since": _utc(incident.since_ns),
            "since_low": _utc(incident.since_low_ns),
            "since_high": _utc(incident.since_high_ns),
            "cause": incident.cause,
            "first_action": first_action(incident),
            "link": f"{console}/incidents/{incident.incident_id}",
        },
        "generatorURL": f"{console}/incidents/{incident.incident_id}",
        "startsAt": _rfc3339(incident.opened_at_ns),
        "endsAt": _rfc3339(now_ns + ALIVE_NS if is_firing(incident) else now_ns),
    }


def sentence(incident: Incident) -> str:
    """What changed, where, since when."""
    where = incident.station_id
    if where.count("/") != STATION_DEPTH:
        where = f"{len(incident.stations)} stations of {where}"
    looks = "" if incident.cause == "unknown" else f"; it looks like {incident.cause.replace('_', ' ')}"
    since = (
        f"since {_utc(incident.since_ns)} (between {_utc(incident.since_low_ns)} and {_utc(incident.since_high_ns)})"
    )
    if incident.until_ns is None:
        return f"{where} changed {_HOW[incident.shape]} {since}{looks}"
    return f"{where} changed {_HOW[incident.shape]} {since} until {_utc(incident.until_ns)}{looks}"


def first_action(incident: Incident) -> str:
    if incident.with_lot:
        return "look at the material: the change began with a lot, supplier lot, sku or recipe"
    named = incident.cause.split(" or ")
    return " or ".join(dict.fromkeys(_FIRST[name] for name in named if name in _FIRST)) or _OTHERWISE


def _utc(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _rfc3339(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
