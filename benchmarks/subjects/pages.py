"""False pages of a plant in simulated weeks, at subgroup resolution; and how often one common cause pages.

A plant of 20 stations on one line, each with ten scalars and an embedding whose subgroups of 10 s are alike with lag-1
correlations up to .99, at one accepted page a week. Weeks of frames would take hours.

A page is a notification as Alertmanager makes it of incidents grouped by line: what is open GROUP_WAIT_S after the
group's first one, then every GROUP_INTERVAL_S if something new is open.
"""

import itertools
import math

import numpy as np

from benchmarks.cell import Cell, Effort, Figures, Floats
from benchmarks.streams import Frames, learned
from sincewhen.correlator.bins import BIN_NS
from sincewhen.correlator.mean import MEAN_BINS
from sincewhen.correlator.reference import SERIES_BINS
from sincewhen.detect.budget import arl0, view_weight
from sincewhen.incidents.correlate import correlate
from sincewhen.plant import Plant
from sincewhen.plant.plant import Station
from sincewhen.processor.detections import Widened, of_group
from sincewhen.processor.event import Rows
from sincewhen.processor.gaps import WEEK_NS
from sincewhen.processor.monitor import StreamMonitor
from sincewhen_schemas.messages import Detection, Incident
from sincewhen_testing.line import START_BIN, STREAM, Site, frames, names, subgroups, together
from sincewhen_testing.streams import noise

STATIONS, SCALARS, DIMS = 20, 10, 24
PHIS, WEEK_BINS, GOLDEN = (0.0, 0.5, 0.9, 0.99), WEEK_NS // BIN_NS, 5000
LEARNING_BINS = MEAN_BINS + SERIES_BINS
_PART, _PER_BIN = 2000, 5
_CALM_BINS, _CAUSE_BINS, _MOVED = 150, 400, 10  # before and after a common cause, and how many stations it moves
GROUP_WAIT_S, GROUP_INTERVAL_S = 30, 300
_SHARED = 0.2  # of a group's variance: a flicker that all its members see


def cells(effort: Effort) -> list[Cell]:
    weeks = effort.pick(1, 2, 4)
    stations = [
        Cell.of("pages", plant, part="station", number=number, weeks=weeks)
        for plant in range(effort.pick(1, 1, 5))
        for number in range(effort.pick(1, STATIONS, STATIONS))
    ]
    line_weeks = 0.05 if effort is Effort.SMOKE else 0.2 if effort is Effort.QUICK else 4.0
    line = [Cell.of("pages", number, part="line", weeks=line_weeks) for number in range(effort.pick(1, 1, 3))]
    common = [
        Cell.of("pages", number, part="common cause", size=size, runs=effort.pick(1, 1, 3))
        for number in range(effort.pick(0, 1, 6))
        for size in (0.5, 1.0, 2.0)
    ]
    return [*stations, *line, *common]


def measure(cell: Cell) -> Figures:
    return {"station": _station, "line": _line, "common cause": _common}[cell.get("part", str)](cell)


def _plant() -> Plant:
    return Plant({name: Station(name, ("top",)) for name in names(STATIONS)})


def _run_length(streams: int) -> float:
    """Of one of a station's streams, in subgroups."""
    plant = _plant()
    return streams * arl0(WEEK_BINS, plant.pages_per_week, view_weight(STATIONS, plant.groups, 1))


def _station(cell: Cell) -> Figures:
    """All streams of one station for some weeks; pages are its incidents."""
    rng, bins = cell.rng, cell.get("weeks", int) * WEEK_BINS
    detections: list[Detection] = []
    for number in range(SCALARS + 1):
        dims, phi = (DIMS if number == SCALARS else 1), PHIS[(cell.get("number", int) + number) % len(PHIS)]
        x = noise(rng, GOLDEN + bins, dims, phi)
        detections += _found(x[:GOLDEN], x[GOLDEN:], f"factor:{number}", _run_length(SCALARS + 1))
    paging = {found.detection_id for found in detections if found.verdict == "paging"}
    return {
        "pages": [len(correlate(detections))],
        "detections": [len(paging)],
        "streams": [SCALARS + 1],
        "weeks": [bins / WEEK_BINS],
    }


def _found(golden: Floats, x: Floats, stream: str, run_length: float) -> list[Detection]:
    """What the monitor says of subgroups x (n, d), 10 s each."""
    known = learned(Frames(golden))
    none, ones = np.zeros(len(x), bool), np.ones(len(x), np.float32)
    at_ns = (START_BIN + np.arange(len(x))) * BIN_NS
    monitor, said = StreamMonitor(known.null, run_length), []
    for start in range(0, len(x), _PART):
        part = slice(start, start + _PART)
        events, _ = monitor.update(Rows(known.about(x[part]), at_ns[part], none[part], none[part], ones[part]))
        said += [of_group("ulm/body/line1/cam00", stream, run_length, event, Widened((), 0, 0)) for event in events]
    return said


