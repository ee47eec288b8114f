"""Real clients of ClickHouse against `sincewhen store`: clickhouse-connect, clickhouse-go, Grafana's data source."""

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import clickhouse_connect
import numpy as np
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

from sincewhen.store.connect import Connection
from sincewhen.store.connect import Server as Place
from sincewhen.store.write import write_outputs
from sincewhen_testing.needs import go_client
from sincewhen_testing.server import StoreServer, kept_for_ever
from sincewhen_testing.station import Run, batch, stream

FRAMES = 300
GoClient = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    """With some frames in it, which came over HTTP as well."""
    folder = tmp_path_factory.mktemp("store")
    with StoreServer(folder / "data", "--plant", str(kept_for_ever(folder))) as running:
        data, run = stream(41), Run({})
        for start in range(0, FRAMES, 50):
            run.feed(batch(data, start, start + 50))
        connection = Connection(Place(running.url, token=running.token))
        write_outputs(connection, run.outputs)
        connection.close()
        yield running


@pytest.fixture(scope="module")
def reader(server: StoreServer) -> str:
    return server.reader()


@pytest.fixture(scope="module")
def go(server: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> GoClient:
    """Runs the Go client as a user: what it found, or code and message of the exception."""
    program = go_client(tmp_path_factory.mktemp("go"))

    def run(user: str, token: str, *what: str) -> dict[str, Any]:
        line = [str(program), f"127.0.0.1:{server.port}", user, token, *what]
        done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=120)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run


def python(server: StoreServer, user: str, token: str) -> Any:  # noqa: ANN401 - the client ships no types
    return clickhouse_connect.get_client(host="127.0.0.1", port=server.port, username=user, password=token)


def test_clickhouse_connect_writes_and_reads_every_type_of_our_tables(server: StoreServer) -> None:
    client = python(server, "default", server.token)
    client.command(
        """CREATE TABLE py_rows (number UInt64, name LowCardinality(String), at DateTime64(9, 'UTC'),
        of Map(LowCardinality(String), Float32), maybe Nullable(String), list Array(String))
        ENGINE = MergeTree ORDER BY number"""
    )
    at = datetime(2026, 1, 2, 3, 4, 5, 678901)  # noqa: DTZ001 - the client reads UTC as a time without a zone
    rows = [[number, f"n{number % 3}", at, {"x": 0.5}, None if number else "ü", ["a", "b"]] for number in range(5000)]
    client.insert("py_rows", rows, column_names=["number", "name", "at", "of", "maybe", "list"])
    assert [list(row) for row in client.query("SELECT * FROM py_rows ORDER BY number").result_rows] == rows
    table = pa.table({"number": np.arange(5000, 10_000, dtype=np.uint64), "name": ["arrow"] * 5000})
    client.insert_arrow("py_rows", table)
    found = client.query_arrow("SELECT number FROM py_rows WHERE name = 'arrow' ORDER BY number")
    assert found["number"].to_pylist() == list(range(5000, 10_000))
    counted = "SELECT count() FROM py_rows WHERE number >= {low:UInt64} AND name = {name:String}"
    assert client.query(counted, parameters={"low": 0, "name": "n1"}).result_rows == [(1667,)]
    client.command(
        "INSERT INTO py_rows (number, name) VALUES ({n:UInt64}, {name:String})", {"n": 99_999, "name": "it's\t"}
    )
    assert client.command("SELECT name FROM py_rows WHERE number = 99999") == r"it\'s\t"
    empty = client.query("SELECT number, name, at FROM py_rows WHERE number = 123456")
    assert (empty.column_names, empty.result_rows) == (("number", "name", "at"), [])
    assert client.query("SELECT * FROM py_rows LIMIT 0").column_names[-1] == "list"
    client.command("DROP TABLE py_rows")
    client.close()


def test_clickhouse_connect_streams_and_meets_errors_early_and_late(server: StoreServer) -> None:
    client = python(server, "default", server.token)
    with client.query_row_block_stream("SELECT number FROM numbers(1000000)") as blocks:
        assert sum(row[0] for block in blocks for row in block) == 499_999_500_000
    with (
        pytest.raises(StreamFailureError, match="throwIf"),
        client.query_rows_stream("SELECT throwIf(number = 2900000) FROM numbers(3000000)") as rows,
    ):
        list(rows)
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE") as error:
        client.query("SELECT * FROM nothing")
    assert error.value.code == 60
    client.close()


