"""/api/v1: incidents, scope, since, stations, profiles, dead letters."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, Field

from sincewhen.console.times import from_iso
from sincewhen.console.views import found, incident_json, newest_first, scope_json, station_json
from sincewhen.embedded import learning
from sincewhen.embedded.runner import Runner
from sincewhen.processor.learn import Refusal
from sincewhen.store import read
from sincewhen_schemas.messages import Incident


class Window(BaseModel):
    """Golden frames: production of this view between two instants."""

    station: str
    view: str = ""
    from_: Annotated[datetime, Field(alias="from")]
    to: datetime


class Activation(BaseModel):
    reason: Annotated[str, Field(min_length=1, max_length=500)]


def api_router(runner: Runner) -> APIRouter:
    router = APIRouter(prefix="/api/v1")

    @router.get("/incidents")
    def incidents() -> list[dict[str, Any]]:
        return [incident_json(runner, incident) for incident in newest_first(runner)]

    @router.get("/incidents/{incident_id}")
    def incident(incident_id: str) -> dict[str, Any]:
        return incident_json(runner, found(runner, incident_id))

    @router.get("/incidents/{incident_id}/scope")
    def scope(incident_id: str) -> dict[str, Any]:
        return scope_json(runner, found(runner, incident_id))

    @router.get("/since")
    def since(station: str, at: Annotated[datetime | None, Query()] = None) -> dict[str, Any]:
        """The incident of a station that holds an instant (default: the newest that is open)."""
        at_ns = None if at is None else from_iso(at)
        for incident in newest_first(runner):
            covers = incident.status == "open" if at_ns is None else _covers(incident, at_ns)
            if incident.station_id == station and covers:
                return {"out_of_control": True, **incident_json(runner, incident)}
        return {"station_id": station, "out_of_control": False}

    @router.get("/stations")
    def stations() -> list[dict[str, Any]]:
        return [station_json(status) for status in runner.stations()]

    @router.get("/dead-letters")
    def dead_letters(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[dict[str, Any]]:
        return read.dead_letters(runner.connection, limit)

    _profiles(router, runner)
    return router


def _covers(incident: Incident, at_ns: int) -> bool:
    return incident.since_low_ns <= at_ns and (incident.until_high_ns is None or at_ns <= incident.until_high_ns)


def _profiles(router: APIRouter, runner: Runner) -> None:
    @router.get("/profiles")
    def profiles() -> list[dict[str, Any]]:
        active = {status.profile_sha for status in runner.stations()}
        return [{**show(sha), "active": sha in active} for sha in runner.log.shas()]

    @router.get("/profiles/{sha}")
    def show(sha: str) -> dict[str, Any]:
        try:
            return learning.summary(sha, runner.profile(sha))
        except KeyError:
            raise HTTPException(404, f"there is no profile {sha[:64]!r}: list them with /api/v1/profiles") from None

    @router.post("/profiles", status_code=201)
    def build(window: Window) -> dict[str, Any]:
        made = learning.build(runner, window.station, window.view, from_iso(window.from_), from_iso(window.to))
        if isinstance(made, Refusal):
            raise HTTPException(422, f"{made.reason}: {made.detail}")
        return made

    @router.post("/profiles/{sha}/activate")
    def activate(sha: str, activation: Activation) -> dict[str, Any]:
        show(sha)
        return learning.activate(runner, sha, "admin", activation.reason)
