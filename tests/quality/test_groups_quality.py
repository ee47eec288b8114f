"""Figures of line and plant means: false pages, and how much sooner a common cause is found. Seeds are printed."""

import math
from collections.abc import Iterator

import numpy as np
import pytest

from sincewhen.correlator.bins import BIN_NS
from sincewhen.correlator.mean import MEAN_BINS
from sincewhen.correlator.reference import SERIES_BINS
from sincewhen.detect.budget import arl0, view_weight
from sincewhen.detect.esr import Esr
from sincewhen.incidents.correlate import correlate
from sincewhen.plant import Plant
from sincewhen.plant.plant import Station
from sincewhen.processor.detections import Widened, of_group
from sincewhen.processor.event import Rows
from sincewhen.processor.gaps import WEEK_NS
from sincewhen.processor.monitor import StreamMonitor
from sincewhen.profiles.variance import stream_null
from sincewhen_schemas.messages import Detection, Subgroup
from sincewhen_testing.line import START_BIN, STREAM, Site, bin_of, frames, names, subgroups, together

LEARNED = MEAN_BINS + SERIES_BINS
GOLDEN, PER_BIN, STATIONS = 3000, 5, 20
FRAME_NS = BIN_NS // PER_BIN


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
@pytest.mark.parametrize(("shared", "shared_phi"), [(0.0, 0.0), (0.3, 0.9), (0.3, 0.998)])
def test_false_pages_of_a_line_stay_within_their_budget(phi: float, shared: float, shared_phi: float) -> None:
    """At a run length of 1,000 bins, with members' lag-1 correlation phi and a flicker that all share."""
    seed, run_length, weight = int(700 + 10 * phi), 1000, 0.2 / 6
    pages = WEEK_NS / BIN_NS / run_length / weight
    alarms = recorded = bins = 0
    rng = np.random.default_rng(seed)
    for _ in range(2):
        x = frames(rng, 6, (LEARNED + 6000) * PER_BIN, phi=phi, shared=shared, shared_phi=shared_phi)
        vt = (1 - shared) * (1 + phi) / (1 - phi) + shared * (1 + shared_phi) / (1 - shared_phi)
        x += rng.standard_normal(6) * math.sqrt(vt / GOLDEN)  # the error of each profile's mean
        site = Site(plant=Plant(pages_per_week=pages))
        site.expect(names(6))
        for column in together([subgroups(name, x[:, i], PER_BIN, vt) for i, name in enumerate(names(6))]):
            site.feed(column)
        last = {found.detection_id: found for found in site.found}
        alarms += sum(found.verdict == "paging" for found in last.values())
        recorded += len(last)
        assert site.means.statuses()[0].state != "learning"
        bins += 6000
    allowed = bins / run_length
    print(f"seed {seed} phi {phi} shared {shared} ({shared_phi}): {alarms} pages, {recorded} alarms; allowed {allowed}")
    assert recorded <= allowed, "without the gate too"


class Line:
    """A line of stations with one stream each: their own monitors and the line's mean, at the budget of one plant."""

    def __init__(self, rng: np.random.Generator, *, weeks_per_page: float = 1.0) -> None:
        self.names = names(STATIONS)
        self.plant = Plant({name: Station(name, ("top",)) for name in self.names}, 1 / weeks_per_page)
        golden = frames(rng, STATIONS, GOLDEN)
        self.mean = golden.mean(axis=0)
        self.nulls = [stream_null((golden[:, i] - self.mean[i])[:, None]) for i in range(STATIONS)]
        weight = view_weight(STATIONS, self.plant.groups, 1)
        self.arl0 = arl0(WEEK_NS / FRAME_NS, self.plant.pages_per_week, weight)
        self.site = Site(plant=self.plant)
        self.site.expect(self.names)

    def stations(self, x: np.ndarray) -> list[Detection]:
        """What each station finds in frames (n, stations)."""
        at_ns = START_BIN * BIN_NS + np.arange(len(x)) * FRAME_NS
        no, ones = np.zeros(len(x), bool), np.ones(len(x), np.float32)
        found = []
        for i, name in enumerate(self.names):
            monitor = StreamMonitor(self.nulls[i], self.arl0)
            events, _ = monitor.update(Rows(x[:, i : i + 1].astype(np.float32), at_ns, no, no, ones))
            found += [of_group(name, STREAM, self.arl0, event, Widened((), 0, 0)) for event in events]
        return sorted(found, key=lambda d: (d.updated_at_ns, d.detection_id))

    def columns(self, x: np.ndarray) -> Iterator[list[Subgroup]]:
        """Subgroups of all stations, bin by bin."""
        named = enumerate(self.names)
        return together([subgroups(name, x[:, i], PER_BIN, float(self.nulls[i].vt[-1, 0])) for i, name in named])

    def run(self, x: np.ndarray) -> list[Detection]:
        """What the stations and the line find, in the order in which it is known."""
        own = self.stations(x)
        columns = [
            subgroups(name, x[:, i], PER_BIN, float(self.nulls[i].vt[-1, 0])) for i, name in enumerate(self.names)
        ]
        every: list[Detection] = []
        for column in together(columns):
            now_ns = column[0].last_at_ns
            said = [d for d in own if now_ns - BIN_NS < d.updated_at_ns <= now_ns]
            known = len(self.site.found)
            self.site.feed(column, detections=said)
            every += [*said, *self.site.found[known:]]
        return every


