"""A reference set is its bytes and back; whatever else the bytes are is refused, saying why."""

import contextlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sincewhen_schemas import limits
from sincewhen_schemas.reference import STRENGTHS, ReferenceSet, decode_reference, encode_reference, reference_sha

CAUSES, M = ("haze", "dirt", "noise"), 4
GRID = (len(CAUSES), len(STRENGTHS), M)


def reference(*, decides: bool = True) -> ReferenceSet:
    rng = np.random.default_rng(5)
    dims = {"early/x.2": 6, "head": 3}
    words = np.array(["", "good", "scratch"], object)
    return ReferenceSet(
        station_id="p/a/l/s",
        view="main",
        regime="sku7",
        model_name="net",
        model_version="1",
        built_at_ns=1_790_000_000_000_000_000,
        seed=3,
        causes=CAUSES,
        images=tuple(f"{number:016x}" for number in range(M)),
        clean={name: rng.normal(size=(M, d)).astype(np.float16) for name, d in dims.items()},
        faults={name: rng.normal(size=(*GRID, d)).astype(np.float16) for name, d in dims.items()},
        decision_clean=words[rng.integers(0, 3, M)] if decides else None,
        decision_faults=words[rng.integers(0, 3, GRID)] if decides else None,
    )


GOOD = encode_reference(reference())
PACKED = GOOD.find(b"faults_0") + 100  # a byte of what is packed


def altered(change: Callable[[dict[str, bytes]], object], encoded: bytes = GOOD) -> bytes:
    """The same archive with other entries."""
    with zipfile.ZipFile(io.BytesIO(encoded)) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    change(entries)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return made.getvalue()


def headed(**fields: object) -> bytes:
    """The same set with other values in its header."""

    def change(entries: dict[str, bytes]) -> None:
        array = np.load(io.BytesIO(entries["header.npy"]))
        header = msgspec.json.decode(array.tobytes()) | fields
        entries["header.npy"] = npy(np.frombuffer(msgspec.json.encode(header), np.uint8))

    return altered(change)


def npy(array: np.ndarray) -> bytes:
    made = io.BytesIO()
    np.save(made, array)
    return made.getvalue()


def put(name: str, content: bytes) -> bytes:
    return altered(lambda entries: entries.update({name: content}))


def understated() -> bytes:
    """An entry of 100 MB that says it is small in the directory and its own head."""
    packed = bytearray(put("clean_0.npy", bytes(100_000_000)))
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = -1
        while (at := packed.find(mark, at + 1)) >= 0:
            if int.from_bytes(packed[at + place : at + place + 4], "little") == 100_000_000:
                packed[at + place : at + place + 4] = (100).to_bytes(4, "little")
    return bytes(packed)


@pytest.mark.parametrize("decides", [True, False])
def test_a_set_comes_back_as_it_was(decides: bool) -> None:  # noqa: FBT001 - pytest passes it
    given_set = reference(decides=decides)
    found = decode_reference(encode_reference(given_set))
    arrays = ("clean", "faults")
    for name in arrays:
        for layer, values in getattr(given_set, name).items():
            assert getattr(found, name)[layer].dtype == np.float16
            np.testing.assert_array_equal(getattr(found, name)[layer], values)
    np.testing.assert_array_equal(found.decision_clean, given_set.decision_clean)
    np.testing.assert_array_equal(found.decision_faults, given_set.decision_faults)
    plain = [name for name in ReferenceSet.__slots__ if name not in {*arrays, "decision_clean", "decision_faults"}]
    assert all(getattr(found, name) == getattr(given_set, name) for name in plain)


def test_the_same_set_gives_the_same_bytes_and_name() -> None:
    assert encode_reference(reference()) == GOOD
    assert len(reference_sha(GOOD)) == 16
    assert reference_sha(encode_reference(replace(reference(), seed=4))) != reference_sha(GOOD)
    again = encode_reference(replace(reference(), built_at_ns=1_800_000_000_000_000_000))
    assert again != GOOD
    assert reference_sha(again) == reference_sha(altered(lambda _: None)) == reference_sha(GOOD)
    other = reference()
    other.faults["head"][0, 0, 0, 0] += 1
    assert reference_sha(encode_reference(other)) != reference_sha(GOOD)


def test_a_field_of_a_later_release_is_ignored() -> None:
    assert decode_reference(headed(lens="f/8")).station_id == "p/a/l/s"


