"""Real frames in control that no profile has seen: alarms, all of a station's streams together."""

from benchmarks import stations
from benchmarks.cell import Cell, Figures
from benchmarks.real import stream
from sincewhen.processor.backtest import watch

BLOCK = 2000


def quiet_cells(product: str, golden: int, blocks: int) -> list[Cell]:
    return [Cell.of("quiet", number, product=product, golden=golden) for number in range(blocks)]


def measure(cell: Cell) -> Figures:
    seen = stations.recording(stream(cell.get("product", str), BLOCK, cell.seed))
    alarms = watch(seen, stations.profile_of(cell.get("product", str), cell.get("golden", int)), stations.ARL0)
    return {"alarms": [len(alarms)], "frames": [BLOCK]}
