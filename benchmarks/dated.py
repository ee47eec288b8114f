"""What an alarm of the whole product says of its onset, against the truth."""

from benchmarks.cell import Figures
from sincewhen.processor.backtest import Alarm, Dating


def datings(alarm: Alarm, onset: int) -> Figures:
    """As confirmed, and as refined where it was."""
    found: Figures = {}
    refined = alarm.final if alarm.status in {"refined", "ended"} else None
    for name, known in (("confirmed", alarm.confirmed), ("refined", refined)):
        if known is not None:
            found |= _error(name, known, onset)
    return found


def _error(name: str, known: Dating, onset: int) -> Figures:
    return {
        f"{name} error": [float(abs(known.since - onset))],
        f"{name} covered": [float(known.since_low <= onset <= known.since_high)],
        f"{name} width": [known.since_high - known.since_low + 1.0],
    }
