"""Incidents, scope and stations as the API shows them: the documented keys."""

from typing import Any

from fastapi import HTTPException

from sincewhen.console.times import iso
from sincewhen.embedded import learning
from sincewhen.embedded.runner import Runner
from sincewhen.store import read
from sincewhen_schemas.messages import Incident, StationStatus


def newest_first(runner: Runner) -> list[Incident]:
    return sorted(runner.incidents.values(), key=lambda i: (-i.since_ns, i.incident_id))


def found(runner: Runner, incident_id: str) -> Incident:
    incident = runner.incidents.get(incident_id)
    if incident is None:
        raise HTTPException(404, f"there is no incident {incident_id[:64]!r}: list them with /api/v1/incidents")
    return incident


def incident_json(runner: Runner, incident: Incident) -> dict[str, Any]:
    scope = read.scope(runner.connection, incident)
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
        "dating": incident.dating,
        "opened_at": iso(incident.opened_at_ns),
        "streams": list(incident.streams),
        "lots": [row["value"] for row in scope["lot"]],
        "units_suspect": len(scope["unit_id"]),
    }


def scope_json(runner: Runner, incident: Incident) -> dict[str, Any]:
    """Lots, supplier lots, shifts, skus and units: counts, first and last."""
    plural = {"lot": "lots", "supplier_lot": "supplier_lots", "shift": "shifts", "sku": "skus", "unit_id": "units"}
    return {
        "id": incident.incident_id,
        "from": iso(incident.since_low_ns),
        "until": iso(incident.until_high_ns),
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
            for kind, rows in read.scope(runner.connection, incident).items()
        },
    }


def station_json(status: StationStatus) -> dict[str, Any]:
    window = learning.proposal(status)
    return {
        "station_id": status.station_id,
        "view": status.view,
        "state": status.state,
        "silent": status.silent,
        "since": iso(status.since_ns or None),
        "frames": status.frames,
        "last_captured_at": iso(status.last_captured_at_ns or None),
        "profile": status.profile_sha or None,
        "missing": list(status.missing),
        "proposal": window and {"from": iso(window["from_ns"]), "to": iso(window["until_ns"])},
    }
