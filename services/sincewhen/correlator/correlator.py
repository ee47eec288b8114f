"""What stations say becomes line and plant means, and all detections become incidents."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sincewhen.correlator.changes import changes
from sincewhen.correlator.means import Said, SiteMeans
from sincewhen.incidents.correlate import correlate
from sincewhen.plant import Plant
from sincewhen.plant.places import site_of
from sincewhen_schemas.messages import Detection, Incident


@dataclass(slots=True)
class Correlator:
    """told: the newest word on each incident, also on one that turned out to be a part of another."""

    plant: Plant
    means: dict[str, SiteMeans] = field(default_factory=dict)  # by site
    detections: dict[str, Detection] = field(default_factory=dict)  # the newest version of each
    incidents: dict[str, Incident] = field(default_factory=dict)
    told: dict[str, Incident] = field(default_factory=dict)
    _dirty: set[str] = field(default_factory=set)

    def step(self, station_id: str, said: Said, appended_at_ns: int) -> list[Detection]:
        """Detections of the station's line and plant, from what one of its records made."""
        site = site_of(station_id)
        self._dirty.add(site)
        return self.means.setdefault(site, SiteMeans(site)).step(said, appended_at_ns, self.plant)

    def take(self, detections: Sequence[Detection]) -> list[Incident]:
        """Incidents that these detections change, and those that are a part of another one now."""
        for item in detections:
            known = self.detections.get(item.detection_id)
            if known is None or known.version < item.version:
                self.detections[item.detection_id] = item
        if not detections:
            return []
        self.incidents = {item.incident_id: item for item in correlate(self.detections.values())}
        changed = changes(self.told, self.incidents)
        self.told |= {item.incident_id: item for item in changed}
        return changed

    def incident(self, incident_id: str) -> Incident | None:
        """An incident by its id, or the one that it turned out to be a part of."""
        known = self.told.get(incident_id)
        return self.incidents.get(known.merged_into if known is not None and known.merged_into else incident_id)

    def changed(self) -> dict[str, bytes]:
        """Means by site, those that changed since the last `settled`."""
        return {site: self.means[site].to_bytes() for site in sorted(self._dirty)}

    def settled(self) -> None:
        """What `changed` gave is stored."""
        self._dirty.clear()
