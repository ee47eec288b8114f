"""Reference set: what a model gave for the pinned images of one station, view and regime, clean and corrupted.

Format: a compressed .npz. `header`: JSON as uint8; of layer number i, in the header's order: `clean_i` and `faults_i`,
float16; where the model decides: `decision_clean` and `decision_faults`, uint16 places in the header's `decisions`.
Nothing else, and no pickles. The same set gives the same bytes. Every declared size is checked before it is read.
"""

import hashlib
import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from sincewhen_schemas import limits
from sincewhen_schemas.frames import Strings

STRENGTHS = (1, 2, 3, 4, 5)
_HEADER_BYTES_MAX = 1024**2
_ENTRIES_MAX = 64
_CENTRAL = b"PK\x01\x02"  # starts each entry of a zip file's directory
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<|][fu][12])', 'fortran_order': False, 'shape': \(([0-9, ]{1,80})\), \} *\n",
    re.DOTALL,
)
_UNREADABLE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError)
_AGAIN = "build it again with `sincewhen-edge reference build`"

Id: TypeAlias = Annotated[str, Meta(max_length=limits.ID_CHARS_MAX)]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=limits.NAME_CHARS_MAX)]
Text: TypeAlias = Annotated[str, Meta(max_length=limits.TEXT_CHARS_MAX)]
Layer: TypeAlias = tuple[Name, Annotated[int, Meta(ge=1, le=limits.LAYER_DIMS_MAX)]]


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    station_id: Annotated[
        str, Meta(pattern=rf"^(?:{limits.STATION_ID.pattern})\Z", max_length=limits.STATION_CHARS_MAX)
    ]
    view: Annotated[Id, Meta(min_length=1)]
    regime: Text
    model_name: Id
    model_version: Id
    built_at_ns: Annotated[int, Meta(ge=limits.CAPTURED_AT_MIN_NS, le=2**63 - 1)]
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    causes: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=limits.REFERENCE_CAUSES_MAX)]
    images: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")], ...],
        Meta(min_length=1, max_length=limits.REFERENCE_IMAGES_MAX),
    ]
    layers: Annotated[tuple[Layer, ...], Meta(min_length=1, max_length=limits.LAYERS_MAX)]
    decisions: tuple[Text, ...] | None = None


@dataclass(frozen=True, slots=True)
class ReferenceSet:
    """m pinned images through one model; image i of `faults` is image i of `clean`, corrupted."""

    station_id: str
    view: str
    regime: str  # "" = the only one
    model_name: str
    model_version: str
    built_at_ns: int
    seed: int
    causes: tuple[str, ...]
    images: tuple[str, ...]  # (m,) first 16 hex digits of each file's SHA-256
    clean: dict[str, NDArray[np.float16]]  # (m, d) by layer
    faults: dict[str, NDArray[np.float16]]  # (causes, strengths, m, d) by layer
    decision_clean: Strings | None = None  # (m,); None where the model decides nothing
    decision_faults: Strings | None = None  # (causes, strengths, m)


_SAME = [name for name in _Header.__struct_fields__ if name not in {"layers", "decisions"}]


def reference_sha(encoded: bytes) -> str:
    """The name of an encoded set: what it holds, whenever it was built and however packed. Raises ValueError."""
    entries = _entries(encoded)
    header = msgspec.structs.replace(_header(entries.pop("header", b"")), built_at_ns=limits.CAPTURED_AT_MIN_NS)
    digest = hashlib.sha256(msgspec.json.encode(header))
    for name in sorted(entries):
        digest.update(name.encode() + entries[name])
    return digest.hexdigest()[:16]


def pooled(sets: Sequence[ReferenceSet]) -> ReferenceSet:
    """The images of sets of one view and model, which have the same causes and layers, as one set of no regime."""
    first = sets[0]
    assert all((one.causes, one.clean.keys()) == (first.causes, first.clean.keys()) for one in sets)
    clean = [one.decision_clean for one in sets if one.decision_clean is not None]
    faults = [one.decision_faults for one in sets if one.decision_faults is not None]
    decided = len(faults) == len(sets)
    return replace(
        first,
        regime="",
        images=tuple(image for one in sets for image in one.images),
        clean={name: np.concatenate([one.clean[name] for one in sets]) for name in first.clean},
        faults={name: np.concatenate([one.faults[name] for one in sets], axis=2) for name in first.faults},
        decision_clean=np.concatenate(clean) if decided else None,
        decision_faults=np.concatenate(faults, axis=2) if decided else None,
    )


def encode_reference(reference: ReferenceSet) -> bytes:
    """Raises ValueError where decode_reference would."""
    if reference.clean.keys() != reference.faults.keys():
        got = f"{', '.join(reference.clean)} and {', '.join(reference.faults)}"
        raise ValueError(f"clean and corrupted images have the same layers; got {got}: give both of each")
    arrays: dict[str, NDArray[np.generic]] = {}
    for number, (name, clean) in enumerate(reference.clean.items()):
        arrays |= {f"clean_{number}": clean, f"faults_{number}": reference.faults[name]}
    columns = {"decision_clean": reference.decision_clean, "decision_faults": reference.decision_faults}
    given = {name: column for name, column in columns.items() if column is not None}
    words = sorted({str(word) for column in given.values() for word in column.flat})
    places = {word: place for place, word in enumerate(words)}
    for name, column in given.items():
        arrays[name] = np.array([places[str(word)] for word in column.flat], np.uint16).reshape(column.shape)
    header = _Header(
        **{name: getattr(reference, name) for name in _SAME},
        layers=tuple((name, int(clean.shape[-1])) for name, clean in reference.clean.items()),
        decisions=tuple(words) if given else None,
    )
    packed = io.BytesIO()
    np.savez_compressed(
        packed, allow_pickle=False, header=np.frombuffer(msgspec.json.encode(header), np.uint8), **arrays
    )
    decode_reference(packed.getvalue())
    return packed.getvalue()


