"""Where a statement ends and its data begins, and which format it names. What it may do is not decided here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# what is not closed goes to the end: so each byte is looked at once, whatever the text
_TOKEN = re.compile(
    rb"""(?P<blank>\s+|--[^\n]*|\#[ !][^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<quoted>'(?:[^'\\]|\\.|'')*+(?:'|\\?\Z)|"(?:[^"\\]|\\.|"")*+(?:"|\\?\Z)|`(?:[^`\\]|\\.|``)*+(?:`|\\?\Z)
        |\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z))
    |(?P<word>\w+)
    |(?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
_OPEN, _CLOSE = (b"(", b"[", b"{"), (b")", b"]", b"}")


@dataclass(frozen=True, slots=True)
class Statement:
    """`sql` is without the format; data of an INSERT begin at `data_at` of the text."""

    kind: str  # the first word
    sql: bytes
    format: str | None = None
    data_at: int | None = None
    refused: str = ""  # what of an INSERT the engine can't do


@dataclass(frozen=True, slots=True)
class _Word:
    text: bytes  # upper case; other signs as they are
    start: int
    end: int
    depth: int


def parse(text: bytes) -> Statement:
    words = _words(text)
    first = next(words, None)
    if first is None:
        return Statement("", text)
    kind = first.text.decode("ascii", "replace")
    return _insert(text, words) if kind == "INSERT" else _other(kind, text, [first, *words])


def _words(text: bytes) -> Iterator[_Word]:
    """All but blanks and comments. Depth counts brackets."""
    depth = 0
    for token in _TOKEN.finditer(text):
        if token["blank"] is None:
            depth -= token[0] in _CLOSE
            yield _Word(token[0].upper() if token["word"] else token[0], token.start(), token.end(), depth)
            depth += token[0] in _OPEN


def _insert(text: bytes, words: Iterator[_Word]) -> Statement:
    """Looks no further than to where the data begin."""
    selects = False
    for number, word in enumerate(words):
        if word.text == b"INPUT" and selects:
            return Statement("INSERT", text, refused="INSERT ... SELECT ... FROM input()")
        if word.depth:
            continue
        if word.text == b"INFILE":
            return Statement("INSERT", text, refused="INSERT ... FROM INFILE")
        selects = selects or word.text in {b"SELECT", b"WITH"}
        if word.text == b"VALUES" and not selects and number > 1:
            return Statement("INSERT", text[: word.start], "Values", word.end)
        if word.text == b"FORMAT" and not selects and (name := next(words, None)):
            named = text[name.start : name.end].decode("utf-8", "replace")
            return Statement("INSERT", text[: word.start], named, _data(text, name.end))
    return Statement("INSERT", text)


def _data(text: bytes, at: int) -> int:
    """Blanks and one line end stand between the format's name and its data."""
    while at < len(text) and text[at : at + 1] in b" \t\f":
        at += 1
    at += text[at : at + 1] == b"\r"
    return at + (text[at : at + 1] == b"\n")


def _other(kind: str, text: bytes, words: list[_Word]) -> Statement:
    while words and words[-1].text == b";":
        words.pop()
    end = words[-1].end if words else len(text)
    for number in range(len(words) - 2, 0, -1):
        word, name = words[number], words[number + 1]
        after = words[number + 2].text if number + 2 < len(words) else b"SETTINGS"
        if word.depth == 0 and word.text == b"FORMAT" and after == b"SETTINGS" and name.text[:1].isalpha():
            sql = text[: word.start] + text[name.end : end]
            return Statement(kind, sql.rstrip(), text[name.start : name.end].decode())
    return Statement(kind, text[:end])


def names(text: bytes) -> Iterator[tuple[str, bool]]:
    """Every word and quoted identifier as it is written, and whether a bracket follows."""
    before = ""
    for word in _words(text):
        if before:
            yield before, word.text == b"("
        quoted = word.text[:1] in b'`"' and len(word.text) > 1
        before = text[word.start + quoted : word.end - quoted].decode("utf-8", "replace")
    if before:
        yield before, False