def _line(cell: Cell) -> Figures:
    """The line's mean of one stream of its stations, after it has learned."""
    rng, bins = cell.rng, int(cell.get("weeks", float) * WEEK_BINS)
    site = Site(plant=_plant())
    site.expect(names(STATIONS))
    own = np.stack([noise(rng, LEARNING_BINS + bins, 1, PHIS[i % len(PHIS)])[:, 0] for i in range(STATIONS)], axis=1)
    flicker = noise(rng, len(own), 1, PHIS[-1])
    x = math.sqrt(1 - _SHARED) * own + math.sqrt(_SHARED) * flicker
    for start in range(0, len(x), _PART):
        part = [subgroups(name, x[start : start + _PART, i], 1, 1.0, start) for i, name in enumerate(names(STATIONS))]
        for column in together(part):
            site.feed(column)
    assert site.means.statuses()[0].state != "learning"
    return {"pages": [len(correlate(site.found))], "weeks": [bins / WEEK_BINS]}


def _common(cell: Cell) -> Figures:
    """A change of half of the stations: pages, incidents in the end, and every one that was opened on the way."""
    rng = cell.rng
    found: Figures = {"pages": [], "opened": [], "incidents": [], "of the line": [], "seconds": []}
    for _ in range(cell.get("runs", int)):
        golden = frames(rng, STATIONS, GOLDEN)
        x = frames(rng, STATIONS, (LEARNING_BINS + _CALM_BINS + _CAUSE_BINS) * _PER_BIN) - golden.mean(axis=0)
        onset = (LEARNING_BINS + _CALM_BINS) * _PER_BIN
        x[onset:, :_MOVED] += cell.get("size", float)
        said = _told(golden, x)
        known = [(d.updated_at_ns, correlate(said[: n + 1])) for n, d in enumerate(said)]
        last = known[-1][1] if known else []
        found["pages"].append(_pages(known))
        found["opened"].append(len({incident.incident_id for _, incidents in known for incident in incidents}))
        found["incidents"].append(len(last))
        found["of the line"].append(float(any(incident.station_id == "ulm/body/line1" for incident in last)))
        first_ns = min((d.updated_at_ns for d in said if d.verdict == "paging"), default=0)
        found["seconds"].append((first_ns - (START_BIN + onset // _PER_BIN) * BIN_NS) / 1e9)
    return found


def _pages(known: list[tuple[int, list[Incident]]]) -> int:
    """Notifications of one line's incidents, as known from each time on."""
    is_open = [(at_ns, {item.incident_id for item in incidents if item.status == "open"}) for at_ns, incidents in known]
    first_ns = next((at_ns for at_ns, ids in is_open if ids), None)
    if first_ns is None:
        return 0
    pages, told, due_ns = 0, set[str](), first_ns + GROUP_WAIT_S * 10**9
    while due_ns <= is_open[-1][0] + GROUP_INTERVAL_S * 10**9:
        now = [ids for at_ns, ids in is_open if at_ns <= due_ns][-1]
        pages += bool(now - told)
        told, due_ns = now, due_ns + GROUP_INTERVAL_S * 10**9
    return pages


def _told(golden: Floats, x: Floats) -> list[Detection]:
    """What stations and line say of frames (n, stations), in the order in which it is known."""
    site, plant = Site(plant=_plant()), _plant()
    site.expect(names(STATIONS))
    run_length = arl0(WEEK_BINS * _PER_BIN, plant.pages_per_week, view_weight(STATIONS, plant.groups, 1))
    own: list[Detection] = []
    columns = []
    for number, name in enumerate(names(STATIONS)):
        known = learned(Frames(golden[:, number : number + 1] - golden[:, number].mean()))
        monitor, none = StreamMonitor(known.null, run_length), np.zeros(len(x), bool)
        at_ns = START_BIN * BIN_NS + np.arange(len(x)) * (BIN_NS // _PER_BIN)
        rows = Rows(x[:, number : number + 1].astype(np.float32), at_ns, none, none, np.ones(len(x), np.float32))
        own += [of_group(name, STREAM, run_length, event, Widened((), 0, 0)) for event in monitor.update(rows)[0]]
        columns.append(subgroups(name, x[:, number], _PER_BIN, float(known.null.vt[-1, 0])))
    said: list[Detection] = []
    for column in together(columns):
        now_ns = column[0].last_at_ns
        stations = [d for d in own if now_ns - BIN_NS < d.updated_at_ns <= now_ns]
        before = len(site.found)
        site.feed(column, detections=stations)
        said += [*stations, *itertools.islice(site.found, before, None)]
    return said
