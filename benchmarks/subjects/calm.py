"""In-control stretches of every method of the race: what `delay` and `ramps` take their thresholds from."""

from benchmarks.race import calm as measure

__all__ = ["measure"]
