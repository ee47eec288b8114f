"""The store's server in its pure parts: where a statement ends, Native anew, codings, users, addresses."""

import gzip
import os
import struct
import time
import zlib
from pathlib import Path

import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sincewhen.access.listening import AddressError
from sincewhen.access.tokens import TokensError
from sincewhen.cli.up import up
from sincewhen.store.serve.app import STATEMENT_BYTES_MAX
from sincewhen.store.serve.coding import PIECE_BYTES, Decoder, Encoder, chosen
from sincewhen.store.serve.native import empty_native, to_native
from sincewhen.store.serve.refusal import Refused
from sincewhen.store.serve.server import Address, make_server
from sincewhen.store.serve.statement import names, parse
from sincewhen.store.serve.users import Users, add_reader


@pytest.mark.parametrize(
    ("text", "kind", "sql", "written_as"),
    [
        (b"SELECT 1 FORMAT JSON", "SELECT", b"SELECT 1", "JSON"),
        (b"select 1 format JSON ; ", "SELECT", b"select 1", "JSON"),
        (b"SELECT 1 FORMAT JSON SETTINGS max_threads = 1", "SELECT", b"SELECT 1  SETTINGS max_threads = 1", "JSON"),
        (b"SELECT 1\n FORMAT Native -- as asked", "SELECT", b"SELECT 1", "Native"),
        (b"SELECT 'FORMAT CSV'", "SELECT", b"SELECT 'FORMAT CSV'", None),
        (b"SELECT (1 FORMAT CSV)", "SELECT", b"SELECT (1 FORMAT CSV)", None),
        (b"SELECT format FROM t", "SELECT", b"SELECT format FROM t", None),
        (b"SELECT $a$ FORMAT CSV $a$", "SELECT", b"SELECT $a$ FORMAT CSV $a$", None),
        (b"/* INSERT */ -- INSERT\nSHOW TABLES", "SHOW", b"/* INSERT */ -- INSERT\nSHOW TABLES", None),
        (b"INSERT INTO t SELECT 1", "INSERT", b"INSERT INTO t SELECT 1", None),
        (b" -- nothing", "", b" -- nothing", None),
    ],
)
def test_a_statement_is_told_from_its_format(text: bytes, kind: str, sql: bytes, written_as: str | None) -> None:
    found = parse(text)
    assert (found.kind, found.sql, found.format, found.data_at) == (kind, sql, written_as, None)


@pytest.mark.parametrize(
    ("head", "written_as", "data"),
    [
        (b"INSERT INTO t (a, b) FORMAT CSV\n", "CSV", b"1,2\n"),
        (b"INSERT INTO t (a) FORMAT RowBinary\n", "RowBinary", b"\n\x00\xff \x0a"),
        (b"insert into t format JSONEachRow ", "JSONEachRow", b'{"a": 1}'),
        (b"INSERT INTO t FORMAT TSV\r\n", "TSV", b"\n"),
        (b'INSERT INTO "FORMAT x" (`VALUES`) /* FORMAT y */ FORMAT CSV\n', "CSV", b"FORMAT Z"),
        (b"INSERT INTO t SETTINGS async_insert = 0 VALUES", "Values", b" (1), ('; FORMAT CSV')"),
    ],
)
def test_data_of_an_insert_begin_where_the_engine_takes_them_to(head: bytes, written_as: str, data: bytes) -> None:
    found = parse(head + data)
    assert found.format == written_as
    assert found.data_at is not None
    assert (head + data)[found.data_at :] == data


@pytest.mark.parametrize(
    "text",
    [
        b"INSERT INTO t SELECT x FROM input('x UInt8') FORMAT CSV\n1\n",
        b"INSERT INTO t SELECT * FROM (SELECT x FROM input('x UInt8'))",
        b"INSERT INTO t FROM INFILE 'x' FORMAT CSV",
    ],
)
def test_inserts_that_the_engine_would_silently_leave_out_are_told(text: bytes) -> None:
    assert parse(text).refused


@given(st.binary(max_size=200))
def test_any_bytes_are_a_statement_of_some_kind(text: bytes) -> None:
    for found in (parse(text), parse(b"INSERT INTO t " + text)):
        assert found.data_at is None or found.data_at <= len(text) + 14


