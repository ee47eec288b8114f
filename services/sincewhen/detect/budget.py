"""The page budget becomes each stream's run length in control.

All weights of the plant add to 1: the groups (lines, the plant) share GROUPS_SHARE, if there are any, the stations the
rest. Rarity is cheap: a fifth less costs a station's detector ln 1.25 of evidence; five times rarer costs a group ln 5,
which is little where many stations add up.
"""

GROUPS_SHARE = 0.2


def view_weight(stations: int, groups: int, views: int) -> float:
    """Of one of a station's views, all its streams together, in a plant of so many stations and groups."""
    return (1 - GROUPS_SHARE if groups else 1.0) / (stations * views)


def group_weight(groups: int, streams: int) -> float:
    """Of one stream of a group."""
    return GROUPS_SHARE / (max(1, groups) * streams)


def arl0(frames_per_week: float, pages_per_week: float, weight: float) -> float:
    """ARL0 in frames (of a group: bins) of a stream that may spend `weight` (0..1) of the budget."""
    if not (frames_per_week > 0 and pages_per_week > 0 and 0 < weight <= 1):
        msg = (
            "frames_per_week and pages_per_week are above 0 and weight is in (0, 1]; "
            f"got {frames_per_week}, {pages_per_week}, {weight}"
        )
        raise ValueError(msg)
    return max(2.0, frames_per_week / (pages_per_week * weight))
