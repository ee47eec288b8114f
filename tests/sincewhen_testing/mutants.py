"""`sincewhen` less one thing that it must not lack: `python -m sincewhen_testing.mutants NAME COMMAND ...`."""

import sys
from collections.abc import Mapping

import pytest

from sincewhen.cli.__main__ import main
from sincewhen.log.kafka import KafkaStates
from sincewhen.processor.app import _Consumer

NAMES = ("no barrier", "no seek")


def _no_barrier(_self: KafkaStates, _partition: int, _next_offset: int, _dirty: Mapping[str, bytes]) -> None:
    """Nothing is ever stored."""


async def _no_seek(*_: object) -> None:
    """Reading goes on where offsets were committed, not from the snapshot."""


if __name__ == "__main__":
    patch = pytest.MonkeyPatch()
    if sys.argv[1] == "no barrier":
        patch.setattr(KafkaStates, "barrier", _no_barrier)
    else:
        patch.setattr(_Consumer, "seek", _no_seek)
    main(sys.argv[2:])