def decode_reference(encoded: bytes) -> ReferenceSet:
    """Raises ValueError that says the rule, the value and the way out, whatever the bytes."""
    entries = _entries(encoded)
    header = _header(entries.pop("header", b""))
    forms = _forms(header)
    if forms.keys() != entries.keys():
        raise ValueError(
            f"a reference set of {len(header.layers)} layers holds {', '.join(forms)}; got "
            f"{', '.join(sorted(entries))[:200] or 'nothing'}: {_AGAIN}"
        )
    arrays = {name: _array(name, entries[name], *form) for name, form in forms.items()}
    words = None if header.decisions is None else np.array([*header.decisions], object)
    return ReferenceSet(
        **{name: getattr(header, name) for name in _SAME},
        clean={
            name: arrays[f"clean_{number}"].astype(np.float16, copy=False)
            for number, (name, _) in enumerate(header.layers)
        },
        faults={
            name: arrays[f"faults_{number}"].astype(np.float16, copy=False)
            for number, (name, _) in enumerate(header.layers)
        },
        decision_clean=_worded("decision_clean", arrays, words),
        decision_faults=_worded("decision_faults", arrays, words),
    )


def _entries(encoded: bytes) -> dict[str, bytes]:
    """The files of the archive. `read(n)` takes no more than the declared n, whatever was packed."""
    if len(encoded) > limits.REFERENCE_BYTES_MAX:
        raise ValueError(_too_large(len(encoded), "packed"))
    if encoded.count(_CENTRAL) > _ENTRIES_MAX:
        raise ValueError(f"a reference set has at most {_ENTRIES_MAX} files in it; got more: {_AGAIN}")
    try:
        file = zipfile.ZipFile(io.BytesIO(encoded))
    except _UNREADABLE as error:
        raise ValueError(_unreadable(error)) from error
    unpacked_bytes = sum(info.file_size for info in file.infolist())
    if unpacked_bytes > limits.REFERENCE_BYTES_MAX:
        raise ValueError(_too_large(unpacked_bytes, "unpacked"))
    found = {}
    for info in file.infolist():
        try:
            with file.open(info) as stream:
                found[info.filename.removesuffix(".npy")] = stream.read(info.file_size)
        except _UNREADABLE as error:
            raise ValueError(_unreadable(error)) from error
    return found


def _header(entry: bytes) -> _Header:
    if not 0 < len(entry) <= _HEADER_BYTES_MAX:
        got = len(entry)
        raise ValueError(f"the header of a reference set has 1..{_HEADER_BYTES_MAX} bytes; got {got}: {_AGAIN}")
    try:
        header = msgspec.json.decode(_npy("header", entry)[2], type=_Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"the header of a reference set says what it is of; {error}: {_AGAIN}") from error
    for what, names in (("causes", header.causes), ("layers", [name for name, _ in header.layers])):
        if len(set(names)) < len(names):
            raise ValueError(f"{what} of a reference set have different names; got {', '.join(names)[:200]}: {_AGAIN}")
    return header


def _forms(header: _Header) -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
    """Dtype and shape of every array that belongs to a header."""
    m, pairs = len(header.images), (len(header.causes), len(STRENGTHS))
    found: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {}
    for number, (_, d) in enumerate(header.layers):
        found |= {f"clean_{number}": (np.float16, (m, d)), f"faults_{number}": (np.float16, (*pairs, m, d))}
    if header.decisions is not None:
        found |= {"decision_clean": (np.uint16, (m,)), "decision_faults": (np.uint16, (*pairs, m))}
    return found


def _array(name: str, entry: bytes, kind: type[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    dtype = np.dtype(kind).newbyteorder("<")
    got_dtype, got_shape, content = _npy(name, entry)
    if (got_dtype, got_shape) != (dtype.str, shape):
        raise ValueError(f"{name} is {dtype.str} {shape} by the header; got {got_dtype} {got_shape}: {_AGAIN}")
    if len(content) != (whole := math.prod(shape) * dtype.itemsize):
        raise ValueError(f"{name} has {whole} bytes by its shape; got {len(content)}: {_AGAIN}")
    values = np.frombuffer(content, dtype).reshape(shape)
    if kind is np.float16 and not bool(np.isfinite(values).all()):
        wrong = int(values.size - np.isfinite(values).sum())
        raise ValueError(f"embeddings are finite numbers; got {wrong} in {name} that are not: {_AGAIN}")
    return values


def _npy(name: str, entry: bytes) -> tuple[str, tuple[int, ...], bytes]:
    """Dtype, shape and content of an array in C order as numpy writes it."""
    found = _NPY.match(entry)
    if found is None:
        raise ValueError(f"{name} is an .npy array in C order; got {entry[:80]!r}: {_AGAIN}")
    shape = tuple(int(length) for length in found[2].split(b",") if length.strip())
    return found[1].decode(), shape, entry[found.end() :]


def _worded(name: str, arrays: dict[str, NDArray[np.generic]], words: Strings | None) -> Strings | None:
    if words is None:
        return None
    places = arrays[name].astype(np.int64)
    if places.max() >= len(words):
        raise ValueError(f"{name} names one of {len(words)} decisions; got number {places.max()}: {_AGAIN}")
    return words[places]


def _too_large(size: int, how: str) -> str:
    most = limits.REFERENCE_BYTES_MAX
    return f"a reference set has at most {most} bytes; got {size} {how}: pin fewer images, or name fewer layers"


def _unreadable(error: Exception) -> str:
    return f"a reference set is a whole .npz file of plain arrays; got {str(error)[:200] or repr(error)}: {_AGAIN}"
