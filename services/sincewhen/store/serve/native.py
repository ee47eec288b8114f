"""Format Native as clients with a protocol version read it.

A server writes Native by the client's `client_protocol_version`; chdb knows version 0 only. Format Buffers has the same
columns with the size of each before them, so that blocks can be written anew without reading any type.

Buffers, a block: columns n, rows (UInt64 each), then for each column its size (UInt64) and its bytes.
Native, a block: from version 1 on block info (1, not overflowing; 2, no bucket: -1; 0); columns n, rows (varint), then
for each column name, type (varint length and bytes), from version 54454 on a 0 (no custom serialisation), its bytes.
"""

import struct
from collections.abc import Sequence

_BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
_CUSTOM_SERIALISATION_SINCE = 54454


def to_native(buffers: bytes | memoryview, columns: Sequence[tuple[str, str]], version: int) -> bytes:
    """All blocks of `buffers`; columns are (name, type)."""
    blocks: list[bytes | memoryview] = []
    at = 0
    while at < len(buffers):
        count, rows = struct.unpack_from("<QQ", buffers, at)
        assert count == len(columns)
        blocks.append(_start(count, rows, version))
        at += 16
        for column in columns:
            (size,) = struct.unpack_from("<Q", buffers, at)
            blocks += [_head(*column, version), buffers[at + 8 : at + 8 + size]]
            at += 8 + size
    return b"".join(blocks)


def empty_native(columns: Sequence[tuple[str, str]], version: int) -> bytes:
    """A block without rows: what a result without rows consists of, so that clients know its columns."""
    return _start(len(columns), 0, version) + b"".join(_head(*column, version) for column in columns)


def _start(columns: int, rows: int, version: int) -> bytes:
    return (_BLOCK_INFO if version else b"") + _varint(columns) + _varint(rows)


def _head(name: str, kind: str, version: int) -> bytes:
    texts = b"".join(_varint(len(text)) + text for text in (name.encode(), kind.encode()))
    return texts + (b"\x00" if version >= _CUSTOM_SERIALISATION_SINCE else b"")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:  # noqa: PLR2004 - seven bits a byte
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
