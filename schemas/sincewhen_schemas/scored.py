"""What the processor says of the frames of one record: topic `scores`, MessagePack, beside the frames in `frames`.

A writer joins the two: both are partitioned alike, and scores come in the order of the records that they are of.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from sincewhen_schemas.frames import Strings
from sincewhen_schemas.messages import StationState


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """n frames from first_seq on, the last ones of the record at `offset`: those that were not seen before.

    ln_z: by stream, float32 little-endian (n,), NaN where not judged. embeddings: per frame "all" (kept for a short
    time), "sampled" (as long as units) or "" (not kept); one value where it is the same for all, as of shift.
    """

    topic_id: str
    offset: int
    first_seq: int
    n: int
    state: StationState
    shift: tuple[str, ...]
    embeddings: tuple[str, ...]
    ln_z: dict[str, bytes]


def encode_scored(scored: Scored) -> bytes:
    return _ENCODER.encode(scored)


def decode_scored(data: bytes) -> Scored:
    """Raises ValueError."""
    return _DECODER.decode(data)


def packed(values: Strings) -> tuple[str, ...]:
    """Values (n,) as few as they are: one, or all."""
    told = tuple(map(str, values))
    return told[:1] if len(set(told)) == 1 else told


def unpacked(values: tuple[str, ...], n: int) -> Strings:
    """(n,)."""
    return np.array(values * n if len(values) == 1 else values, object)


def floats(data: bytes) -> NDArray[np.float32]:
    return np.frombuffer(data, "<f4").astype(np.float32)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Scored)
