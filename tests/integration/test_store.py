"""The store on the real ClickHouse engine: in this process, and served over HTTP by another one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sincewhen.incidents.correlate import correlate
from sincewhen.plant import Retention
from sincewhen.processor.learn import Subject, build_profile
from sincewhen.profiles.profile import Profile
from sincewhen.store import read
from sincewhen.store.connect import Connection, Server
from sincewhen.store.migrate import MigrationError, migrate
from sincewhen.store.write import write_incidents, write_outputs
from sincewhen_schemas.encode import encode_frames
from sincewhen_testing.server import StoreServer, kept_for_ever
from sincewhen_testing.station import (
    END,
    GOLDEN,
    ONSET,
    START_NS,
    STATION,
    STEP_NS,
    Run,
    activation,
    batch,
    columns,
    learned,
    stream,
)

FOR_EVER = Retention(*[10_000] * 3)  # the simulated frames are of a fixed day


@pytest.fixture(params=["in this process", "over HTTP"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    """A new store, its tables made."""
    if request.param == "in this process":
        opened = Connection(tmp_path / "chdb")
        assert migrate(opened, FOR_EVER) == ["0001_tables.sql"]
        yield opened
        opened.close()
        return
    with StoreServer(tmp_path / "data", "--plant", str(kept_for_ever(tmp_path))) as server:
        opened = Connection(Server(server.url, token=server.token))
        yield opened
        opened.close()


def test_outputs_written_twice_come_back_as_they_were_once(connection: Connection, tmp_path: Path) -> None:
    assert migrate(connection, FOR_EVER) == []
    changed = tmp_path / "ddl"
    changed.mkdir()
    (changed / "0001_tables.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match="forward-only"):
        migrate(connection, FOR_EVER, changed)

    data = stream(31)
    sha, profile = learned(data)
    run = Run({sha: profile})
    for start in range(0, GOLDEN, 500):
        run.feed(batch(data, start, start + 500))
    run.feed(activation(sha))
    for start in range(GOLDEN, len(data[0]), 100):
        run.feed(batch(data, start, start + 100))
    run.feed(b"junk")
    incidents = correlate(run.outputs.detections)
    for _ in range(2):
        write_outputs(connection, run.outputs)
        write_incidents(connection, incidents)

    count = connection.rows("SELECT count() AS n, uniqExact(seq) AS seqs FROM frames FINAL")[0]
    assert count == {"n": len(data[0]), "seqs": len(data[0])}
    assert read.incidents(connection) == incidents
    assert correlate(read.detections(connection)) == incidents
    lots = [row["value"] for row in read.scope(connection, incidents[0])["lot"]]
    expected = {f"L{row // 100:02d}" for row in range(ONSET, END)}
    assert expected <= set(lots) <= expected | {"L25", "L29"}, lots
    (letter,) = read.dead_letters(connection, 10)
    assert letter["reason"] == "undecodable"
    assert letter["payload_bytes"] == 4

    golden, version = read.golden(connection, STATION, "top", START_NS, START_NS + (GOLDEN - 1) * STEP_NS)
    assert version == "1"
    assert golden.n == GOLDEN
    np.testing.assert_array_equal(golden.layers["head"], data[0][:GOLDEN].astype(np.float32))
    np.testing.assert_array_equal(golden.scalars["factor:brightness"], data[1][:GOLDEN].astype(np.float64))
    rebuilt = build_profile(golden, Subject(STATION, "top", "", "1"))
    assert isinstance(rebuilt, Profile)
    assert rebuilt.streams == profile.streams


def test_what_the_model_said_of_each_class_and_where_the_picture_lies_come_back(connection: Connection) -> None:
    data = stream(32)
    classes = np.array([[0.25, 0.75], [np.nan, 0.5]], np.float16)
    frames = replace(
        columns(data, 0, 2),
        classes=("good", "scratch"),
        class_scores=classes,
        evidence_key=np.array(["cam1/7.jpg", ""], object),
    )
    run = Run({})
    run.feed(encode_frames(frames))
    run.feed(batch(data, 2, 3))
    write_outputs(connection, run.outputs)
    first, second, third = connection.rows("SELECT class_scores, evidence_key FROM frames FINAL ORDER BY seq")
    assert first == {"class_scores": {"good": 0.25, "scratch": 0.75}, "evidence_key": "cam1/7.jpg"}
    assert second["class_scores"]["scratch"] == 0.5
    assert np.isnan(second["class_scores"]["good"])
    assert third == {"class_scores": {}, "evidence_key": ""}


def test_layers_come_back_in_the_models_order(connection: Connection) -> None:
    """Not in the alphabet's; a batch whose frames lack one changes nothing."""
    data = stream(33)
    order = ("stem", "blocks", "classifier")
    run = Run({})
    for start in range(0, 300, 50):
        frames = columns(data, start, start + 50)
        carried = order[1:] if start == 100 else order
        run.feed(encode_frames(replace(frames, layers=dict.fromkeys(carried, frames.layers["head"]))))
    write_outputs(connection, run.outputs)
    golden, _ = read.golden(connection, STATION, "top", START_NS, START_NS + 300 * STEP_NS)
    assert tuple(golden.layers) == order
    assert golden.n == 250


def test_a_batch_of_which_no_embedding_is_kept_is_written_with_others(connection: Connection) -> None:
    data = stream(34)
    run = Run({})
    for start in (0, 50, 100):
        frames = columns(data, start, start + 50)
        run.feed(encode_frames(replace(frames, present={"head": np.full(50, start != 50)})))
    write_outputs(connection, run.outputs)
    assert connection.rows("SELECT count() AS n FROM frames FINAL") == [{"n": 150}]
    assert connection.rows("SELECT min(seq) AS low, max(seq) AS high, count() AS n FROM embeddings FINAL") == [
        {"low": 0, "high": 149, "n": 100}
    ]


def test_frames_without_any_layer_are_written(connection: Connection) -> None:
    run = Run({})
    run.feed(encode_frames(replace(columns(stream(35), 0, 20), layers={})))
    write_outputs(connection, run.outputs)
    assert connection.rows("SELECT count() AS n FROM frames FINAL") == [{"n": 20}]
