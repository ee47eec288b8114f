"""The first pages: incidents with stations, and one incident. Server-rendered, nothing from another host."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates

from sincewhen.backend.backend import Backend
from sincewhen.console.times import iso
from sincewhen.console.views import found, group_json, newest_first, scope_json, station_json
from sincewhen.incidents import rebaselining
from sincewhen.incidents.layers import said
from sincewhen.plant.places import STATION_DEPTH
from sincewhen.profiles.streams import cause_of, parsed
from sincewhen.store import read
from sincewhen_schemas.messages import Incident, Shape

SHAPES: dict[Shape, str] = {
    "abrupt": "suddenly",
    "gradual": "gradually",
    "undecided": "in a way that is not clear yet",
    "transient": "for a short time",
    "recurring": "again, as it did before",
}
_STREAMS = {
    "embedding": "what the model sees",
    "slice": "what the model sees in one kind of picture",
    "t2": "how unusual single frames are",
    "spe": "how unlike earlier frames they are",
    "confidence": "the model's confidence",
    "factor": "the image's",
    "signal": "the signal",
    "cause": "how much it looks like",
}
BLIND = {
    "sequence_gap": "frames were lost on the way",
    "silent": "no frame came",
    "agent_off": "the agent did not observe",
}
_UNITS_SHOWN = 200
_BLIND_SHOWN = 5


def pages_router(backend: Backend) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    templates = Jinja2Templates(Path(__file__).parent / "templates")

    @router.get("/", response_class=HTMLResponse)
    def incidents(request: Request) -> HTMLResponse:
        open_first = sorted(newest_first(backend), key=lambda incident: incident.status != "open")
        stations = [station_json(backend, status) for status in backend.known.stations()]
        page = {
            "incidents": [shown(incident) for incident in open_first],
            "stations": stations,
            "groups": [group_json(status) for status in backend.known.groups()],
            "learning": any(station["missing"] or station["proposal"] for station in stations),
        }
        return templates.TemplateResponse(request, "incidents.html", page)

    @router.get("/incidents/{incident_id}", response_class=HTMLResponse)
    def incident(request: Request, incident_id: str) -> HTMLResponse:
        known = found(backend, incident_id)
        scope = scope_json(backend, known)
        page = {
            "incident": shown(known),
            "scope": scope,
            "strip": _strip(known, backend),
            "blind": _blind(known, backend),
            "units_shown": _UNITS_SHOWN,
        }
        return templates.TemplateResponse(request, "incident.html", page)

    return router


def shown(incident: Incident) -> dict[str, Any]:
    *around, name = incident.station_id.split("/")
    group = len(around) < STATION_DEPTH
    return {
        "id": incident.incident_id,
        "station": f"{len(incident.stations)} stations of {name}" if group else name,
        "place": " / ".join(around) or "the whole plant",
        "stations": list(incident.stations) if group else [],
        "status": incident.status,
        "dating": incident.dating,
        "since": _clock(incident.since_ns),
        "interval": _interval(_clock(incident.since_low_ns), _clock(incident.since_high_ns)),
        "until": None if incident.until_ns is None else _clock(incident.until_ns),
        "how": SHAPES[incident.shape],
        "station_id": incident.station_id,
        "new_level": incident.new_level,
        "contradicted": incident.contradicted,
        "closed": incident.closed and rebaselining.said(incident.closed),
        "cause": incident.cause.replace("_", " "),
        "with_lot": incident.with_lot,
        "looks_like": incident.looks_like,
        "looks_like_at": incident.looks_like_station_id * (incident.looks_like_station_id != incident.station_id),
        "looks_like_date": (iso(incident.looks_like_since_ns) or "")[:10],
        "layers": incident.layers,
        "layers_said": said(incident),
        "changed": sorted({_words(stream) for stream in incident.streams}),
    }


def _blind(incident: Incident, backend: Backend) -> list[str]:
    """Blind time in the incident's window, newest first."""
    until = {} if incident.until_ns is None else {"high_ns": incident.until_ns}
    found = [
        row
        for station in incident.stations
        for row in read.blind_time(backend.store, station, _BLIND_SHOWN, low_ns=incident.since_low_ns, **until)
    ]
    return [
        f"{_clock(row['since_ns'])} to {_clock(row['until_ns'])}, view {row['view']}: {BLIND[row['reason']]}"
        + (f" ({row['frames_missed']})" if row["frames_missed"] else "")
        for row in found
    ]


def _words(stream: str) -> str:
    kind, name, _ = parsed(stream)
    words = _STREAMS[kind]
    name = name if kind in {"factor", "signal"} else cause_of(stream)
    return f"{words} {name.replace('_', ' ')}".strip()


def _interval(low: str, high: str) -> str:
    return "to the second" if low == high else f"between {low} and {high}"


def _clock(at_ns: int) -> str:
    """Seconds matter, more does not."""
    return iso(at_ns)[:19].replace("T", " ") + " UTC"


def _strip(incident: Incident, backend: Backend) -> dict[str, float]:
    """Positions in per cent on a strip from a while before the onset to the newest frame."""
    seen = [s.last_captured_at_ns for s in backend.known.stations() if s.station_id in incident.stations]
    end = max([*seen, incident.updated_at_ns])
    start = incident.since_low_ns - max(60 * 10**9, (end - incident.since_low_ns) // 3)

    def place(at_ns: int) -> float:
        return round(100 * (at_ns - start) / max(end - start, 1), 2)

    low, since, high = place(incident.since_low_ns), place(incident.since_ns), place(incident.since_high_ns)
    until = 100.0 if incident.until_ns is None else place(incident.until_ns)
    return {
        "low": low,
        "interval": max(high - low, 0.6),
        "since": since,
        "out": max(until - since, 0.6),
        "alarm": place(incident.opened_at_ns),
    }
