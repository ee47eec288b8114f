"""Which earlier incident an incident looks like: of the same station, else of another one.

Each stream names the ended change of its own that pointed the same way. Layers decide, at least half of those that
moved; T² and SPE can only grow, so they say nothing. Scalars know two directions only: they count where no layer moved,
and then all of them must agree. Layers of stations on one common basis point to each other's in its coordinates; one
that stands alone must be nearer, because an early layer takes many faults for alike.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from sincewhen.profiles.streams import SQUARED
from sincewhen_schemas.messages import Detection, Incident

ELSEWHERE_COSINE, ALONE_COSINE = 0.8, 0.95
_SURE = 0.5  # of a displacement's squared length that counts at least
ELSEWHERE_MAX = 64  # newest ended changes of a layer and basis that are looked at
_LAYERS = ("embedding:", "slice:")


def likened(incidents: Sequence[Incident], detections: Mapping[str, Detection]) -> list[Incident]:
    """The incidents, oldest first, each with the earlier one that ended and looked like it.

    detections: by id, newest versions.
    """
    holders = {member: incident for incident in incidents for member in incident.detection_ids}
    elsewhere, found = _Elsewhere(), []
    for incident in incidents:
        moved = [detections[member] for member in incident.detection_ids]
        voters = [member for member in moved if not member.stream.startswith(SQUARED)]
        layers = [member for member in voters if member.stream.startswith(_LAYERS)]
        earlier = _earlier(incident, layers, 0.5, holders) if layers else _earlier(incident, voters, 1.0, holders)
        found.append(_named(incident, earlier or elsewhere.like(incident, layers)))
        if incident.status == "ended":
            elsewhere.remember(incident, layers)
    return found


def _named(incident: Incident, earlier: Incident | None) -> Incident:
    if earlier is None:
        return incident
    return structs.replace(
        incident,
        looks_like=earlier.incident_id,
        looks_like_since_ns=earlier.since_ns,
        looks_like_station_id=earlier.station_id,
    )


def _earlier(
    incident: Incident, voters: Sequence[Detection], share: float, holders: Mapping[str, Incident]
) -> Incident | None:
    votes = _Votes()
    for voter in voters:
        earlier = holders.get(voter.like_id or "")
        if earlier is not None and earlier.status == "ended" and earlier.opened_at_ns < incident.opened_at_ns:
            votes.add(earlier, voter.like_cosine)
    return votes.won(share * len(voters))


@dataclass(slots=True)
class _Votes:
    cast: dict[str, list[float]] = field(default_factory=dict)
    of: dict[str, Incident] = field(default_factory=dict)

    def add(self, earlier: Incident, cosine: float) -> None:
        self.of[earlier.incident_id] = earlier
        self.cast.setdefault(earlier.incident_id, []).append(cosine)

    def won(self, least: float) -> Incident | None:
        best = max(self.cast, key=lambda name: (len(self.cast[name]), sum(self.cast[name]), name), default=None)
        return None if best is None or len(self.cast[best]) < least else self.of[best]


@dataclass(slots=True)
class _Elsewhere:
    """Incidents that ended, by what a layer's displacement can be compared with."""

    past: dict[tuple[str, str], list[tuple[Incident, str, NDArray[np.float64]]]] = field(default_factory=dict)

    def remember(self, incident: Incident, layers: Iterable[Detection]) -> None:
        for member in layers:
            if member.basis:
                known = self.past.setdefault((member.stream, member.basis), [])
                known.append((incident, member.station_id, _unit(member)))
                del known[:-ELSEWHERE_MAX]

    def like(self, incident: Incident, layers: Sequence[Detection]) -> Incident | None:
        """The one at another station that at least half of the layers point to; each names its nearest."""
        wholes = [member for member in layers if member.basis]
        votes = _Votes()
        for member in wholes:
            own = _unit(member)
            near = [
                (float(own @ other), earlier)
                for earlier, station, other in self.past.get((member.stream, member.basis), ())
                if station != member.station_id and earlier.opened_at_ns < incident.opened_at_ns
            ]
            cosine, earlier = max(near, key=lambda item: item[0], default=(0.0, incident))
            if cosine > ELSEWHERE_COSINE:
                votes.add(earlier, cosine)
        won = votes.won(0.5 * len(wholes))
        alone = won is not None and len(votes.cast[won.incident_id]) == 1
        return None if won is None or (alone and max(votes.cast[won.incident_id]) < ALONE_COSINE) else won


def _unit(member: Detection) -> NDArray[np.float64]:
    """The displacement over the length that it has without its error: errors of two stations are at right angles."""
    way = np.frombuffer(member.common, "<f2").astype(np.float64)
    squared = float(way @ way)
    return np.asarray(way / max(squared - member.common_error, _SURE * squared, 1e-12) ** 0.5)
