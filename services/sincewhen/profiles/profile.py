"""The profile: what in-control looks like for one view of a station and one model version. A value with a sha."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from sincewhen.profiles.embedding import Basis
from sincewhen.profiles.library import Library
from sincewhen.profiles.null import StreamNull
from sincewhen.profiles.regime import Regime
from sincewhen.profiles.slices import Slice, Slices
from sincewhen.profiles.streams import SQUARED, parsed, slice_stream

PROFILE_SCHEMA = 8
T = TypeVar("T")
_ARRAY = 1
_DIGEST = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class LayerProfile:
    """One layer: its basis, its regimes, the null of the residuals, what known causes do to it, its semantic slices."""

    basis: Basis
    regimes: dict[str, Regime]
    null: StreamNull
    library: Library | None = None
    slices: Slices | None = None


@dataclass(frozen=True, slots=True)
class ScalarProfile:
    """One scalar: golden quantiles (2, m), the regimes of its normal scores, and the null of their residuals."""

    quantiles: NDArray[np.float64]
    mean: float  # of the normal scores
    regimes: dict[str, Regime]
    null: StreamNull


@dataclass(frozen=True, slots=True)
class SelfTest:
    """A/A: alarms on the last fifth of the golden frames, which the fit did not see, at a run length of `arl0`."""

    frames: int
    arl0: float
    alarms: dict[str, int]  # by stream
    alarms_max: int  # Poisson limit of one stream


@dataclass(frozen=True, slots=True)
class Profile:
    schema: int
    station_id: str
    view: str
    model_name: str
    model_version: str
    golden_from_ns: int
    golden_until_ns: int
    frames: int
    lots: int
    frames_per_week: float
    layers: dict[str, LayerProfile]
    scalars: dict[str, ScalarProfile]
    self_test: SelfTest
    warnings: tuple[str, ...]
    regimes: dict[str, float]  # operating conditions that are judged: share of golden frames; "" = all are one
    reference_sha: str = ""  # of the reference set that its fingerprints come from

    @property
    def streams(self) -> tuple[str, ...]:
        """Every stream that can be judged; an embedding brings its slices, and T² and SPE, which are scalars."""
        slices = [slice_stream(layer, number) for layer in self.layers for number in self.parts(layer)]
        return (*(f"embedding:{layer}" for layer in self.layers), *slices, *self.scalars)

    @property
    def dims(self) -> NDArray[np.int64]:
        """Coordinates of each stream."""
        layers = [fitted.null.dims for fitted in self.layers.values()]
        slices = [fitted.null.dims for name, fitted in self.layers.items() for _ in self.parts(name)]
        return np.array([*layers, *slices, *(1 for _ in self.scalars)], np.int64)

    def parts(self, layer: str) -> dict[int, Slice]:
        """The layer's semantic slices by number."""
        slices = self.layers[layer].slices
        return {} if slices is None else slices.parts

    def of_layer(self, name: str) -> "Profile":
        """As if it had no other layer."""
        others = self.layers.keys() - {name}
        scalars = {
            stream: scalar
            for stream, scalar in self.scalars.items()
            if not (stream.startswith(SQUARED) and parsed(stream)[1] in others)
        }
        return replace(self, layers={name: self.layers[name]}, scalars=scalars)

    def null(self, stream: str) -> StreamNull:
        kind, name, part = parsed(stream)
        if kind == "slice":
            return self.parts(name)[part].null
        if kind == "t2":
            return replace(self.scalars[stream].null, layer=self.layers[name].null)
        return self.layers[name].null if kind == "embedding" else self.scalars[stream].null

    def library(self, stream: str) -> Library | None:
        """What is known of causes in this stream; scalars have none."""
        kind, name, _ = parsed(stream)
        return self.layers[name].library if kind in {"embedding", "slice"} else None

    def run_length(self, stream: str, frames: float) -> float:
        """ARL0 in the stream's own frames where all streams together may alarm once in so many frames of the view.

        All slices of a layer have the weight of one stream.
        """
        sliced = [layer for layer in self.layers if self.parts(layer)]
        weights = len(self.layers) + len(self.scalars) + len(sliced)
        kind, name, part = parsed(stream)
        if kind != "slice":
            return frames * weights
        parts = self.parts(name)
        return frames * weights * len(parts) * parts[part].share

    def fingerprints(self, stream: str) -> NDArray[np.float32] | None:
        """Directions (D, k) that the stream's detector looks along."""
        library = self.library(stream)
        return None if library is None else library.directions


class _Head(msgspec.Struct):
    schema: int


def encode_profile(profile: Profile) -> bytes:
    """Bytes of a profile, with their SHA-256 behind them: equal profiles give equal bytes."""
    body = encode_arrays(profile)
    return body + hashlib.sha256(body).digest()


def decode_profile(data: bytes) -> Profile:
    """Raises ValueError, whatever the bytes."""
    body, digest = data[:-_DIGEST], data[-_DIGEST:]
    if hashlib.sha256(body).digest() != digest:
        raise ValueError("a profile ends with its SHA-256; this one is damaged or too old: build it again")
    schema = decode_arrays(body, _Head).schema
    if schema != PROFILE_SCHEMA:
        raise ValueError(f"a profile of schema {PROFILE_SCHEMA} is needed; this one has {schema}: build it again")
    return decode_arrays(body, Profile)


def profile_sha(data: bytes) -> str:
    """Address of a profile: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


def encode_arrays(value: object) -> bytes:
    """Bytes of a value that holds arrays."""
    return msgspec.msgpack.encode(value, enc_hook=_encode_array)


def decode_arrays(data: bytes, kind: type[T]) -> T:
    """The value of that kind whose bytes these are."""
    return msgspec.msgpack.decode(data, type=kind, ext_hook=_decode_array, dec_hook=_as_array)


def _encode_array(value: object) -> msgspec.msgpack.Ext:
    assert isinstance(value, np.ndarray)
    head = msgspec.msgpack.encode((value.dtype.str, value.shape))
    return msgspec.msgpack.Ext(_ARRAY, len(head).to_bytes(2, "little") + head + value.tobytes())


def _decode_array(code: int, data: memoryview) -> NDArray[Any]:
    if code != _ARRAY:
        raise ValueError(f"arrays are extension {_ARRAY}; got {code}: build the profile again")
    size = int.from_bytes(data[:2], "little")
    dtype, shape = msgspec.msgpack.decode(data[2 : 2 + size], type=tuple[str, tuple[int, ...]])
    try:
        return np.frombuffer(data[2 + size :], dtype).reshape(shape)
    except TypeError as error:  # numpy's word for a type that there is not
        raise ValueError(f"an array has a type of numpy; got {dtype[:20]!r}: build the profile again") from error


def _as_array(kind: type, value: object) -> object:  # noqa: ARG001 - msgspec's signature
    return value
