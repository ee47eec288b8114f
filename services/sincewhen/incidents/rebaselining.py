"""When a change is to become the new reference, and when people have made it so."""

from collections.abc import Iterable

from sincewhen_schemas.messages import Closing, Detection


def is_new_level(members: Iterable[Detection]) -> bool:
    """Whether all layers that are out of control stay where a recorded change put them."""
    lasting = [member for member in members if member.until_ns is None and member.stream.startswith("embedding:")]
    return bool(lasting) and all(member.new_level for member in lasting)


def said(closed: Closing) -> str:
    return f"closed by re-baselining: {closed.by or 'nobody named'}, {closed.why or 'no reason given'}"


def closing(members: Iterable[Detection]) -> Closing | None:
    """Who made it the new reference, and why; None where it ended by itself or goes on."""
    ended = list(members)
    if any(member.until_ns is None for member in ended):
        return None
    return next((member.closed for member in ended if member.closed is not None), None)
