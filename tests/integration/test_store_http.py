"""ClickHouse's HTTP interface, as `sincewhen store` and `sincewhen up --clickhouse-http` serve it."""

import contextlib
import gzip
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import lz4.frame
import pyarrow as pa
import pytest

from sincewhen.stack.ports import free_port
from sincewhen.store.connect import Connection, StoreUnavailable
from sincewhen.store.connect import Server as Place
from sincewhen_testing.server import Server, StoreServer, store_ask

LONG = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    with StoreServer(tmp_path_factory.mktemp("store") / "data") as running:
        made = running.ask("CREATE TABLE points (n UInt64, s String DEFAULT 'd') ENGINE = MergeTree ORDER BY n")
        assert made.status_code == 200, made.text
        yield running


@pytest.fixture
def points(server: StoreServer) -> StoreServer:
    server.ask("TRUNCATE TABLE points")
    return server


def test_ping_needs_nobody(server: StoreServer) -> None:
    for path in ("/ping", "/replicas_status", "/"):
        assert httpx.get(server.url + path).text == "Ok.\n"
    assert httpx.get(server.url + "/nothing").status_code == 404


def test_the_statement_is_query_and_body_one_after_the_other(server: StoreServer) -> None:
    assert server.ask("SELECT 1").text == "1\n"
    assert server.ask("", query="SELECT 2").text == "2\n"
    assert server.ask("+ 3", query="SELECT 2").text == "5\n"
    assert server.ask("SELECT 1 AS n, 'x' AS s", default_format="JSONEachRow").text == '{"n":1,"s":"x"}\n'
    assert server.ask("SELECT 1 AS n FORMAT TSVWithNames", default_format="JSON").text == "n\n1\n"
    assert server.ask("SELECT 1 AS n", default_format="JSON").json()["meta"] == [{"name": "n", "type": "UInt8"}]


def test_parameters_are_values_in_their_types(server: StoreServer) -> None:
    sql = "SELECT {n:UInt8} + 1, {s:String}, {list:Array(String)}, {none:Nullable(String)}, {at:DateTime64(3)}"
    given = {"n": "1", "s": "it's\\ta\\\\b", "list": "['x','y\\'z']", "none": "\\N", "at": "2026-01-02 03:04:05.678"}
    found = server.ask(sql, default_format="JSONCompactEachRow", **{f"param_{name}": x for name, x in given.items()})
    assert json.loads(found.text) == ["2" and 2, "it's\ta\\b", ["x", "y'z"], None, "2026-01-02 03:04:05.678"]
    missing = server.ask("SELECT {n:UInt8}")
    assert (missing.status_code, missing.headers["X-ClickHouse-Exception-Code"]) == (400, "456")


def test_settings_and_database_are_those_of_one_request(server: StoreServer) -> None:
    asked = "SELECT getSetting('max_threads'), currentDatabase()"
    assert server.ask(asked, max_threads="3", database="system").text == "3\tsystem\n"
    session = {"session_id": "settings"}
    server.ask("SET max_threads = 2", **session)
    assert server.ask(asked, max_threads="3", database="system", **session).text == "3\tsystem\n"
    assert server.ask(asked, **session).text == "2\tdefault\n"
    by_header = httpx.post(
        server.url,
        content=asked,
        headers={"X-ClickHouse-Database": "system", "X-ClickHouse-Format": "JSONCompactEachRow"},
        auth=("default", server.token),
    )
    assert json.loads(by_header.text)[1] == "system"


