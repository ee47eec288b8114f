"""Why a record is refused. The same word is metric label, log key, dead-letter header and store column."""

from enum import StrEnum


class InvalidReason(StrEnum):
    UNDECODABLE = "undecodable"
    UNSUPPORTED_VERSION = "unsupported_version"
    BAD_STATION_ID = "bad_station_id"
    UNKNOWN_STATION = "unknown_station"
    UNKNOWN_VIEW = "unknown_view"
    TOO_LARGE = "too_large"
    LENGTH_MISMATCH = "length_mismatch"
    BAD_NAME = "bad_name"
    BAD_INDEX = "bad_index"
    MISSING_PURPOSE = "missing_purpose"
    NON_FINITE = "non_finite"
    OUT_OF_RANGE = "out_of_range"
    CAPTURED_BEFORE_2000 = "captured_before_2000"
    CAPTURED_IN_FUTURE = "captured_in_future"
    BAD_DIMS = "bad_dims"
    EMPTY_BATCH = "empty_batch"
    BAD_CONTROL = "bad_control"
    INTERNAL_ERROR = "internal_error"


class InvalidFrame(Exception):  # noqa: N818 - the design's name; it is a verdict on the input, not a fault of ours
    """A record that breaks the contract: dead-lettered with its reason, never retried."""

    def __init__(self, reason: InvalidReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
