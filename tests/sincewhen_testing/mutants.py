"""`sincewhen` without what it must not lack, or with a fault: `python -m sincewhen_testing.mutants NAME COMMAND`."""

import sys
from collections.abc import Mapping
from typing import Any

import pytest

from sincewhen.cli.__main__ import main
from sincewhen.log.kafka import KafkaStates
from sincewhen.processor.app import _Consumer
from sincewhen.processor.outputs import Outputs
from sincewhen.processor.pipeline import Pipeline
from sincewhen.processor.state import StationState

NAMES = ("no barrier", "no seek")


def _no_barrier(_self: KafkaStates, _partition: int, _next_offset: int, _dirty: Mapping[str, bytes]) -> None:
    """Nothing is ever stored."""


async def _no_seek(*_: object) -> None:
    """Reading goes on where offsets were committed, not from the snapshot."""


POISON = "mutants/poison/line1/cam1"


def _poisoned(pipeline: Pipeline, state: StationState, key: str, *rest: Any) -> Outputs:  # noqa: ANN401 - the rest
    """A fault of ours at some records of one station: those of more than one frame."""
    made = _STEP(pipeline, state, key, *rest)
    if key == POISON and any(batch.frames.n > 1 for batch in made.batches):
        raise ZeroDivisionError("a fault of ours")
    return made


_STEP = Pipeline.step


if __name__ == "__main__":
    patch = pytest.MonkeyPatch()
    match sys.argv[1]:
        case "no barrier":
            patch.setattr(KafkaStates, "barrier", _no_barrier)
        case "no seek":
            patch.setattr(_Consumer, "seek", _no_seek)
        case "poison":
            patch.setattr(Pipeline, "step", _poisoned)
    main(sys.argv[2:])