@pytest.mark.parametrize(
    ("sql", "query", "status", "code"),
    [
        ("SELEC 1", {}, 400, 62),
        ("SELECT 1 +", {}, 400, 62),
        ("SELECT * FROM nothing", {}, 404, 60),
        ("SELECT nothing", {}, 404, 47),
        ("SELECT no_such()", {}, 404, 46),
        ("SELECT 1", {"database": "nothing"}, 404, 81),
        ("SELECT 1", {"nothing": "1"}, 404, 115),
        ("SELECT 1", {"max_threads": "many"}, 400, 27),
        ("SELECT 1", {"default_format": "Nothing"}, 404, 73),
        ("SELECT 1", {"default_format": "DataFrame"}, 404, 73),
        ("SELECT throwIf(1)", {}, 500, 395),
        ("SELECT sleep(2)", {"max_execution_time": "1"}, 408, 159),
        ("INSERT INTO points (n) FORMAT CSV\nx\n", {}, 400, 117),
        ("INSERT INTO nothing FORMAT CSV\n1\n", {}, 404, 60),
        ("SELECT 1", {"compress": "1"}, 501, 48),
        ("INSERT INTO points SELECT x FROM input('x UInt64') FORMAT CSV\n1\n", {}, 501, 48),
        ("SELECT length(groupArray(number)) FROM numbers(1000000000)", {}, 500, 241),
        ("SELECT " + "1," * 200_000 + "1", {}, 413, 307),
        ("SELECT 1", {"session_timeout": "100000000"}, 400, 36),
        (b"SELECT '\xff'", {}, 400, 62),
    ],
)
def test_a_refusal_has_clickhouses_code_its_words_and_a_status(
    server: StoreServer, sql: str | bytes, query: dict[str, str], status: int, code: int
) -> None:
    found = server.ask(sql, **query)
    assert (found.status_code, found.headers["X-ClickHouse-Exception-Code"]) == (status, str(code)), found.text[:300]
    assert found.text.startswith(f"Code: {code}. DB::Exception: ")
    assert found.text.count("DB::Exception") == 1, found.text


@pytest.mark.parametrize("output", ["JSON", "TSV", "Native", "CSVWithNames", "JSONEachRow"])
def test_what_fails_late_leaves_nothing_for_the_next_answer_of_the_session(server: StoreServer, output: str) -> None:
    failing = "SELECT number, throwIf(number = 1400000) FROM numbers(1500000)"
    late = server.ask(failing, session_id="late", default_format=output)
    streamed = late.status_code == 200
    assert streamed == (output in {"TSV", "Native", "JSONEachRow"})
    tag = late.headers["X-ClickHouse-Exception-Tag"] if streamed else ""
    assert not streamed or late.content.endswith(f" {tag}\r\n__exception__\r\n".encode())
    assert b"Code: 395. DB::Exception" in late.content
    assert server.ask("SELECT 1 FORMAT TSV", session_id="late").text == "1\n"


def test_an_answer_is_waited_for_where_the_client_wants_its_status_right(server: StoreServer) -> None:
    sql = "SELECT throwIf(number = 250000) FROM numbers(300000) FORMAT TSV"
    assert server.ask(sql, wait_end_of_query="1").status_code == 500


@pytest.mark.parametrize(
    ("written_as", "data"),
    [
        ("CSV", b'10,a\n59,";"\n'),
        ("TSV", b"10\ta\n59\t;\n"),
        ("JSONEachRow", b'{"n":10,"s":"a"}\n{"n":59,"s":";"}'),
        ("Values", b"(10,'a'),\n\n(50+9,';');"),
        ("RowBinary", b"\x0a" + bytes(7) + b"\x01a" + b"\x3b" + bytes(7) + b"\x01;"),
        ("Native", b"\x02\x02\x01n\x06UInt64\x0a" + bytes(7) + b"\x3b" + bytes(7) + b"\x01s\x06String\x01a\x01;"),
    ],
)
def test_data_of_an_insert_come_in_any_format_in_the_body(points: StoreServer, written_as: str, data: bytes) -> None:
    statement = f"INSERT INTO points (n, s) -- a note\nFORMAT {written_as}"
    for found in (
        points.ask(data, query=statement),
        points.ask(f"{statement}\n".encode() + data),
        httpx.post(
            points.url,
            content=(data[start : start + 3] for start in range(0, len(data), 3)),
            params={"query": statement},
            auth=("default", points.token),
        ),
    ):
        assert found.status_code == 200, found.text
        assert json.loads(found.headers["X-ClickHouse-Summary"])["written_rows"] == "2"
    assert points.ask("SELECT n, s, count() FROM points GROUP BY n, s ORDER BY n").text == "10\ta\t3\n59\t;\t3\n"