WRONG: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "whole .npz file"),
    "no archive": (lambda: b"PK" * 100, "whole .npz file"),
    "cut": (lambda: GOOD[:-40], "whole .npz file"),
    "a changed byte": (lambda: GOOD[:PACKED] + bytes([GOOD[PACKED] ^ 1]) + GOOD[PACKED + 1 :], "whole .npz file"),
    "too large": (lambda: bytes(limits.REFERENCE_BYTES_MAX + 1), "at most 67108864 bytes; got 67108865 packed"),
    "a bomb": (lambda: put("more.npy", bytes(limits.REFERENCE_BYTES_MAX)), "at most 67108864 bytes; got 6"),
    "an understated bomb": (understated, "whole .npz file"),
    "many entries": (lambda: altered(lambda e: e.update({f"{n}": b"" for n in range(70)})), "at most 64 files"),
    "no header": (lambda: altered(lambda e: e.pop("header.npy")), "header of a reference set has 1..1048576 bytes"),
    "a huge header": (lambda: put("header.npy", bytes(2**21)), "bytes; got 2097152"),
    "a header that is no JSON": (lambda: put("header.npy", npy(np.zeros(9, np.uint8))), "says what it is of"),
    "a station of two parts": (lambda: headed(station_id="p/a"), "station_id"),
    "a view without a name": (lambda: headed(view=""), "`$.view`"),
    "a time before 2000": (lambda: headed(built_at_ns=5), "`$.built_at_ns`"),
    "a negative seed": (lambda: headed(seed=-1), "`$.seed`"),
    "no cause": (lambda: headed(causes=[]), "`$.causes`"),
    "a cause twice": (lambda: headed(causes=["haze", "haze", "dirt"]), "different names; got haze, haze, dirt"),
    "an image that is no sha": (lambda: headed(images=["photo.png"] * M), "`$.images[0]`"),
    "too many images": (lambda: headed(images=["0" * 16] * 65), "length <= 64"),
    "a layer too wide": (lambda: headed(layers=[["head", 5000]]), "<= 4096"),
    "too many layers": (lambda: headed(layers=[[f"l{n}", 1] for n in range(9)]), "length <= 8"),
    "a layer that is missing": (lambda: headed(layers=[["head", 3]]), "1 layers holds clean_0, faults_0"),
    "an array more": (lambda: put("more.npy", b""), "got clean_0, clean_1"),
    "decisions that the header denies": (lambda: headed(decisions=None), "got clean_0, clean_1, decision_clean"),
    "more images than rows": (
        lambda: headed(images=["0" * 16] * (M + 1)),
        "clean_0 is <f2 (5, 6) by the header; got <f2 (4, 6)",
    ),
    "float32": (lambda: put("clean_0.npy", npy(np.zeros((M, 6), np.float32))), "clean_0 is an .npy array"),
    "integers": (lambda: put("clean_0.npy", npy(np.zeros((M, 6), np.uint16))), "got <u2 (4, 6)"),
    "Fortran order": (lambda: put("clean_0.npy", npy(np.zeros((M, 6), np.float16, order="F"))), "in C order"),
    "a pickle": (lambda: put("clean_0.npy", npy(np.array([{}], object))), "is an .npy array"),
    "fewer bytes than the shape": (
        lambda: put("clean_0.npy", npy(np.zeros((M, 6), np.float16))[:-2]),
        "clean_0 has 48 bytes by its shape; got 46",
    ),
    "an embedding without a value": (
        lambda: put("clean_0.npy", npy(np.full((M, 6), np.nan, np.float16))),
        "finite numbers; got 24 in clean_0",
    ),
    "a decision without a name": (
        lambda: put("decision_clean.npy", npy(np.full(M, 9, np.uint16))),
        "names one of 3 decisions; got number 9",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_bytes_are_refused_with_the_rule_the_value_and_the_way_out(mistake: str) -> None:
    make, message = WRONG[mistake]
    with pytest.raises(ValueError, match=r"reference build|pin fewer images") as refused:
        decode_reference(make())
    assert message in str(refused.value)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255), st.integers(0, len(GOOD)))
def test_no_bytes_raise_anything_else(place: int, byte: int, length: int) -> None:
    for encoded in (GOOD[:place] + bytes([byte]) + GOOD[place + 1 :], GOOD[:length]):
        with contextlib.suppress(ValueError):
            decode_reference(encoded)


def test_what_decoding_refuses_is_not_encoded() -> None:
    good = reference()
    for wrong, message in (
        (replace(good, causes=("haze",)), "faults_0 is <f2"),
        (replace(good, faults={"head": good.faults["head"]}), "the same layers"),
        (replace(good, decision_faults=None), "holds"),
        (replace(good, clean={name: np.full_like(values, np.inf) for name, values in good.clean.items()}), "finite"),
    ):
        with pytest.raises(ValueError, match=message):
            encode_reference(wrong)
