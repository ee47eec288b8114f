"""Instants at the border: ISO 8601 in UTC outside, epoch nanoseconds inside."""

from datetime import UTC, datetime, timedelta
from typing import overload

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@overload
def iso(at_ns: int) -> str: ...
@overload
def iso(at_ns: None) -> None: ...
@overload
def iso(at_ns: int | None) -> str | None: ...
def iso(at_ns: int | None) -> str | None:
    """ISO 8601 in UTC, to the microsecond."""
    if at_ns is None:
        return None
    return (_EPOCH + timedelta(microseconds=at_ns // 1000)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_iso(at: datetime) -> int:
    """Epoch ns; an instant without a zone is UTC."""
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000