def test_arrow_goes_in_and_comes_out(points: StoreServer) -> None:
    table = pa.table({"n": pa.array(range(1000), pa.uint64()), "s": [str(n) for n in range(1000)]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    points.ask(sink.getvalue().to_pybytes(), query="INSERT INTO points FORMAT Arrow")
    for output, read in {"Arrow": pa.ipc.open_file, "ArrowStream": pa.ipc.open_stream}.items():
        found = points.ask("SELECT n FROM points ORDER BY n", default_format=output)
        assert read(found.content).read_all()["n"].to_pylist() == list(range(1000))


def test_bodies_and_answers_are_packed_as_agreed(points: StoreServer) -> None:
    packed = {"gzip": gzip.compress(b"1\n2\n"), "lz4": lz4.frame.compress(b"1\n2\n")}
    for coding, body in packed.items():
        headers = {"Content-Encoding": coding, "Authorization": f"Bearer {points.token}"}
        params = {"query": "INSERT INTO points (n) FORMAT CSV"}
        assert httpx.post(points.url, content=body, headers=headers, params=params).status_code == 200
        cut = httpx.post(points.url, content=body[:-3], headers=headers, params=params)
        assert cut.status_code == 400, coding
    assert points.ask("SELECT sum(n), count() FROM points").text == "6\t4\n"
    sql = "SELECT number FROM numbers(300000)"
    plain = points.ask(sql)
    assert "Content-Encoding" not in plain.headers
    packed_answer = points.ask(sql, enable_http_compression="1")
    assert packed_answer.headers["Content-Encoding"] == "gzip"
    assert packed_answer.text == plain.text


def test_a_session_keeps_its_tables_and_settings_and_is_one_clients_at_a_time(server: StoreServer) -> None:
    own = {"session_id": "own", "session_timeout": "1"}
    assert server.ask("CREATE TEMPORARY TABLE mine (n UInt8)", **own).status_code == 200
    server.ask("SET max_threads = 2", **own)
    server.ask("INSERT INTO mine FORMAT CSV\n7\n", **own)
    assert server.ask("INSERT INTO mine FORMAT CSV\nseven\n", **own).status_code == 400
    assert server.ask("SELECT n, getSetting('max_threads') FROM mine", **own).text == "7\t2\n"
    assert server.ask("SELECT n FROM mine").status_code == 404
    slow = threading.Thread(target=server.ask, args=("SELECT sleep(1)",), kwargs=own)
    slow.start()
    time.sleep(0.4)
    locked = server.ask("SELECT 1", **own)
    assert locked.headers["X-ClickHouse-Exception-Code"] == "373"
    slow.join()
    assert server.ask("SELECT n FROM mine", **own, session_check="1").text == "7\n"
    time.sleep(1.2)
    gone = server.ask("SELECT n FROM mine", **own, session_check="1")
    assert (gone.status_code, gone.headers["X-ClickHouse-Exception-Code"]) == (400, "372")


def test_sessions_are_so_many_at_most(server: StoreServer) -> None:
    with httpx.Client(auth=("default", server.token)) as client:
        asked = [{"session_id": f"s{number}", "session_timeout": "5"} for number in range(70)]
        found = [client.post(server.url, content="SELECT 1", params=params).status_code for params in asked]
    assert set(found) == {200, 503}
    assert found.index(503) <= 64
    time.sleep(5.2)
    assert server.ask("SELECT 1", session_id="later").status_code == 200


def test_headers_say_what_clients_ask_for(server: StoreServer) -> None:
    found = server.ask("SELECT number FROM numbers(3)", query_id="mine", default_format="Native")
    assert found.headers["X-ClickHouse-Query-Id"] == "mine"
    assert found.headers["X-ClickHouse-Format"] == "Native"
    assert found.headers["X-ClickHouse-Timezone"]
    assert found.headers["X-ClickHouse-Server-Display-Name"]
    assert json.loads(found.headers["X-ClickHouse-Summary"])["read_rows"] == "3"
    assert "X-ClickHouse-Format" not in server.ask("SET max_threads = 1").headers


def test_totals_are_written_after_the_rows(server: StoreServer) -> None:
    sql = "SELECT number % 2 AS k, count() FROM numbers(4) GROUP BY k WITH TOTALS ORDER BY k"
    assert server.ask(sql).text == "0\t2\n1\t2\n\n0\t4\n"


def test_a_result_in_one_piece_has_a_limit_and_a_streamed_one_has_none(server: StoreServer) -> None:
    sql = "SELECT number FROM numbers(20000000)"
    found = server.ask(f"{sql} FORMAT JSON")
    assert (found.status_code, found.headers["X-ClickHouse-Exception-Code"]) == (500, "396"), found.text[:200]
    rows = 0
    headers = {"Authorization": f"Bearer {server.token}"}
    with httpx.stream("POST", server.url, content=f"{sql} FORMAT RowBinary", headers=headers) as answer:
        for piece in answer.iter_raw():
            rows += len(piece)
    assert rows == 20_000_000 * 8


def test_long_queries_keep_nobody_waiting_and_end_with_their_client(server: StoreServer) -> None:
    running = "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%' AND query NOT LIKE '%processes%'"
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(server.url, content=LONG, timeout=0.7, auth=("default", server.token))
    started = time.monotonic()
    assert httpx.get(f"{server.url}/ping").text == "Ok.\n"
    assert time.monotonic() - started < 2
    _until(lambda: server.ask(running).text == "0\n")


def test_a_stream_whose_reader_is_gone_ends(server: StoreServer) -> None:
    endless = "SELECT number FROM numbers(1000000000000) FORMAT RowBinary"
    headers = {"Authorization": f"Bearer {server.token}"}
    with httpx.stream("POST", server.url, content=endless, headers=headers) as answer:
        next(answer.iter_raw())
    running = (
        "SELECT count() FROM system.processes WHERE query LIKE '%numbers(1000000000000)%' AND query NOT LIKE '%proc%'"
    )
    _until(lambda: server.ask(running).text == "0\n")


def test_an_upload_that_breaks_off_leaves_nothing(points: StoreServer) -> None:
    head = "POST /?query=INSERT+INTO+points+(n)+FORMAT+CSV HTTP/1.1\r\nHost: localhost\r\n"
    head += f"Authorization: Bearer {points.token}"
    with socket.create_connection(("127.0.0.1", points.port)) as link:
        link.sendall(f"{head}\r\nContent-Length: 100\r\n\r\n1\n2\n".encode())
        time.sleep(0.3)
    time.sleep(0.3)
    assert points.ask("SELECT count() FROM points").text == "0\n"


def test_the_store_ends_in_order_while_a_query_runs_and_goes_on(tmp_path: Path) -> None:
    store = StoreServer(tmp_path / "data")
    store.start()
    store.ask("CREATE TABLE kept (n UInt8) ENGINE = MergeTree ORDER BY n")
    store.ask("INSERT INTO kept VALUES (1)")
    asking = threading.Thread(target=_quietly, args=(store,))
    asking.start()
    time.sleep(0.5)
    assert store.stop() == 0
    asking.join()
    with store:
        assert store.ask("SELECT n FROM kept").text == "1\n"


def test_the_embedded_server_serves_its_store_beside_the_console(tmp_path: Path) -> None:
    port = free_port()
    with Server(tmp_path / "data", "--clickhouse-http", str(port)) as up:
        url = f"http://127.0.0.1:{port}"
        assert store_ask(url, up.token, "SELECT count() FROM frames").text == "0\n"
        assert up.get("/api/v1/incidents").json() == []
        assert up.stop() in {0, -15}
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/ping")


def test_tls_is_what_a_store_is_reached_by_from_elsewhere(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    line = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    line += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(line, check=True, capture_output=True)
    options = ("--host", "0.0.0.0", "--name", "store.plant", "--tls-cert", str(cert), "--tls-key", str(key))  # noqa: S104 - with TLS
    store = StoreServer(tmp_path / "data", *options)
    store.trusted = str(cert)
    store.url = f"https://localhost:{store.port}"
    with store:
        place = Place(store.url, token=store.token, ca_file=cert)
        connection = Connection(place)
        assert connection.rows("SELECT 1 AS n") == [{"n": 1}]
        connection.close()
        with pytest.raises(StoreUnavailable, match="certificate"):
            Connection(Place(store.url, token=store.token))


def test_a_store_that_can_not_be_reached_says_what_to_look_at(server: StoreServer) -> None:
    for place in (Place(server.url, token="wrong"), Place(f"http://127.0.0.1:{free_port()}")):  # noqa: S106 - no token
        with pytest.raises(StoreUnavailable, match="address, token and certificate"):
            Connection(place)


def test_a_store_that_goes_away_is_unwell_and_not_broken(tmp_path: Path) -> None:
    store = StoreServer(tmp_path / "data")
    with store:
        connection = Connection(Place(store.url, token=store.token))
        assert connection.rows("SELECT 1 AS n") == [{"n": 1}]
        store.kill()
        with pytest.raises(StoreUnavailable):
            connection.rows("SELECT 1 AS n")
        store.start()
        assert connection.rows("SELECT 2 AS n") == [{"n": 2}]
        connection.close()


def test_a_port_that_is_taken_is_told(tmp_path: Path, server: StoreServer) -> None:
    line = [sys.executable, "-m", "sincewhen.cli", "up", "--data", str(tmp_path), "--port", str(free_port())]
    line += ["--clickhouse-http", str(server.port)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "name another --clickhouse-http" in done.stderr


def _quietly(store: StoreServer) -> None:
    with contextlib.suppress(httpx.TransportError):
        store.ask(LONG)


def _until(holds: object) -> None:
    assert callable(holds)
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
