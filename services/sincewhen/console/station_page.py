"""The page of one station: its views, which profile watches each, who decided it and why, its incidents."""

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates

from sincewhen.backend.backend import Backend
from sincewhen.console.pages import shown
from sincewhen.console.views import activation_json, heard_of, newest_first, station_json
from sincewhen.incidents.correlate import concerns
from sincewhen.store import read

_INCIDENTS_SHOWN = 20


def station_router(backend: Backend) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    templates = Jinja2Templates(Path(__file__).parent / "templates")

    @router.get("/stations/{station_id:path}", response_class=HTMLResponse)
    def station(request: Request, station_id: str) -> HTMLResponse:
        heard_of(backend, station_id)
        *place, name = station_id.split("/")
        mine = [incident for incident in newest_first(backend) if concerns(incident, station_id)]
        page = {
            "station": name,
            "place": " / ".join(place),
            "views": [
                station_json(backend, status) for status in backend.known.stations() if status.station_id == station_id
            ],
            "activations": [
                {**activation_json(item), "view": item.view, "profile": item.profile_sha}
                for item in read.activations(backend.store)
                if item.station_id == station_id
            ],
            "incidents": [shown(incident) for incident in mine[:_INCIDENTS_SHOWN]],
        }
        return templates.TemplateResponse(request, "station.html", page)

    return router
