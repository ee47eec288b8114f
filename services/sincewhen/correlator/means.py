"""Line and plant means of one site: subgroups of many stations become detections of what they have in common.

A line is a group of stations, the plant a group of lines. Comparable are image factors, confidence, and T² and SPE of
layers of one name, all as normal scores about each station's own profile, and scores along known causes, each along the
station's own fingerprint. Fed record by record, in the log's order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from sincewhen.correlator.bins import BIN_NS, LATE_NS, Bins, Source
from sincewhen.correlator.mean import Found, GroupMean, Share
from sincewhen.correlator.names import named
from sincewhen.detect.budget import group_weight
from sincewhen.plant import Plant
from sincewhen.plant.places import line_of
from sincewhen.processor.detections import Widened, of_group
from sincewhen.profiles.streams import CAUSES, SQUARED
from sincewhen_schemas.messages import Detection, GroupStatus, StationStatus, Subgroup

LINES_MAX = 64
STREAMS_MAX = 64  # of a group
OUT_MAX = 64  # detections that are remembered of a station
_COMPARABLE = ("factor:", "confidence", *SQUARED, CAUSES)


class Said(Protocol):
    """What one record of a station made, as far as a group looks at it."""

    @property
    def statuses(self) -> Sequence[StationStatus]: ...
    @property
    def detections(self) -> Sequence[Detection]: ...
    @property
    def subgroups(self) -> Sequence[Subgroup]: ...
    @property
    def scores(self) -> Sequence[Subgroup]: ...


@dataclass(slots=True)
class Series:
    """One stream of one group."""

    bins: Bins = field(default_factory=Bins)
    mean: GroupMean = field(default_factory=GroupMean)


class Out(msgspec.Struct):
    """A detection that was worth a page, in bins; until None: it goes on."""

    since: int
    until: int | None


class _Known(msgspec.Struct):
    """What is known of the site's stations."""

    source_of: dict[str, str] = msgspec.field(default_factory=dict)  # "station view" -> with its profile
    heard_ns: dict[str, int] = msgspec.field(default_factory=dict)  # source -> append time
    out: dict[str, dict[str, Out]] = msgspec.field(default_factory=dict)  # station -> detection
    refused: int = 0  # sums beyond a limit


