"""Which earlier incident of the same station an incident looks like.

Each stream names the ended change of its own that pointed the same way. Layers decide, at least half of those that
moved; T² and SPE can only grow, so they say nothing. Scalars know two directions only: they count where no layer moved,
and then all of them must agree.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import structs

from sincewhen_schemas.messages import Detection, Incident

_SQUARED = ("t2:", "spe:")


def likened(incidents: Sequence[Incident], detections: Mapping[str, Detection]) -> list[Incident]:
    """The incidents, each with the earlier one that ended and looked like it. detections: by id, newest versions."""
    holders = {member: incident for incident in incidents for member in incident.detection_ids}
    return [
        _likened(incident, [detections[member] for member in incident.detection_ids], holders) for incident in incidents
    ]


def _likened(incident: Incident, members: Iterable[Detection], holders: Mapping[str, Incident]) -> Incident:
    moved = [member for member in members if not member.stream.startswith(_SQUARED)]
    layers = [member for member in moved if member.stream.startswith(("embedding:", "slice:"))]
    voters, share = (layers, 0.5) if layers else (moved, 1.0)
    votes: dict[str, list[float]] = {}
    for voter in voters:
        earlier = holders.get(voter.like_id or "")
        if earlier is not None and earlier.status == "ended" and earlier.opened_at_ns < incident.opened_at_ns:
            votes.setdefault(earlier.incident_id, []).append(voter.like_cosine)
    best = max(votes, key=lambda name: (len(votes[name]), sum(votes[name]), name), default=None)
    if best is None or len(votes[best]) < share * len(voters):
        return incident
    since_ns = next(earlier.since_ns for earlier in holders.values() if earlier.incident_id == best)
    return structs.replace(incident, looks_like=best, looks_like_since_ns=since_ns)