def test_a_common_cause_in_half_of_twenty_stations_is_found_sooner_than_in_any_one_of_them() -> None:
    """Half a standard deviation in 10 of 20, at equal budget: seconds from the onset until it is said."""
    seed, onset, ratios, firsts = 810, LEARNED + 150, [], []
    rng = np.random.default_rng(seed)
    for _ in range(12):
        line = Line(rng)
        x = frames(rng, STATIONS, (onset + 300) * PER_BIN) - line.mean
        x[onset * PER_BIN :, :10] += 0.5
        together_s = 10 * (1 + _said_at(line, x) - onset)
        apart_s = [10 / PER_BIN * _delay(line, rng, i) for i in range(10)]
        ratios.append(float(np.mean(apart_s)) / together_s)
        firsts.append(min(apart_s) / together_s)
    print(
        f"seed {seed}: one station takes {np.mean(ratios):.1f} times as long (sd {np.std(ratios):.1f}, least "
        f"{min(ratios):.1f}); the first of the ten {np.mean(firsts):.1f} times (sd {np.std(firsts):.1f})"
    )
    assert np.mean(ratios) >= 5
    assert np.mean(firsts) >= 1.2


def test_streams_that_share_a_groups_budget_cost_each_other_little() -> None:
    """Half a standard deviation in 10 of 20: bins until it is said, by how many streams share."""
    seed, onset = 815, LEARNED + 150
    delays: dict[int, list[int]] = {16: [], 30: []}
    for streams, found in delays.items():
        rng = np.random.default_rng(seed)
        for _ in range(12):
            line = Line(rng, weeks_per_page=streams)
            x = frames(rng, STATIONS, (onset + 300) * PER_BIN) - line.mean
            x[onset * PER_BIN :, :10] += 0.5
            found.append(1 + _said_at(line, x) - onset)
    few, many = (np.mean(found) for found in delays.values())
    print(f"seed {seed}: {few:.1f} bins where 16 streams share, {many:.1f} where 30 do")
    assert many <= 1.1 * few


def _said_at(line: Line, x: np.ndarray) -> int:
    """The bin in which the line says something first."""
    for column in line.columns(x):
        line.site.feed(column)
        if line.site.found:
            return bin_of(column[0].first_at_ns)
    raise AssertionError("the line says nothing")


def _delay(line: Line, rng: np.random.Generator, station: int) -> int:
    """Frames that the station alone takes."""
    x = frames(rng, 1, 6000) - line.mean[station]
    x[500:] += 0.5
    found = Esr(line.nulls[station]).update(x.astype(np.float32), np.zeros(6000, bool), math.log(line.arl0))
    return max(1, len(found) - 500)


@pytest.mark.parametrize("size", [0.5, 2.0])
def test_a_common_cause_is_one_incident_of_the_line(size: float) -> None:
    """Also where single stations were paged before the line's mean had seen it."""
    seed, onset = int(820 + 10 * size), LEARNED + 150
    rng = np.random.default_rng(seed)
    line = Line(rng)
    x = frames(rng, STATIONS, (onset + 400) * PER_BIN) - line.mean
    x[onset * PER_BIN :, :10] += size
    known = line.run(x)
    found = correlate(known)
    opened = {incident.incident_id for n in range(1, len(known) + 1) for incident in correlate(known[:n])}
    print(f"seed {seed} size {size}: {len(found)} incident, {len(opened)} ids on the way, stations {found[0].stations}")
    assert [incident.station_id for incident in found] == ["ulm/body/line1"]
    (incident,) = found
    assert bin_of(incident.since_low_ns) <= onset <= bin_of(incident.since_high_ns)
    assert set(incident.stations) >= set(line.names[:10])
    assert len(incident.stations) <= 12


def test_a_fault_of_one_station_is_one_incident_of_that_station() -> None:
    seed, onset = 830, LEARNED + 150
    rng = np.random.default_rng(seed)
    for size in (0.7, 2.0, 5.0):
        line = Line(rng)
        x = frames(rng, STATIONS, (onset + 400) * PER_BIN) - line.mean
        x[onset * PER_BIN :, 3] += size
        found = correlate(line.run(x))
        print(f"seed {seed} size {size}: {[(i.station_id, bin_of(i.since_ns) - onset) for i in found]}")
        assert [incident.station_id for incident in found] == [line.names[3]]
