"""What a request asks for: the parameters and headers of ClickHouse's HTTP interface."""

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sincewhen.store.serve.coding import chosen
from sincewhen.store.serve.refusal import (
    BAD_ARGUMENTS,
    INCORRECT_DATA,
    NOT_IMPLEMENTED,
    READONLY,
    UNKNOWN_FORMAT,
    UNKNOWN_SETTING,
    Refused,
)
from sincewhen.store.serve.users import User

SESSION_S, SESSION_S_MAX = 60, 3600
READER_S_MAX = 60
_TEXT_MAX = 64
_OF_THE_TRANSPORT = {
    "query", "database", "default_format", "user", "password", "quota_key", "query_id", "session_id", "session_timeout",
    "session_check", "compress", "decompress", "enable_http_compression", "http_zlib_compression_level",
    "client_protocol_version", "wait_end_of_query", "buffer_size", "send_progress_in_http_headers",
    "http_headers_progress_interval_ms", "cancel_http_readonly_queries_on_client_close", "stacktrace", "role",
    "http_write_exception_in_output_format", "http_response_buffer_size",
}  # fmt: skip
# of a reader: how a value is written, and limits, which a reader may only lower
_HARMLESS = {
    "date_time_input_format", "date_time_output_format", "session_timezone", "join_use_nulls",
    "output_format_json_quote_64bit_integers", "output_format_json_quote_denormals",
}  # fmt: skip
_LOWERED = {"max_execution_time": READER_S_MAX}
_SETTING = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")
_PARAM = re.compile(r"[A-Za-z0-9_]{1,128}")
_FORMAT = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_PYTHON_FORMATS = {"dataframe", "datastore", "arrowtable"}  # chdb's own, for callers in its process


@dataclass(frozen=True, slots=True)
class Ask:
    user: User
    query: bytes  # what the body goes on from
    query_id: str
    database: str | None
    format: str
    settings: Mapping[str, str]
    params: Mapping[str, str]
    session: str | None
    session_s: int
    session_must_exist: bool
    protocol_version: int
    coding: str  # of the response
    whole: bool  # no answer before the query has ended
    changes_nothing: bool  # a reader, or GET


def ask_of(user: User, method: str, query: Iterable[tuple[str, str]], headers: Mapping[str, str]) -> Ask:
    """Raises Refused."""
    given = dict(query)
    for name in ("compress", "decompress"):
        if _flag(given, name):
            raise Refused(
                NOT_IMPLEMENTED,
                f"{name}=1, ClickHouse's own compression, is not served: use Content-Encoding (gzip, lz4)",
            )
    if headers.get("content-type", "").startswith("multipart/"):
        raise Refused(NOT_IMPLEMENTED, "external tables and forms are not served: send the statement as body")
    return Ask(
        user=user,
        query=given.get("query", "").encode(),
        query_id=given.get("query_id") or secrets.token_hex(16),
        database=given.get("database") or headers.get("x-clickhouse-database"),
        format=checked_format(given.get("default_format") or headers.get("x-clickhouse-format") or "TabSeparated"),
        settings=_settings(user, given),
        params=_params(given),
        session=None if user.reads_only else given.get("session_id"),  # a reader can keep nothing in a session
        session_s=_number(given, "session_timeout", SESSION_S, SESSION_S_MAX),
        session_must_exist=_flag(given, "session_check"),
        protocol_version=_number(given, "client_protocol_version", 0, 10**6),
        coding=chosen(headers.get("accept-encoding", "")) if _flag(given, "enable_http_compression") else "",
        whole=_flag(given, "wait_end_of_query"),
        changes_nothing=user.reads_only or method != "POST",
    )


def checked_format(name: str) -> str:
    if not _FORMAT.fullmatch(name) or name.lower() in _PYTHON_FORMATS:
        raise Refused(UNKNOWN_FORMAT, f"Unknown format {name[:_TEXT_MAX]}")
    return name


def _params(given: Mapping[str, str]) -> dict[str, str]:
    params = {name.removeprefix("param_"): value for name, value in given.items() if name.startswith("param_")}
    for name in params:
        if not _PARAM.fullmatch(name):
            raise Refused(BAD_ARGUMENTS, f"a parameter's name has letters, digits and _, got {name[:_TEXT_MAX]!r}")
    return params


def _settings(user: User, given: Mapping[str, str]) -> dict[str, str]:
    settings = {
        name: value for name, value in given.items() if name not in _OF_THE_TRANSPORT and not name.startswith("param_")
    }
    for name, value in settings.items():
        if not _SETTING.fullmatch(name):
            raise Refused(UNKNOWN_SETTING, f"Unknown setting {name[:_TEXT_MAX]!r}")
        if not user.reads_only or name in _HARMLESS:
            continue
        if name not in _LOWERED:
            raise Refused(READONLY, f"Cannot modify '{name}' setting in readonly mode: leave it out")
        wished = _number({name: value.split(".")[0]}, name, 0, 10**9)
        settings[name] = str(min(wished or _LOWERED[name], _LOWERED[name]))
    return settings


def _flag(given: Mapping[str, str], name: str) -> bool:
    return given.get(name, "0").lower() in {"1", "true"}


def _number(given: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = given.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text[:20]) > most:
        code = INCORRECT_DATA if name == "client_protocol_version" else BAD_ARGUMENTS
        raise Refused(code, f"{name} is a whole number up to {most}, got {text[:_TEXT_MAX]!r}")
    return int(text)
