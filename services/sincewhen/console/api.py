"""/api/v1: incidents, scope, since, stations, groups, blind time, profiles, reference sets, dead letters."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field, StringConstraints

from sincewhen.backend import learning, references
from sincewhen.backend.backend import Backend
from sincewhen.console.body import body_of
from sincewhen.console.times import from_iso
from sincewhen.console.views import (
    activation_json,
    blind_json,
    found,
    group_json,
    heard_of,
    incident_json,
    newest_first,
    reference_json,
    scope_json,
    station_json,
)
from sincewhen.incidents.correlate import concerns
from sincewhen.processor.learn import Refusal
from sincewhen.store import read
from sincewhen_schemas.limits import CAPTURED_AT_MIN_NS, ID_CHARS_MAX, REFERENCE_BYTES_MAX
from sincewhen_schemas.messages import Activation, Incident

_WINDOW_MAX_NS = 4_102_444_800_000_000_000  # 2100-01-01
_BYTES = "application/octet-stream"
Limit = Annotated[int, Query(ge=1, le=1000)]


class Window(BaseModel):
    """Golden frames: production of this view between two instants. reference: a sha, "newest" or "none"."""

    station: str
    view: str = "main"
    from_: Annotated[datetime, Field(alias="from")]
    to: datetime
    reference: Annotated[str, Field(max_length=ID_CHARS_MAX)] = references.NEWEST

    def instants(self) -> tuple[int, int]:
        """Epoch ns."""
        from_ns, to_ns = from_iso(self.from_), from_iso(self.to)
        if not CAPTURED_AT_MIN_NS <= from_ns < to_ns <= _WINDOW_MAX_NS:
            got = f"{self.from_.isoformat()} to {self.to.isoformat()}"
            way_out = "take the proposal of /api/v1/stations, or a part of it"
            raise HTTPException(422, f"a window begins before it ends, both in 2000..2100; got {got}: {way_out}")
        return from_ns, to_ns


Said = StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00-\x1f\x7f]+$")


class Decision(BaseModel):
    """reason: why. by: who, where the holder of the token acts for somebody."""

    reason: Annotated[str, Said, Field(max_length=500)]
    by: Annotated[str, Said, Field(max_length=ID_CHARS_MAX)] = "admin"


def api_router(backend: Backend) -> APIRouter:
    router = APIRouter(prefix="/api/v1")

    @router.get("/incidents")
    def incidents() -> list[dict[str, Any]]:
        return [incident_json(backend, incident) for incident in newest_first(backend)]

    @router.get("/incidents/{incident_id}")
    def incident(incident_id: str) -> dict[str, Any]:
        return incident_json(backend, found(backend, incident_id))

    @router.get("/incidents/{incident_id}/scope")
    def scope(incident_id: str) -> dict[str, Any]:
        return scope_json(backend, found(backend, incident_id))

    @router.get("/since")
    def since(station: str, at: Annotated[datetime | None, Query()] = None) -> dict[str, Any]:
        """The incident of a station, a line or a site that holds an instant (default: the newest that is open)."""
        heard_of(backend, station)
        at_ns = None if at is None else from_iso(at)
        for incident in newest_first(backend):
            covers = incident.status == "open" if at_ns is None else _covers(incident, at_ns)
            if concerns(incident, station) and covers:
                return {"out_of_control": True, **incident_json(backend, incident)}
        return {"station_id": station, "out_of_control": False}

    @router.get("/stations")
    def stations() -> list[dict[str, Any]]:
        return [station_json(backend, status) for status in backend.known.stations()]

    @router.get("/blind-time")
    def blind_time(station: str, limit: Limit = 100) -> list[dict[str, Any]]:
        """Time in which the station made product that nobody monitored, newest first."""
        heard_of(backend, station)
        return [blind_json(station, row) for row in read.blind_time(backend.store, station, limit)]

    @router.get("/dead-letters")
    def dead_letters(limit: Limit = 100) -> list[dict[str, Any]]:
        return read.dead_letters(backend.store, limit)

    _groups(router, backend)
    _profiles(router, backend)
    _references(router, backend)
    return router


def _groups(router: APIRouter, backend: Backend) -> None:
    @router.get("/groups")
    def groups() -> list[dict[str, Any]]:
        """Lines and plants: what their members have in common."""
        return [group_json(status) for status in backend.known.groups()]


def _covers(incident: Incident, at_ns: int) -> bool:
    return incident.since_low_ns <= at_ns and (incident.until_high_ns is None or at_ns <= incident.until_high_ns)


def _profiles(router: APIRouter, backend: Backend) -> None:
    @router.get("/profiles")
    def profiles() -> list[dict[str, Any]]:
        active = {status.profile_sha for status in backend.known.stations()}
        said = read.activations(backend.store)
        return [{**shown(sha, said), "active": sha in active} for sha in backend.profiles.shas()]

    def shown(sha: str, said: Sequence[Activation]) -> dict[str, Any]:
        try:
            summary = learning.summary(sha, backend.profiles.of(sha))
        except KeyError:
            raise HTTPException(404, f"there is no profile {sha[:64]!r}: list them with /api/v1/profiles") from None
        return {**summary, "activations": [activation_json(item) for item in said if item.profile_sha == sha]}

    @router.get("/profiles/{sha}")
    def show(sha: str) -> dict[str, Any]:
        return shown(sha, read.activations(backend.store))

    @router.get("/profiles/{sha}/body", response_class=Response, responses={200: {"content": {_BYTES: {}}}})
    def body(sha: str) -> Response:
        """The profile itself, as `sincewhen backtest --profile` takes it."""
        show(sha)
        return Response(backend.profiles.bodies.get(sha), media_type=_BYTES)

    @router.post("/profiles", status_code=201)
    def build(window: Window) -> dict[str, Any]:
        from_ns, to_ns = window.instants()
        heard_of(backend, window.station, window.view)
        try:
            made = learning.build(backend, window.station, window.view, from_ns, to_ns, window.reference)
        except KeyError:
            what = f"reference set {window.reference!r} of {window.station} {window.view}"
            raise HTTPException(404, f"there is no {what}: list them with /api/v1/references") from None
        if isinstance(made, Refusal):
            raise HTTPException(422, f"{made.reason}: {made.detail}")
        return made

    @router.post("/profiles/{sha}/activate")
    def activate(sha: str, decision: Decision) -> dict[str, Any]:
        show(sha)
        return learning.activate(backend, sha, decision.by, decision.reason)


def _references(router: APIRouter, backend: Backend) -> None:
    @router.get("/references")
    def listed() -> list[dict[str, Any]]:
        return [reference_json(about) for about in references.listed(backend)]

    @router.post("/references", status_code=201, openapi_extra={"requestBody": {"content": {_BYTES: {}}}})
    async def keep(request: Request) -> dict[str, Any]:
        """Keep a reference set of `sincewhen-edge reference build`."""
        encoded = await body_of(request, REFERENCE_BYTES_MAX)
        if encoded is None:
            raise HTTPException(413, f"a reference set has at most {REFERENCE_BYTES_MAX} bytes: pin fewer images")
        try:
            return reference_json(await run_in_threadpool(references.keep, backend, encoded))
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
