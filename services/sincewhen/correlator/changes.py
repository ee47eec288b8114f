"""What the store does not know of the incidents yet."""

from collections.abc import Mapping

import msgspec

from sincewhen_schemas.messages import Incident


def changes(stored: Mapping[str, Incident], now: Mapping[str, Incident]) -> list[Incident]:
    """Incidents that differ from what is stored, and those that turned out to be a part of another one.

    Versions grow, whatever becomes of an incident, so that the newest row in the store is the newest word.
    """
    holder = {member: incident for incident in now.values() for member in incident.detection_ids}
    wanted = [*now.values()]
    for key, known in sorted(stored.items()):
        into = next((holder[member] for member in known.detection_ids if member in holder), None)
        if key not in now and into is not None:
            wanted.append(msgspec.structs.replace(known, status="ended", merged_into=into.incident_id))
    return [_newer(item, stored.get(item.incident_id)) for item in wanted if _differs(item, stored)]


def _differs(item: Incident, stored: Mapping[str, Incident]) -> bool:
    known = stored.get(item.incident_id)
    return known is None or msgspec.structs.replace(known, version=item.version) != item


def _newer(item: Incident, known: Incident | None) -> Incident:
    return item if known is None else msgspec.structs.replace(item, version=max(item.version, known.version + 1))
