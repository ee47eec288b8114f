"""Incidents, scope and stations as the API shows them: the documented keys."""

from typing import Any

import msgspec
from fastapi import HTTPException

from sincewhen.backend import learning
from sincewhen.backend.backend import Backend
from sincewhen.backend.references import About
from sincewhen.console.times import iso
from sincewhen.incidents.layers import said
from sincewhen.incidents.rebaselining import said as said_closed
from sincewhen.store import read
from sincewhen_schemas.limits import ID_CHARS_MAX, STATION_CHARS_MAX
from sincewhen_schemas.messages import Activation, GroupStatus, Incident, StationStatus

_VIEWS_SHOWN = 20


def newest_first(backend: Backend) -> list[Incident]:
    return sorted(backend.known.incidents.values(), key=lambda i: (-i.since_ns, i.incident_id))


def found(backend: Backend, incident_id: str) -> Incident:
    incident = backend.known.incident(incident_id)
    if incident is None:
        raise HTTPException(404, f"there is no incident {incident_id[:64]!r}: list them with /api/v1/incidents")
    return incident


def heard_of(backend: Backend, station: str, view: str | None = None) -> None:
    """Refuses a station, or a view of it, that nobody heard of and nobody listed; a line or a site has no views."""
    known = [(status.station_id, status.view) for status in backend.known.stations()]
    if any(station == there and view in {None, name} for there, name in known):
        return
    if view is None and any(there.startswith(f"{station}/") for there, _ in known):
        return
    what = (
        f"station {station[:STATION_CHARS_MAX]!r}" if view is None else f"view {view[:ID_CHARS_MAX]!r} of {station!r}"
    )
    nearest = sorted(known, key=lambda place: place[0] != station)[:_VIEWS_SHOWN]
    names = "; ".join(f"{there} {name}" for there, name in nearest) or "none yet"
    raise HTTPException(404, f"there is no {what}; stations and views there are: {names}")


def incident_json(backend: Backend, incident: Incident) -> dict[str, Any]:
    scope = read.scope(backend.store, incident)
    return {
        "id": incident.incident_id,
        "station_id": incident.station_id,
        "status": incident.status,
        "severity": incident.severity,
        "since": iso(incident.since_ns),
        "since_low": iso(incident.since_low_ns),
        "since_high": iso(incident.since_high_ns),
        "until": iso(incident.until_ns),
        "shape": incident.shape,
        "cause": incident.cause,
        "with_lot": incident.with_lot,
        "looks_like": incident.looks_like
        and {
            "id": incident.looks_like,
            "since": iso(incident.looks_like_since_ns),
            "station_id": incident.looks_like_station_id,
        },
        "dating": incident.dating,
        "new_level": incident.new_level,
        "contradicted": incident.contradicted,
        "closed": incident.closed and {**msgspec.structs.asdict(incident.closed), "said": said_closed(incident.closed)},
        "opened_at": iso(incident.opened_at_ns),
        "streams": list(incident.streams),
        "stations": list(incident.stations),
        **layers_json(incident),
        "lots": [row["value"] for row in scope["lot"]],
        "units_suspect": len(scope["unit_id"]),
    }


def group_json(status: GroupStatus) -> dict[str, Any]:
    return msgspec.structs.asdict(status)


def layers_json(incident: Incident) -> dict[str, Any]:
    """How far each layer of the model moved, in the model's order, and what that says in one sentence."""
    return {"layers": [msgspec.structs.asdict(move) for move in incident.layers], "layers_said": said(incident)}


def blind_json(station: str, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "station_id": station,
        "view": row["view"],
        "since": iso(row["since_ns"]),
        "until": iso(row["until_ns"]),
        "reason": row["reason"],
        "frames_missed": row["frames_missed"],
    }


def reference_json(about: About) -> dict[str, Any]:
    known = msgspec.structs.asdict(about)
    known["built_at"] = iso(known.pop("built_at_ns"))
    return known


def scope_json(backend: Backend, incident: Incident) -> dict[str, Any]:
    """Lots, supplier lots, shifts, skus and units: counts, first and last."""
    plural = {"lot": "lots", "supplier_lot": "supplier_lots", "shift": "shifts", "sku": "skus", "unit_id": "units"}
    return {
        "id": incident.incident_id,
        "from": iso(incident.since_low_ns),
        "until": iso(incident.until_high_ns),
        "stations": list(incident.stations),
        **layers_json(incident),
        **{
            plural[kind]: [
                {
                    "value": row["value"],
                    "frames": row["frames"],
                    "units": row["units"],
                    "first": iso(row["first_ns"]),
                    "last": iso(row["last_ns"]),
                }
                for row in rows
            ]
            for kind, rows in read.scope(backend.store, incident).items()
        },
    }


def activation_json(activation: Activation) -> dict[str, Any]:
    return {"at": iso(activation.at_ns), "by": activation.by or None, "why": activation.why or None}


def station_json(backend: Backend, status: StationStatus) -> dict[str, Any]:
    window = learning.proposal(backend, status)
    return {
        "station_id": status.station_id,
        "view": status.view,
        "state": status.state,
        "silent": status.silent,
        "since": iso(status.since_ns or None),
        "frames": status.frames,
        "new_regime_share": status.new_regime_share,
        "not_drift": status.not_drift,
        "last_captured_at": iso(status.last_captured_at_ns or None),
        "profile": status.profile_sha or None,
        "missing": list(status.missing),
        # the last frame is within: times outside have microseconds
        "proposal": window and {"from": iso(window["from_ns"]), "to": iso(window["until_ns"] + 999)},
    }