@pytest.mark.parametrize("part", [b"/*", b"'\\", b"'", b'"\\"', b"`\\`", b"$a$ ", b"$", b"{x:", b"-", b"# "])
def test_long_texts_of_any_kind_take_no_longer_than_others(part: bytes) -> None:
    text = b"SELECT " + part * (STATEMENT_BYTES_MAX // len(part))
    started = time.process_time()
    parse(text)
    list(names(text))
    assert time.process_time() - started < 5


def test_the_stores_port_need_not_be_named() -> None:
    for line, port in {("--clickhouse-http",): 8123, ("--clickhouse-http", "1"): 1, (): None}.items():
        assert up.make_context("up", list(line)).params["clickhouse_http"] == port


def test_native_has_block_info_and_serialisation_by_the_clients_version() -> None:
    columns = [("a", "UInt8"), ("b", "String")]
    block = struct.pack("<QQQBQ", 2, 1, 1, 7, 2) + b"\x01x"
    plain = b"\x02\x01\x01a\x05UInt8\x07\x01b\x06String\x01x"
    assert to_native(block, columns, 0) == plain
    assert to_native(block * 2, columns, 0) == plain * 2
    info = bytes([1, 0, 2, 255, 255, 255, 255, 0])
    assert to_native(block, columns, 54405) == info + plain
    assert to_native(block, columns, 54460) == info + b"\x02\x01\x01a\x05UInt8\x00\x07\x01b\x06String\x00\x01x"
    assert empty_native(columns, 0) == b"\x02\x00\x01a\x05UInt8\x01b\x06String"
    wide = [("c" * 300, "UInt8")]
    assert empty_native(wide, 0).startswith(b"\x01\x00\xac\x02" + b"c" * 300)


@pytest.mark.parametrize("coding", ["", "gzip", "deflate", "lz4"])
def test_what_was_packed_in_pieces_is_unpacked_in_pieces(coding: str) -> None:
    data = os.urandom(PIECE_BYTES) + bytes(5 * PIECE_BYTES)
    encoder = Encoder(coding)
    packed = encoder.pack(data[:1000]) + encoder.pack(memoryview(data)[1000:]) + encoder.end()
    decoder = Decoder(coding)
    pieces = [
        piece for start in range(0, len(packed), 70_000) for piece in decoder.pieces(packed[start : start + 70_000])
    ]
    decoder.end()
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= PIECE_BYTES


def test_several_members_of_a_packed_body_are_one_body() -> None:
    for coding, pack in {"gzip": gzip.compress, "lz4": lz4.frame.compress}.items():
        decoder = Decoder(coding)
        assert b"".join(decoder.pieces(pack(b"one") + pack(b"two"))) == b"onetwo"
        decoder.end()


def test_a_body_that_unpacks_to_more_than_is_allowed_is_refused_before_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sincewhen.store.serve.coding.BODY_BYTES_MAX", 10 * PIECE_BYTES)
    for coding, pack in {"gzip": gzip.compress, "deflate": zlib.compress, "lz4": lz4.frame.compress}.items():
        pieces = Decoder(coding).pieces(pack(bytes(100 * PIECE_BYTES)))
        assert sum(len(next(pieces)) for _ in range(10)) == 10 * PIECE_BYTES
        with pytest.raises(Refused, match="several inserts") as refusal:
            next(pieces)
        assert refusal.value.status == 413, coding


def test_a_body_that_is_cut_or_no_such_body_is_refused() -> None:
    for coding, pack in {"gzip": gzip.compress, "deflate": zlib.compress, "lz4": lz4.frame.compress}.items():
        decoder = Decoder(coding)
        list(decoder.pieces(pack(os.urandom(1000))[:-20]))
        with pytest.raises(Refused, match="in the middle"):
            decoder.end()
        with pytest.raises(Refused, match=f"is not {coding}"):
            list(Decoder(coding).pieces(b"plain text, as it is"))
    with pytest.raises(Refused, match="gzip, deflate, lz4"):
        Decoder("zstd")


def test_the_response_is_packed_as_the_client_likes_best() -> None:
    assert chosen("zstd, gzip;q=0.5, lz4") == "gzip"
    assert chosen("lz4,zstd,gzip,deflate") == "lz4"
    assert chosen("gzip;q=0, br") == ""


def test_a_file_of_users_that_is_wrong_says_what_is_right(tmp_path: Path) -> None:
    token = add_reader(tmp_path, "grafana")
    users = Users(tmp_path, "admin's")
    assert users.admit({"authorization": f"Bearer {token}"}, {}).reads_only
    assert not users.admit({"authorization": "Bearer admin's"}, {}).reads_only
    for text in (
        "[grafana",
        '[grafana]\ntoken = "x"\n',
        '[default]\ntoken_sha256 = "x"\n',
        '["a b"]\ntoken_sha256 = "x"\n',
    ):
        (tmp_path / "users.toml").write_text(text)
        with pytest.raises(TokensError, match=r"users\.toml"):
            Users(tmp_path, "admin's")
    for name in ("default", "", "A", "x" * 65, "../x"):
        with pytest.raises(TokensError, match="small letters"):
            add_reader(tmp_path, name)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (Address(host="10.0.0.7"), "with TLS only"),
        (Address(host="0.0.0.0"), "with TLS only"),  # noqa: S104 - it is refused
        (Address(tls_cert=Path("cert")), "--tls-key"),
        (Address(host="::", tls_cert=Path("cert"), tls_key=Path("key")), "--name"),
    ],
)
def test_a_store_beyond_this_machine_has_tls_and_a_name(address: Address, said: str) -> None:
    with pytest.raises(AddressError, match=said):
        make_server(None, None, address)  # type: ignore[arg-type]  # it does not come to that
