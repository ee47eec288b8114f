"""Errors as a ClickHouse server gives them: a code, its text in the body, an HTTP status."""

import re

SYNTAX, UNKNOWN_FORMAT, NOT_IMPLEMENTED = 62, 73, 48
UNKNOWN_SETTING, OUTFILE, READONLY = 115, 109, 164
AUTHENTICATION_FAILED, REQUIRED_PASSWORD = 516, 194
TOO_MANY_QUERIES, TOO_LARGE, BAD_ARGUMENTS, INCORRECT_DATA = 202, 307, 36, 117
SESSION_NOT_FOUND, SESSION_IS_LOCKED, TOO_MANY_SESSIONS = 372, 373, 202
_UNKNOWN = 1002
_TEXT_MAX = 8192
_NAMES = {
    SYNTAX: "SYNTAX_ERROR",
    UNKNOWN_FORMAT: "UNKNOWN_FORMAT",
    NOT_IMPLEMENTED: "NOT_IMPLEMENTED",
    UNKNOWN_SETTING: "UNKNOWN_SETTING",
    OUTFILE: "INTO_OUTFILE_NOT_ALLOWED",
    READONLY: "READONLY",
    AUTHENTICATION_FAILED: "AUTHENTICATION_FAILED",
    REQUIRED_PASSWORD: "REQUIRED_PASSWORD",
    TOO_MANY_QUERIES: "TOO_MANY_SIMULTANEOUS_QUERIES",
    TOO_LARGE: "TOO_MANY_BYTES",
    BAD_ARGUMENTS: "BAD_ARGUMENTS",
    INCORRECT_DATA: "INCORRECT_DATA",
    SESSION_NOT_FOUND: "SESSION_NOT_FOUND",
    SESSION_IS_LOCKED: "SESSION_IS_LOCKED",
}
_STATUS = {
    **dict.fromkeys((6, 25, 26, 27, 36, 38, 41, 44, 53, 62, 69, 72, 117, 167, 168, 372, 373, 456, 457), 400),
    **dict.fromkeys((16, 46, 47, 50, 56, 60, 63, 73, 81, 115), 404),
    **dict.fromkeys((164, 192, 193, 497, 516), 403),
    **dict.fromkeys((202, 439), 503),
    48: 501,
    159: 408,
    194: 401,
    307: 413,
}
_ENGINE = re.compile(r"Code: (\d+)\. (.*)", re.DOTALL)
_KIND = re.compile(r"^DB::\w*Exception: ")
_VERSION = re.compile(r" \(version [^)]*\)\Z")
_AGAIN = re.compile(r"DB::\w*Exception: (Code: \d+\. .*?)(?: \(version [^)]*\))?\.?(?: \([A-Z_]+\))?\Z", re.DOTALL)


class Refused(Exception):  # noqa: N818 - an answer, not a fault of ours
    """What the client gets to read. `message` says the rule, the value, the way out."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    @classmethod
    def by_engine(cls, error: Exception) -> "Refused":
        """The engine's own code and words; what chdb and a nested exception put around them is left out."""
        text = str(error)[:_TEXT_MAX].strip()
        found = _ENGINE.search(text)
        if found is None:
            return cls(_UNKNOWN, f"{text} (UNKNOWN_EXCEPTION)")
        while again := _AGAIN.match(found[2]):
            found = _ENGINE.match(again[1]) or found
        return cls(int(found[1]), _VERSION.sub("", _KIND.sub("", found[2])).strip())

    def text(self, version: str) -> str:
        """As in a server's body."""
        name = f" ({_NAMES[self.code]})" if self.code in _NAMES and not self.message.endswith(")") else ""
        return f"Code: {self.code}. DB::Exception: {self.message}{name} (version {version})\n"

    @property
    def status(self) -> int:
        return _STATUS.get(self.code, 500)
