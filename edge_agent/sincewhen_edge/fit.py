"""Whether a value has a place in the contract: the server's own rules, so that nothing is sent to be refused there."""

import re

from sincewhen_schemas.invalid import InvalidReason
from sincewhen_schemas.limits import CAPTURED_AHEAD_MAX_NS, CAPTURED_AT_MIN_NS, CONTROL_CHARACTERS, ID_CHARS_MAX

_SURROGATES = re.compile("[\ud800-\udfff]")  # what Python makes of bytes that are no UTF-8, as in a file's name
TIMES = {
    InvalidReason.CAPTURED_BEFORE_2000: "captured_at is 2000-01-01 or later",
    InvalidReason.CAPTURED_IN_FUTURE: "captured_at is at most 1 h ahead of this PC's clock",
}


def unicode(text: str) -> str:
    """The text as UTF-8 can hold it: a replacement character for each that it can't."""
    return _SURROGATES.sub("\ufffd", text)


def is_id(value: object) -> bool:
    """Whether it can name a view or an agent."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= ID_CHARS_MAX
        and not CONTROL_CHARACTERS.search(value)
        and not _SURROGATES.search(value)
    )


def untimely(captured_at_ns: int, now_ns: int) -> InvalidReason | None:
    """Why a batch with a frame of this time would be refused; None = it would not."""
    if captured_at_ns < CAPTURED_AT_MIN_NS:
        return InvalidReason.CAPTURED_BEFORE_2000
    if captured_at_ns - now_ns > CAPTURED_AHEAD_MAX_NS:
        return InvalidReason.CAPTURED_IN_FUTURE
    return None