@dataclass(slots=True)
class SiteMeans:
    """A value of bounded size, exact through its bytes."""

    site: str
    lines: dict[str, dict[str, Series]] = field(default_factory=dict)  # line -> stream
    plant: dict[str, Series] = field(default_factory=dict)  # stream
    known: _Known = field(default_factory=_Known)

    def step(self, said: Said, now_ns: int, plant: Plant) -> list[Detection]:
        """Take what one record made; now_ns is its append time."""
        for status in said.statuses:
            if status.profile_sha:
                self._expect(status.station_id, status.view, status.profile_sha, now_ns)
        for detection in said.detections:
            self._note(detection)
        for subgroup in (*said.subgroups, *said.scores):
            if subgroup.stream.startswith(_COMPARABLE):
                self._add(subgroup, now_ns)
        return [*self._close_lines(now_ns, plant), *self._close_plant(now_ns, plant)]

    def statuses(self) -> list[GroupStatus]:
        """Every group that has met."""
        groups = {**self.lines, self.site: self.plant}
        return [_status(group_id, series) for group_id, series in sorted(groups.items()) if _met(series)]

    @property
    def late(self) -> int:
        """Sums that were not used, since the beginning."""
        every = [series for streams in (*self.lines.values(), self.plant) for series in streams.values()]
        return self.known.refused + sum(series.bins.late for series in every)

    def _expect(self, station: str, view: str, sha: str, now_ns: int) -> None:
        source, before = f"{station} {view} {sha}", self.known.source_of.get(f"{station} {view}")
        if source == before:
            return
        self.known.source_of[f"{station} {view}"] = source
        self.known.heard_ns[source] = now_ns
        for series in self.lines.get(line_of(station), {}).values():
            series.bins.expect(source, now_ns)
            if before is not None:
                series.bins.leave(before)
        if before is not None:
            del self.known.heard_ns[before]

    def _note(self, detection: Detection) -> None:
        if detection.verdict != "paging":
            return
        until = None if detection.until_ns is None else detection.updated_at_ns // BIN_NS
        noted = self.known.out.setdefault(detection.station_id, {})
        noted[detection.detection_id] = Out(detection.alarm_at_ns // BIN_NS, until)
        while len(noted) > OUT_MAX:
            del noted[next(iter(noted))]

    def _out(self, number: int) -> set[str]:
        """Stations out of control in a bin."""
        return {
            station
            for station, noted in self.known.out.items()
            if any(out.since <= number and (out.until is None or number <= out.until) for out in noted.values())
        }

    def _add(self, subgroup: Subgroup, now_ns: int) -> None:
        station, line = subgroup.station_id, line_of(subgroup.station_id)
        source = self.known.source_of.get(f"{station} {subgroup.view}")
        if source is None or (line not in self.lines and len(self.lines) >= LINES_MAX):
            self.known.refused += 1
            return
        self.known.heard_ns[source] = now_ns
        streams = self.lines.setdefault(line, {})
        if subgroup.stream not in streams:
            if len(streams) >= STREAMS_MAX:
                self.known.refused += 1
                return
            streams[subgroup.stream] = Series()
            for other, heard_ns in self.known.heard_ns.items():
                if line_of(other.partition(" ")[0]) == line and now_ns - heard_ns <= LATE_NS:
                    streams[subgroup.stream].bins.sources[other] = Source(-1, heard_ns)
        n, number = subgroup.frames, subgroup.first_at_ns // BIN_NS
        streams[subgroup.stream].bins.add(source, number, n * subgroup.mean, (n * subgroup.sigma) ** 2, now_ns)

    def _close_lines(self, now_ns: int, plant: Plant) -> list[Detection]:
        detections: list[Detection] = []
        for line, streams in sorted(self.lines.items()):
            share = Share(plant.pages_per_week, group_weight(plant.groups, len(streams)))
            for number, column in _closing(streams, now_ns):
                every: list[tuple[str, Found]] = []
                for stream, values in column:
                    value, found = streams[stream].mean.take(number, values, self._out(number), share)
                    every += [(stream, item) for item in found]
                    if value == value:  # noqa: PLR0124 - NaN: nobody was there
                        self._hand_up(line, stream, number, value, now_ns)
                detections += [_detection(line, stream, streams, item, item.moved) for stream, item in every]
        return detections

    def _hand_up(self, line: str, stream: str, number: int, value: float, now_ns: int) -> None:
        """A line's value is one of the plant's."""
        if stream not in self.plant:
            if len(self.plant) >= STREAMS_MAX:
                self.known.refused += 1
                return
            self.plant[stream] = Series()
            for other in sorted(self.lines):
                self.plant[stream].bins.expect(other, now_ns)
        self.plant[stream].bins.add(line, number, value, 1.0, now_ns)

    def _close_plant(self, now_ns: int, plant: Plant) -> list[Detection]:
        share = Share(plant.pages_per_week, group_weight(plant.groups, max(1, len(self.plant))))
        detections: list[Detection] = []
        for number, column in _closing(self.plant, now_ns):
            out, every = {line_of(station) for station in self._out(number)}, []
            for stream, values in column:
                _, found = self.plant[stream].mean.take(number, values, out, share)
                every += [(stream, item) for item in found]
            detections += [_detection(self.site, s, self.plant, f, self._stations(s, f)) for s, f in every]
        return detections

    def _stations(self, stream: str, found: Found) -> tuple[str, ...]:
        """Stations that moved with the plant, in the lines that did."""
        since, direction = found.event.since_ns // BIN_NS - 1, found.event.direction[0]
        lines = [self.lines[line][stream].mean for line in found.moved if stream in self.lines.get(line, {})]
        return tuple(sorted(station for mean in lines for station in mean.moved(since, direction)))

    def to_bytes(self) -> bytes:
        lines = {line: _packed(streams) for line, streams in self.lines.items()}
        return msgspec.msgpack.encode((self.site, lines, _packed(self.plant), self.known))

    @staticmethod
    def from_bytes(data: bytes) -> "SiteMeans":
        kind = tuple[str, dict[str, dict[str, tuple[Bins, bytes]]], dict[str, tuple[Bins, bytes]], _Known]
        site, lines, plant, known = msgspec.msgpack.decode(data, type=kind)
        return SiteMeans(site, {line: _unpacked(raw) for line, raw in lines.items()}, _unpacked(plant), known)


def _met(streams: dict[str, Series]) -> bool:
    return any(len({source.partition(" ")[0] for source in series.mean.head.own}) > 1 for series in streams.values())


def _status(group_id: str, streams: dict[str, Series]) -> GroupStatus:
    means = [series.mean for series in streams.values()]
    states = {mean.state for mean in means}
    state = next(name for name in ("out of control", "in control", "learning") if name in states)
    return GroupStatus(
        group_id=group_id,
        state=state,
        members=tuple(sorted({member for mean in means for member in mean.ring.members})),
        streams=tuple(sorted(streams)),
        late_sums=sum(series.bins.late for series in streams.values()),
    )


def _closing(streams: dict[str, Series], now_ns: int) -> list[tuple[int, list[tuple[str, dict[str, float]]]]]:
    """Bins that close now, oldest first, each with its values in every stream: what one says, others help to name."""
    columns: dict[int, list[tuple[str, dict[str, float]]]] = {}
    for stream, series in sorted(streams.items()):
        for number, values in series.bins.close(now_ns):
            columns.setdefault(number, []).append((stream, values))
    return sorted(columns.items())


def _detection(
    group_id: str, stream: str, streams: dict[str, Series], found: Found, stations: tuple[str, ...]
) -> Detection:
    """What is found, once all streams of the group have taken the same bins."""
    monitor = streams[stream].mean.monitor
    assert monitor is not None
    means = {name: series.mean for name, series in streams.items()}
    cause, cosine = named(stream, means, found.event.since_ns // BIN_NS - 1)
    widened = Widened(stations, before_ns=2 * BIN_NS, after_ns=BIN_NS, cause=cause, cause_cosine=cosine)
    return of_group(group_id, stream, monitor.arl0, found.event, widened)


def _packed(streams: dict[str, Series]) -> dict[str, tuple[Bins, bytes]]:
    return {stream: (series.bins, series.mean.to_bytes()) for stream, series in streams.items()}


def _unpacked(raw: dict[str, tuple[Bins, bytes]]) -> dict[str, Series]:
    return {stream: Series(bins, GroupMean.from_bytes(mean)) for stream, (bins, mean) in raw.items()}
