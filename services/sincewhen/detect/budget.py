"""The page budget becomes each stream's run length in control."""


def arl0(frames_per_week: float, pages_per_week: float, weight: float) -> float:
    """ARL0 in frames of a stream that may spend `weight` (0..1, all streams of the plant add to 1) of the budget."""
    if not (frames_per_week > 0 and pages_per_week > 0 and 0 < weight <= 1):
        msg = (
            "frames_per_week and pages_per_week are above 0 and weight is in (0, 1]; "
            f"got {frames_per_week}, {pages_per_week}, {weight}"
        )
        raise ValueError(msg)
    return max(2.0, frames_per_week / (pages_per_week * weight))
