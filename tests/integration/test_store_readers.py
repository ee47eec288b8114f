"""A reader of the store reads its tables and nothing else, whatever the text."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sincewhen_testing.server import StoreServer

HIDDEN = "what only the server's user may read"
REFUSED = 403


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    with StoreServer(tmp_path_factory.mktemp("store") / "data") as running:
        created = running.ask("CREATE TABLE marks (n UInt64) ENGINE = MergeTree ORDER BY n")
        assert created.status_code == 200, created.text
        running.ask("INSERT INTO marks VALUES (1), (2)")
        (running.data.parent / "secret.csv").write_text(HIDDEN)
        yield running


@pytest.fixture(scope="module")
def token(server: StoreServer) -> str:
    return server.reader()


def test_a_reader_reads_the_tables(server: StoreServer, token: str) -> None:
    for sql, answer in {
        "SELECT sum(n) FROM marks": "3\n",
        "WITH n + 1 AS m SELECT m FROM marks ORDER BY m": "2\n3\n",
        "SELECT * EXCEPT n, n AS file_of FROM marks WHERE n = 1": "1\n",
        "SELECT n FROM marks -- a comment\nLIMIT 1": "1\n",
        "/* file('/etc/passwd') */ SELECT 'file(1)' FROM numbers(1);": "file(1)\n",
        "EXISTS marks": "1\n",
        "SELECT readonly FROM system.settings WHERE name = 'max_threads'": "1\n",
        "SHOW TABLES LIKE 'marks'": "marks\n",
    }.items():
        found = server.ask(sql, token)
        assert (found.status_code, found.text) == (200, answer), sql
    assert server.ask("DESCRIBE marks", token).text.startswith("n\tUInt64")
    assert "CREATE TABLE" in server.ask("SHOW CREATE TABLE marks", token).text
    assert server.ask("SELECT {x:UInt8} + 1", token, param_x="1").text == "2\n"
    assert "ReadFromMergeTree" in server.ask("EXPLAIN SELECT n FROM marks", token).text


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO marks VALUES (3)",
        "INSERT INTO marks FORMAT CSV\n3\n",
        "INSERT INTO marks SELECT 3 SETTINGS readonly = 0",
        "/* a comment */ INSERT INTO marks SELECT 3",
        "CREATE TABLE other (n UInt64) ENGINE = Memory",
        "CREATE TEMPORARY TABLE other (n UInt64)",
        "CREATE FUNCTION f AS x -> file(x)",
        "DROP TABLE marks",
        "TRUNCATE TABLE marks",
        "RENAME TABLE marks TO other",
        "ALTER TABLE marks DELETE WHERE 1",
        "DELETE FROM marks WHERE 1",
        "OPTIMIZE TABLE marks FINAL",
        "KILL QUERY WHERE 1",
        "SYSTEM FLUSH LOGS",
        "SYSTEM SHUTDOWN",
        "GRANT ALL ON *.* TO default",
        "EXECUTE AS default SELECT 1",
        "SET ROLE NONE",
        "USE system",
        "SET readonly = 0",
        "SET/**/readonly=0",
        "SET max_threads = 1",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_memory_usage = 0",
        "SELECT (SELECT 1 SETTINGS readonly = 0)",
        "SELECT * FROM (SELECT 1 SETTINGS max_execution_time = 0) UNION ALL SELECT 2",
        "DETACH TABLE marks",
        "ATTACH TABLE marks",
        "BACKUP TABLE marks TO File('x')",
        "EXPLAIN SELECT 1 SETTINGS max_execution_time = 0",
    ],
)
def test_a_reader_changes_nothing(server: StoreServer, token: str, sql: str) -> None:
    found = server.ask(sql, token)
    assert found.status_code in {REFUSED, 404, 400}, found.text
    assert found.headers["X-ClickHouse-Exception-Code"] == "164" or found.status_code != REFUSED
    assert server.ask("SELECT sum(n), count() FROM marks").text == "3\t2\n"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; DROP TABLE marks",
        "SELECT 1; SET readonly = 0; INSERT INTO marks VALUES (9)",
        "SELECT 1;\n\nINSERT INTO marks FORMAT CSV\n9\n",
        "SELECT 1 -- ;\n; DROP TABLE marks",
        "SELECT 1) UNION ALL (SELECT 2",
        "?? how many tables are there",
        "exit",
        "",
    ],
)
def test_more_or_less_than_one_statement_is_a_syntax_error(server: StoreServer, token: str, sql: str) -> None:
    for who in (token, server.token):
        found = server.ask(sql, who)
        assert (found.status_code, found.headers["X-ClickHouse-Exception-Code"]) == (400, "62"), found.text
    assert server.ask("SELECT sum(n), count() FROM marks").text == "3\t2\n"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT file('{path}')",
        "SELECT `fi\\x6ce`('{path}')",
        "SELECT \"file\"('{path}')",
        "SELECT file/**/('{path}')",
        "SELECT arrayMap(file, ['{path}'])",
        "SELECT arrayMap(x -> file(x), ['{path}'])",
        "SELECT arrayMap({{f:Identifier}}, ['{path}'])",
        "WITH file AS f SELECT arrayMap(f, ['{path}'])",
        "SELECT * APPLY(file) FROM (SELECT '{path}')",
        "SELECT * APPLY `fi\\x6ce` FROM (SELECT '{path}')",
        "SELECT COLUMNS('x') APPLY(y -> file(y)) FROM (SELECT '{path}' AS x)",
        "SELECT * REPLACE(file(x) AS x) FROM (SELECT '{path}' AS x)",
        "SELECT throwIf(1, file('{path}'))",
        "SELECT number FROM numbers(1) ORDER BY file('{path}')",
        "SELECT number FROM numbers(length(file('{path}')))",
        "SELECT sum(1) OVER (ORDER BY 1 ROWS BETWEEN length(file('{path}')) PRECEDING AND CURRENT ROW)",
        "EXPLAIN SELECT file('{path}')",
        "DESCRIBE (SELECT file('{path}') AS x)",
        "SHOW TABLES WHERE name != file('{path}')",
        "SHOW TABLES LIMIT length(file('{path}'))",
        "SHOW COLUMNS FROM marks WHERE `fi\\x6ce`('{path}') != ''",
        "SELECT * FROM view(SELECT file('{path}'))",
        "SELECT * FROM eval('SELECT file(''{path}'')')",
        "SELECT * FROM file('{path}', LineAsString)",
        "SELECT * FROM '{path}'",
        "SELECT * FROM `{path}`",
        "DESCRIBE file('{path}', LineAsString)",
        "DESCRIBE TABLE FILE('{path}')",
        "SELECT * FROM fileCluster('c', '{path}')",
        "SELECT * FROM sqlite('{path}', 't')",
        "SELECT * FROM executable('cat {path}', TSV, 'x String')",
        "SELECT * FROM filesystem('{path}')",
        "SELECT * FROM Python(os)",
        "DESCRIBE Python(users)",
        "SELECT * FROM url('http://127.0.0.1:{port}/ping', LineAsString)",
        "DESCRIBE url('http://127.0.0.1:{port}/ping')",
        "SELECT * FROM remote('127.0.0.1:{port}', system.one)",
        "DESCRIBE s3('http://127.0.0.1:{port}/bucket/x.csv')",
        "SELECT * FROM mysql('127.0.0.1:{port}', 'a', 'b', 'c', 'd')",
        "SELECT addressToLine(1)",
        "SELECT aiGenerate('x')",
    ],
)
def test_a_reader_reaches_no_file_no_other_server_and_not_the_process(
    server: StoreServer, token: str, sql: str
) -> None:
    text = sql.format(path=server.data.parent / "secret.csv", port=server.port)
    found = server.ask(text, token, param_f="file")
    assert found.status_code in {REFUSED, 404, 400}, found.text
    assert HIDDEN not in found.text


@pytest.mark.parametrize("sql", ["SELECT 1 INTO OUTFILE '{path}'", "SHOW TABLES INTO OUTFILE '{path}' FORMAT CSV"])
def test_a_result_goes_to_the_client_never_to_a_file(server: StoreServer, token: str, sql: str) -> None:
    path = server.data.parent / "out.csv"
    for who in (token, server.token):
        found = server.ask(sql.format(path=path), who)
        assert found.headers["X-ClickHouse-Exception-Code"] == "109", found.text
    assert not path.exists()


def test_a_readers_settings_are_those_that_do_no_harm(server: StoreServer, token: str) -> None:
    at = "SELECT toDateTime('2026-01-02 03:04:05', 'UTC')"
    assert server.ask(at, token, date_time_output_format="iso").text == "2026-01-02T03:04:05Z\n"
    lowered = "SELECT getSetting('max_execution_time')"
    for given, taken in {"5": "5", "5.0": "5", "0": "60", "100000": "60"}.items():
        assert server.ask(lowered, token, max_execution_time=given).text == f"{taken}\n"
    for name in ("readonly", "max_memory_usage", "format_schema", "output_format_schema", "allow_ddl", "log_comment"):
        found = server.ask("SELECT 1", token, **{name: "0"})
        assert (found.status_code, found.headers["X-ClickHouse-Exception-Code"]) == (REFUSED, "164"), name
    assert "164" in server.ask("SELECT 1", token, readonly="0", session_id="s").text


def test_a_reader_keeps_nothing_in_a_session(server: StoreServer, token: str) -> None:
    made = server.ask("CREATE TEMPORARY TABLE mine (n UInt8)", session_id="shared")
    assert made.status_code == 200
    assert server.ask("SELECT * FROM mine", session_id="shared").status_code == 200
    assert server.ask("SELECT * FROM mine", token, session_id="shared").status_code == 404


def test_get_only_reads_whoever_asks(server: StoreServer) -> None:
    headers = {"X-ClickHouse-User": "default", "X-ClickHouse-Key": server.token}
    assert httpx.get(server.url, params={"query": "SELECT 1"}, headers=headers).text == "1\n"
    for sql in ("INSERT INTO marks VALUES (3)", "DROP TABLE marks", "SET max_threads = 1"):
        found = httpx.get(server.url, params={"query": sql}, headers=headers)
        assert (found.status_code, found.headers["X-ClickHouse-Exception-Code"]) == (REFUSED, "164")


def test_a_user_proves_to_be_who_they_say(server: StoreServer, token: str) -> None:
    who = "SELECT 1"
    admitted = {"X-ClickHouse-User": "grafana", "X-ClickHouse-Key": token}
    assert httpx.post(server.url, content=who, headers=admitted).text == "1\n"
    assert httpx.post(server.url, content=who, auth=("grafana", token)).text == "1\n"
    assert httpx.post(server.url, content=who, params={"user": "grafana", "password": token}).text == "1\n"
    for auth in (("grafana", server.token), ("default", token), ("nobody", token), ("grafana", "x")):
        found = httpx.post(server.url, content=who, auth=auth)
        assert (found.status_code, found.headers["X-ClickHouse-Exception-Code"]) == (403, "516")
    nobody = httpx.post(server.url, content=who)
    assert (nobody.status_code, nobody.headers["X-ClickHouse-Exception-Code"]) == (401, "194")
    assert nobody.headers["WWW-Authenticate"].startswith("Basic")
    assert httpx.post(server.url, content=who, headers={"Authorization": "Basic ???"}).status_code == 403


def test_a_reader_who_is_deleted_or_renewed_is_refused_at_once(server: StoreServer) -> None:
    first = server.reader("board")
    assert server.ask("SELECT 1", first).status_code == 200
    second = server.reader("board")
    assert server.ask("SELECT 1", first).status_code == 403
    assert server.ask("SELECT 1", second).status_code == 200
    file = server.data / "users.toml"
    kept = file.read_text()
    assert second not in kept
    assert file.stat().st_mode & 0o077 == 0
    others = [part for part in kept.split("[") if part and not part.startswith('"board"]')]
    file.write_text("".join(f"[{part}" for part in others))
    assert server.ask("SELECT 1", second).status_code == 403
    file.write_text(kept)


def test_a_foreign_name_in_host_is_refused(server: StoreServer) -> None:
    for host, status in {"evil.example": 421, f"localhost:{server.port}": 200, "[::1]:1": 200, "": 421}.items():
        headers = {"Host": host, "Authorization": f"Bearer {server.token}"}
        assert httpx.post(server.url, content="SELECT 1", headers=headers).status_code == status, host


def test_the_tokens_of_the_store_are_not_its_tables(server: StoreServer, token: str, tmp_path: Path) -> None:
    for sql in ("SELECT * FROM system.users", "SHOW USERS", "SHOW ACCESS"):
        assert server.ask(sql, token).headers["X-ClickHouse-Exception-Code"] == "497", sql
