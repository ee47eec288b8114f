"""Sites of one partition of findings: findings in, detections, incidents and groups out; a site's state is one value.

Invariants
- A processor that starts again from its snapshot sends findings again, byte for byte: of each station the newest record
  of `frames` that was applied is remembered, and what lies at or before it changes nothing.
- Means, detections and incidents of a site are stored together: a part that is older than the others would never
  be mended.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from sincewhen.correlator.correlator import Correlator
from sincewhen.correlator.means import SiteMeans
from sincewhen.incidents.correlate import correlate
from sincewhen.plant import Plant
from sincewhen.plant.places import site_of
from sincewhen_schemas.messages import Detection, Findings, GroupStatus, Incident


class _Stored(msgspec.Struct):
    heard: dict[str, tuple[str, int]]
    means: dict[str, bytes]
    detections: list[Detection]
    told: list[Incident]


@dataclass(slots=True)
class _Site:
    correlator: Correlator
    heard: dict[str, tuple[str, int]] = field(default_factory=dict)  # by station: incarnation of frames, offset

    def is_news(self, found: Findings) -> bool:
        """Remembers it, too."""
        topic_id, offset = self.heard.get(found.station_id, ("", -1))
        if topic_id == found.topic_id and found.offset <= offset:
            return False
        self.heard[found.station_id] = found.topic_id, found.offset
        return True

    def to_bytes(self) -> bytes:
        known = self.correlator
        means = {site: item.to_bytes() for site, item in known.means.items()}
        stored = _Stored(self.heard, means, [*known.detections.values()], [*known.told.values()])
        return zlib.compress(msgspec.msgpack.encode(stored), 1)

    @staticmethod
    def from_bytes(data: bytes, plant: Plant) -> "_Site":
        stored = msgspec.msgpack.decode(zlib.decompress(data), type=_Stored)
        known = Correlator(plant)
        known.means = {site: SiteMeans.from_bytes(raw) for site, raw in stored.means.items()}
        known.detections = {item.detection_id: item for item in stored.detections}
        known.told = {item.incident_id: item for item in stored.told}
        known.incidents = {item.incident_id: item for item in correlate(stored.detections)}
        return _Site(known, stored.heard)


@dataclass(slots=True)
class Correlated:
    """What some findings made, in order."""

    detections: list[Detection] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    groups: list[GroupStatus] = field(default_factory=list)


@dataclass(slots=True)
class Sites:
    """A Holder of states by site."""

    plant: Plant
    _sites: dict[str, _Site] = field(default_factory=dict)
    _groups: dict[str, GroupStatus] = field(default_factory=dict)  # as last told
    _dirty: set[str] = field(default_factory=set)

    def step(self, found: Findings, appended_at_ns: int) -> list[Detection]:
        """Detections of the station and of its groups; appended_at_ns: of the findings."""
        name = site_of(found.station_id)
        site = self._sites.setdefault(name, _Site(Correlator(self.plant)))
        self._dirty.add(name)
        if not site.is_news(found):
            return []
        return [*found.detections, *site.correlator.step(found.station_id, found, appended_at_ns)]

    def take(self, detections: Sequence[Detection]) -> Correlated:
        """What all detections of some steps change."""
        made = Correlated(detections=[*detections])
        for name in sorted({site_of(item.station_id) for item in detections}):
            mine = [item for item in detections if site_of(item.station_id) == name]
            made.incidents += self._sites[name].correlator.take(mine)
        for name in sorted(self._dirty):
            for means in self._sites[name].correlator.means.values():
                made.groups += [status for status in means.statuses() if self._groups.get(status.group_id) != status]
        self._groups |= {status.group_id: status for status in made.groups}
        return made

    def told(self) -> list[Incident]:
        """The newest word on each incident, also on one that ended or became a part of another one."""
        return [item for site in self._sites.values() for item in site.correlator.told.values()]

    def load(self, states: Mapping[str, bytes]) -> None:
        self._sites = {name: _Site.from_bytes(raw, self.plant) for name, raw in states.items()}

    def changed(self) -> dict[str, bytes]:
        return {name: self._sites[name].to_bytes() for name in sorted(self._dirty)}

    def settled(self) -> None:
        self._dirty.clear()
