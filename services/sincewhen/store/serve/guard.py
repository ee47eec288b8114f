"""What a statement may do.

A reader meets three walls. The engine says what the parsed statement is: only a READ_ONLY one goes on (not INTO
OUTFILE, SET, USE, KILL ...). The engine writes it anew, in one spelling, without comments and with escapes undone; that
text names no function that reaches a file, another server or this process, and it is what is executed: the function
`file`, also as APPLY(file) or arrayMap(file, ...), DESCRIBE of table functions, and SETTINGS of a subquery would pass
the third wall. The connection itself is readonly = 1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sincewhen.store.serve.handle import Handle
from sincewhen.store.serve.refusal import OUTFILE, READONLY, SYNTAX, Refused
from sincewhen.store.serve.statement import names

_RESULT_KINDS = {"SELECT", "WITH", "FROM", "(", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "CHECK"}
_FUNCTIONS = """SELECT lower(name) FROM system.functions WHERE name IN ('file', 'catboostEvaluate', 'generateSerialID')
OR categories IN ('AI', 'Introspection')"""
# the engine itself says which ones a readonly user may read from; DESCRIBE does not ask it
_TABLE_FUNCTIONS = """SELECT lower(name) FROM system.table_functions WHERE NOT allow_readonly AND name != 'format'
OR name = 'eval'"""
_NAME_FROM_OUTSIDE = re.compile(r"\{\s*\w+\s*:\s*Identifier\s*\}", re.IGNORECASE)
_READER = {"allow_introspection_functions": "0", "max_execution_time": "60"}
_REWRITE, _OWN_SCOPE = "SELECT formatQuerySingleLine({q:String})", ": In scope SELECT formatQuerySingleLine("
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})


@dataclass(frozen=True, slots=True)
class Outward:
    """Functions that reach beyond the tables, in small letters; functions count wherever their name stands."""

    functions: frozenset[str]
    table_functions: frozenset[str]

    @classmethod
    def of(cls, handle: Handle) -> "Outward":
        """Of this release of the engine."""
        functions, tables = (handle.rows(sql)[1] for sql in (_FUNCTIONS, _TABLE_FUNCTIONS))
        return cls(frozenset(row[0] for row in functions), frozenset(row[0] for row in tables))


def confine(handle: Handle, settings: Mapping[str, str]) -> None:
    """Make the connection a reader's, for good."""
    handle.set({**_READER, **settings})
    handle.set({"readonly": "1"})


def examine(handle: Handle, kind: str, sql: str, *, changes_nothing: bool) -> bool:
    """Whether the statement gives a result. Raises Refused."""
    found, count = handle.classify(sql)
    if found == "UNKNOWN" or count != 1:
        rewritten(handle, sql)
        raise Refused(SYNTAX, "Syntax error: one statement a request is expected")
    if found == "CONTROL" and kind in _RESULT_KINDS:
        raise Refused(OUTFILE, "INTO OUTFILE is not allowed: the response is the result")
    if found != "READ_ONLY" and changes_nothing:
        raise Refused(
            READONLY,
            "Cannot execute query in readonly mode; GET and readers only read: use POST and a user who may write",
        )
    return found == "READ_ONLY"


def harmless(handle: Handle, sql: str, outward: Outward) -> str:
    """The text to execute for a reader. Raises Refused."""
    text = rewritten(handle, sql)
    if _NAME_FROM_OUTSIDE.search(text):
        raise Refused(READONLY, "a reader's parameters are values, no identifiers: write names into the statement")
    for name, called in names(text.encode()):
        if name == "SETTINGS":  # so the engine writes the keyword; system.settings may be read
            raise Refused(READONLY, "Cannot modify settings in readonly mode: a reader's come as parameters of the URL")
        if name.lower() in outward.functions or (called and name.lower() in outward.table_functions):
            raise Refused(READONLY, f"Cannot execute query in readonly mode: {name} reaches beyond the tables")
    return text


def rewritten(handle: Handle, sql: str) -> str:
    """One statement in the engine's own spelling, on one line. Raises Refused where it is none."""
    try:
        view = handle.query(_REWRITE, "TabSeparatedRaw", {"q": sql.translate(_ESCAPES)}).view
    except Refused as refused:
        raise Refused(refused.code, refused.message.partition(_OWN_SCOPE)[0]) from refused
    return bytes(view).decode("utf-8", "replace").removesuffix("\n")
