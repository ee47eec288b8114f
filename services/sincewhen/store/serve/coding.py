"""Content codings of bodies and responses: gzip, deflate, lz4."""

import zlib
from collections.abc import Iterator

import lz4.frame

from sincewhen.store.serve.refusal import INCORRECT_DATA, NOT_IMPLEMENTED, TOO_LARGE, Refused

BODY_BYTES_MAX = 4 * 1024**3  # unpacked: an INSERT streams, so that this bounds the disk, not the memory
PIECE_BYTES = 1024**2
_WINDOW_BITS = {"gzip": 31, "deflate": 15}
_LEVEL = 3


def chosen(accepted: str) -> str:
    """The coding of a response: the first that the client accepts and we have; "": none."""
    for entry in accepted.lower().split(","):
        name, _, quality = entry.strip().partition(";")
        if name.strip() in {"lz4", *_WINDOW_BITS} and quality.replace(" ", "") not in {"q=0", "q=0.0"}:
            return name.strip()
    return ""


class Decoder:
    """Unpacks a body in pieces of at most PIECE_BYTES. Raises Refused."""

    def __init__(self, coding: str) -> None:
        if coding not in {"", "identity", "lz4", *_WINDOW_BITS}:
            raise Refused(
                NOT_IMPLEMENTED, f"Content-Encoding {coding[:32]!r} is not served: gzip, deflate, lz4 and none are"
            )
        self._coding, self._taken, self._ended = coding, 0, True
        self._lz4 = lz4.frame.LZ4FrameDecompressor()
        self._zlib = zlib.decompressobj(_WINDOW_BITS.get(coding, 15))

    def pieces(self, data: bytes) -> Iterator[bytes]:
        unpacked = {"lz4": self._by_lz4, "gzip": self._by_zlib, "deflate": self._by_zlib}.get(
            self._coding, lambda x: iter([x])
        )
        try:
            for piece in unpacked(data):
                self._taken += len(piece)
                if self._taken > BODY_BYTES_MAX:
                    raise Refused(
                        TOO_LARGE, f"a body has at most {BODY_BYTES_MAX} bytes: send the rows in several inserts"
                    )
                if piece:
                    yield piece
        except (zlib.error, RuntimeError) as error:
            raise Refused(INCORRECT_DATA, f"the body is not {self._coding}: {error}") from error

    def end(self) -> None:
        if not self._ended:
            raise Refused(INCORRECT_DATA, f"the body ends in the middle of its {self._coding}: send it again")

    def _by_lz4(self, data: bytes) -> Iterator[bytes]:
        more = bool(data)
        while more:
            yield self._lz4.decompress(data, PIECE_BYTES)
            self._ended = self._lz4.eof
            data = (self._lz4.unused_data or b"") if self._ended else b""
            more = bool(data) or not (self._ended or self._lz4.needs_input)

    def _by_zlib(self, data: bytes) -> Iterator[bytes]:
        while data:
            yield self._zlib.decompress(data, PIECE_BYTES)
            self._ended = self._zlib.eof
            data = self._zlib.unconsumed_tail
            if self._ended and self._zlib.unused_data:
                data, self._zlib = self._zlib.unused_data, zlib.decompressobj(_WINDOW_BITS[self._coding])


class Encoder:
    """Packs a response."""

    def __init__(self, coding: str) -> None:
        self._lz4 = lz4.frame.LZ4FrameCompressor() if coding == "lz4" else None
        self._zlib = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS[coding]) if coding in _WINDOW_BITS else None
        self._start: bytes = self._lz4.begin() if self._lz4 else b""

    def pack(self, piece: bytes | memoryview) -> bytes:
        start, self._start = self._start, b""
        if self._lz4:
            return start + bytes(self._lz4.compress(piece))
        return self._zlib.compress(piece) if self._zlib else bytes(piece)

    def end(self) -> bytes:
        if self._lz4:
            return self._start + bytes(self._lz4.flush())
        return self._zlib.flush() if self._zlib else b""
