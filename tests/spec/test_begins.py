"""A lot begins where its name changes; where no lot is named, with the shift."""

import numpy as np

from sincewhen.processor.view import begins
from sincewhen_schemas.frames import Strings
from sincewhen_testing.station import START_NS, STATION, frames_of


def names(*values: str) -> Strings:
    return np.array(values, object)


def begun(context: dict[str, Strings], shift: Strings, last: dict[str, str]) -> tuple[list[int], list[int]]:
    """The rows at which a lot, and any value that may date a change, begins."""
    frames = frames_of(STATION, 0, START_NS + np.arange(len(shift)), context=context)
    lot, step = begins(frames, shift, last)
    return np.flatnonzero(lot).tolist(), np.flatnonzero(step).tolist()


def test_a_named_lot_begins_whatever_the_shift() -> None:
    found = begun({"lot": names("A", "A", "B", "B")}, names("d early", "d early", "d early", "d late"), {"lot": "A"})
    assert found == ([2], [2])


def test_a_shift_takes_the_place_of_a_lot_that_nobody_names() -> None:
    shift = names("d early", "d early", "d late", "d late")
    assert begun({}, shift, {"shift": "d early"}) == ([2], [])
    assert begun({"lot": names("", "", "", "")}, shift, {"shift": "d late"}) == ([0, 2], [])


def test_the_first_frame_of_all_begins_nothing() -> None:
    assert begun({"recipe": names("r", "s")}, names("d early", "d early"), {}) == ([], [1])