def test_clickhouse_connect_has_its_session(server: StoreServer) -> None:
    client = python(server, "default", server.token)
    client.command("CREATE TEMPORARY TABLE mine (n UInt8)")
    client.insert("mine", [[7]], column_names=["n"])
    client.command("SET max_threads = 2")
    asked = "SELECT n, getSetting('max_threads') FROM mine"
    assert client.query(asked).result_rows == [(7, 2)]
    assert client.query(asked, settings={"max_threads": 3}).result_rows == [(7, 3)]
    assert client.query(asked).result_rows == [(7, 2)]
    client.close()


def test_clickhouse_connect_reads_as_a_reader(server: StoreServer, reader: str) -> None:
    client = python(server, "grafana", reader)
    assert client.query("SELECT count(), uniqExact(seq) FROM frames").result_rows == [(FRAMES, FRAMES)]
    for sql in ("DROP TABLE frames", "INSERT INTO frames (seq) VALUES (1)"):
        with pytest.raises(DatabaseError, match="READONLY"):
            client.command(sql)
    with pytest.raises(DatabaseError, match="READONLY"):
        client.insert("frames", [[1]], column_names=["seq"])
    client.close()


def test_clickhouse_go_reads_every_type_of_our_tables(server: StoreServer, reader: str, go: GoClient) -> None:
    for user, token in (("default", server.token), ("grafana", reader)):
        assert go(user, token, "types") == {
            "number": "18446744073709551615",
            "text": "ü\n",
            "low": "low",
            "null": True,
            "at_ns": "1767323045123456789",
            "floats": {"a": 1.5},
            "texts": {"k": "v"},
            "list": ["x", "y"],
            "nan": True,
            "yes": True,
        }
        assert go(user, token, "version")["version"].count(".") == 2


def test_clickhouse_go_writes_in_batches(server: StoreServer, reader: str, go: GoClient) -> None:
    found = go("default", server.token, "write")
    numbers = [number for number in range(5000) if number % 3 == 1]
    assert found == {
        "count": len(numbers),
        "sum": sum(numbers),
        "last_ns": str(1_760_000_000_000_000_000 + numbers[-1]),
    }
    assert go("grafana", reader, "write")["code"] == 164


def test_clickhouse_go_streams_and_meets_errors_early_and_late(server: StoreServer, go: GoClient) -> None:
    token = server.token
    assert go("default", token, "stream") == {"count": 10**6, "sum": 499_999_500_000}
    assert go("default", token, "table", "SELECT * FROM nothing")["code"] == 60
    late = "SELECT number, throwIf(number = 500000) FROM numbers(1000000)"
    assert go("default", token, "table", late)["code"] == 395
    assert go("default", "wrong", "version")["code"] == 516
    own = go("default", token, "lz4", "SELECT 1")
    assert own["code"] == 48
    assert "gzip" in own["message"]


def test_clickhouse_go_knows_the_columns_of_an_empty_result_and_of_what_is_no_select(
    server: StoreServer, reader: str, go: GoClient
) -> None:
    sql = "SELECT station_id, captured_at, factors, confidence FROM frames WHERE station_id = 'nowhere'"
    assert go("grafana", reader, "table", sql) == {
        "columns": ["station_id", "captured_at", "factors", "confidence"],
        "types": ["LowCardinality(String)", "DateTime64(9, 'UTC')", "Map(LowCardinality(String), Float32)", "Float32"],
        "rows": 0,
    }
    assert go("grafana", reader, "table", "SHOW TABLES LIKE 'frames'") == {
        "columns": ["name"],
        "types": ["String"],
        "rows": 1,
    }
    assert go("grafana", reader, "table", "EXPLAIN SELECT 1")["columns"] == ["explain"]


def test_grafanas_data_source_finds_its_way_as_a_reader(server: StoreServer, reader: str, go: GoClient) -> None:
    """Health check, lists of its editor, a time series by its macros, logs with maps and nulls."""
    found = go("grafana", reader, "grafana")
    assert found["version"] == 1
    assert found["databases"] >= 2
    assert found["tables"] > 10
    assert found["columns"] == found["unit"] > 20
    assert found["fields"] == 1
    assert found["macros"] == 11  # minutes that ten minutes of frames lie in
    assert found["logs"] == 5


def test_rows_written_over_http_are_the_rows_that_were_sent(server: StoreServer, tmp_path: Path) -> None:
    data = stream(41)
    connection = Connection(Place(server.url, token=server.token))
    (found,) = connection.arrow(
        "SELECT groupArray(values) AS v FROM (SELECT values FROM embeddings FINAL ORDER BY seq)"
    )["v"]
    vectors = np.stack([np.frombuffer(value, "<f2") for value in found.as_py()])
    np.testing.assert_array_equal(vectors, data[0][:FRAMES])
    connection.close()
