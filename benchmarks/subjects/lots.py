"""Lots that differ by nature, with a real drift between them: delay, and false alarms before it; the whole product."""

import numpy as np

from benchmarks.cell import Cell, Effort, Figures
from benchmarks.streams import LOT_FRAMES, simulated
from sincewhen.processor.backtest import Recording, run
from sincewhen_testing.streams import direction, mixing

GOLDEN, CALM, REST, SIZE, ARL0 = 3000, 3000, 900, 3.5, 1e4
LATENT, DIMS = 24, 48


def cells(effort: Effort) -> list[Cell]:
    return [Cell.of("lots", number, runs=effort.pick(1, 4, 8)) for number in range(effort.pick(1, 2, 40))]


def measure(cell: Cell) -> Figures:
    rng = cell.rng
    found: Figures = {"alarms": [], "frames": [], "refused": [], "delay": [], "missed": []}
    for _ in range(cell.get("runs", int)):
        onset = GOLDEN + CALM + int(rng.integers(LOT_FRAMES))
        seen = simulated("lots", rng, onset + REST, LATENT)
        assert seen.lot is not None
        seen.x[onset:] += SIZE * direction(rng, LATENT)
        lot = np.cumsum(seen.lot).astype(str).astype(object)
        x = (seen.x @ mixing(rng, LATENT, DIMS)).astype(np.float32)
        result = run(Recording({"x": x}, np.arange(len(x)) * 10**9, {}, lot), GOLDEN, ARL0)
        found["refused"].append(float(result.refused is not None))
        if result.refused is None:
            found["alarms"].append(float(sum(alarm.first.at < onset for alarm in result.alarms)))
            found["frames"].append(float(onset - GOLDEN))
            after = [alarm.first.at - onset + 1 for alarm in result.alarms if alarm.first.at >= onset]
            found["delay"].append(float(min(after, default=REST)))
            found["missed"].append(float(not after))
    return found
