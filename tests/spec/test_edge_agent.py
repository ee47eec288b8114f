"""The agent beside a model: what it sees is what the spool holds, and nothing it meets reaches the host."""

import csv
import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from sincewhen.ingest.decode import decode
from sincewhen_edge import EdgeAgent
from sincewhen_edge.__main__ import main
from sincewhen_edge.settings import LimitSettings, ModelSettings, Settings, SpoolSettings
from sincewhen_edge.sources.rows import TimeForm, read_rows
from sincewhen_edge.spool import Spool
from sincewhen_edge.tap import Module
from sincewhen_schemas.frames import Frames

NOW_NS = 1_790_000_000_000_000_000
STATION = "p/a/l/s"


def spooled(path: Path) -> list[Frames]:
    spool = Spool(path, 10**9)
    found = [decode(STATION, record.value, time.time_ns(), lambda _: True) for record in spool.oldest(10**6, 10**9)]
    spool.close()
    assert all(isinstance(frames, Frames) for frames in found)
    return found  # type: ignore[return-value]  # asserted on the line above


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


@pytest.fixture
def agent(spool: Path) -> Iterator[EdgeAgent]:
    settings = Settings(
        station_id=STATION, agent_id="pc", model=ModelSettings(version="1"), spool=SpoolSettings(path=str(spool))
    )
    made = EdgeAgent(settings, publish=False)
    yield made
    made.close()


def network() -> Module:
    torch.manual_seed(3)
    nn = torch.nn
    features = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3))
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)).eval()


def test_five_lines_beside_a_model_give_embeddings_decisions_factors_and_context(agent: EdgeAgent, spool: Path) -> None:
    model = network()
    agent.watch(model, {"early": "0.0", "head": model[3]})
    x = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        y = model(x)
        assert agent.observe(image=x, output=y, lot="L1", unit_id=["a", "b", "c", "d"], operator="Jo", line_speed=3)
    agent.close()
    (frames,) = spooled(spool)
    with torch.no_grad():
        early = model[0][0](x).mean(dim=(2, 3)).numpy()
    assert np.allclose(frames.layers["early"], early, atol=2e-3)
    assert np.allclose(frames.layers["head"], y.numpy(), atol=2e-3)
    assert frames.decision is not None
    assert list(frames.decision) == [str(k) for k in y.argmax(1).tolist()]
    assert list(frames.context["unit_id"]) == ["a", "b", "c", "d"]
    assert list(frames.context["lot"]) == ["L1"] * 4
    assert "operator" not in frames.context
    assert list(frames.attributes["line_speed"]) == ["3"] * 4
    assert np.allclose(frames.factors["brightness"], x.numpy().mean(axis=(1, 2, 3)), atol=0.02)


def test_the_model_gives_the_same_bits_with_and_without_the_agent(agent: EdgeAgent) -> None:
    model, x = network(), torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        bare = model(x)
        agent.watch(model, {"head": "3"})
        assert torch.equal(bare, model(x))


def test_a_wrong_layer_lists_the_layers_there_are(agent: EdgeAgent) -> None:
    with pytest.raises(ValueError, match=r"no layer 'features\.9'; there are: 0, 0\.0, 0\.1, 0\.2, 1, 2, 3"):
        agent.watch(network(), {"head": "features.9"})
    with pytest.raises(ValueError, match="not one of its modules"):
        agent.watch(network(), {"head": torch.nn.Linear(2, 2)})


def test_tokens_tuples_and_bfloat16_are_pooled(agent: EdgeAgent, spool: Path) -> None:
    encoder = torch.nn.TransformerEncoderLayer(8, 2, batch_first=True).eval()
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True).to(torch.bfloat16)
    agent.watch(encoder, {"tokens": "norm2"})
    agent.watch(attention, {"attention": attention})
    x = torch.rand(1, 5, 8)
    with torch.enable_grad():
        y = encoder(x)
        attention(x.bfloat16(), x.bfloat16(), x.bfloat16())
    agent.observe()
    agent.close()
    (frames,) = spooled(spool)
    assert frames.layers["attention"].shape == (1, 8)
    assert np.allclose(frames.layers["tokens"], y.mean(dim=1).detach().numpy(), atol=2e-3)


def test_what_breaks_inside_the_agent_never_reaches_the_host_and_is_counted(
    agent: EdgeAgent, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(torch.nn.Module):  # type: ignore[misc]  # torch is not read by mypy
        def forward(self, x: object) -> object:
            return {"not": "a tensor", "x": x}

    model = torch.nn.Sequential(Odd())
    agent.watch(model, {"head": "0"})
    with caplog.at_level(logging.WARNING, "sincewhen_edge"):
        assert model(torch.rand(1, 3))["not"] == "a tensor"
        assert agent.observe(image=object(), output=object(), unit_id="u1")
        assert not agent.observe(purpose="nonsense")  # type: ignore[arg-type]  # that is the point
        agent.observe(unit_id="u2", note="x" * 9999, signals={"load": float("inf")}, layers={"own": np.full(3, 1e9)})
        agent.close()
    assert {"layer_unreadable": 1, "image_unreadable": 1, "output_unreadable": 1, "unreadable": 1}.items() <= (
        agent.counts.items()
    )
    assert {"text_too_long": 1, "value_infinite": 1, "embedding_not_finite": 1}.items() <= agent.counts.items()
    assert caplog.text.count("reason=image_unreadable") == 1
    frames = spooled(spool)
    assert [list(part.context["unit_id"]) for part in frames] == [["u1"], ["u2"]]
    assert [part.first_seq for part in frames] == [0, 2], "the frame that was dropped is a gap in the sequence"


def test_a_full_queue_drops_the_newest_and_the_gap_shows(tmp_path: Path) -> None:
    settings = Settings(
        station_id=STATION,
        agent_id="pc",
        spool=SpoolSettings(path=str(tmp_path / "s.db")),
        limits=LimitSettings(queue_frames=2),
    )
    agent = EdgeAgent(settings, publish=False)
    agent.spool._lock.acquire()  # noqa: SLF001 - a disk that hangs
    taken = [agent.observe(unit_id=str(number)) for number in range(100)]
    for _ in range(40):
        taken += [agent.observe(layers={"x": np.zeros(number % 3 + 1)}) for number in range(50)]
    agent.spool._lock.release()  # noqa: SLF001 - as above
    agent.close()
    assert not all(taken)
    frames = spooled(tmp_path / "s.db")
    kept = [part.first_seq + row for part in frames for row in range(part.n)]
    assert kept == [number for number, ok in enumerate(taken) if ok]
    assert agent.counts["queue_full"] == len(taken) - len(kept)


def test_batches_hold_at_most_32_frames_and_are_cut_at_gaps_and_changes(agent: EdgeAgent, spool: Path) -> None:
    for number in range(70):
        agent.observe(captured_at_ns=NOW_NS - 10**9 + number, purpose="setup" if number >= 50 else None, wait=True)
    agent.close()
    sizes = [part.n for part in spooled(spool)]
    assert max(sizes) <= 32
    assert sum(sizes) == 70
    purposes = [part.purpose for part in spooled(spool)]
    assert sum(n for n, purpose in zip(sizes, purposes, strict=True) if purpose == "setup") == 20


def test_an_agent_that_is_off_takes_nothing(tmp_path: Path) -> None:
    settings = Settings(station_id=STATION, mode="off", spool=SpoolSettings(path=str(tmp_path / "s.db")))
    agent = EdgeAgent(settings)
    assert not agent.observe(unit_id="u")
    agent.close()


def write_archive(folder: Path, rows: int) -> Path:
    rng = np.random.default_rng(5)
    index = folder / "index.csv"
    with index.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["path", "captured_at", "lot", "unit_id", "shade"])
        for row in range(rows):
            Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(folder / f"{row}.png")
            lines.writerow([f"{row}.png", 1_700_000_000 + row, f"L{row // 10}", f"U{row}", "light"])
    return index


def test_times_are_read_with_their_zones_and_counts(tmp_path: Path) -> None:
    rome = TimeForm(ZoneInfo("Europe/Rome"))
    assert rome.ns("2026-07-01T12:00:00") == rome.ns("2026-07-01T10:00:00Z") == rome.ns("1782900000") // 1
    assert rome.ns("1700000000.123456789") == 1_700_000_000_123_456_789
    assert rome.ns("2026-07-01T10:00:00.000001Z") % 10**9 == 1000
    assert TimeForm(ZoneInfo("UTC"), 60.0, 10**18).ns("3") == 10**18 + 180 * 10**9


def test_lines_that_break_a_rule_are_left_out_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("path,captured_at\nb.png,1700000002\na.png,1700000001\nc.png,never\n,1700000003\nd.png\n")
    rows = read_rows(path, "captured_at", TimeForm(UTC), NOW_NS, needed=("path",))
    assert [row.values["path"] for row in rows.rows] == ["a.png", "b.png"]
    assert [reason.split(":")[0] for reason in rows.left_out] == ["line 4", "line 5", "line 6"]
    assert "ISO 8601 or epoch seconds; got 'never'" in rows.left_out[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--station", "x"], "site/area/line/station"),
        (["--station", STATION, "--fast", "--rate", "3"], "--fast or --rate"),
        (["--station", STATION, "--tz", "Nowhere"], "IANA name"),
        (["--station", STATION, "--model", "index.csv", "--fast"], "is a TorchScript file"),
    ],
)
def test_a_wrong_command_says_the_rule(tmp_path: Path, arguments: list[str], message: str) -> None:
    index = write_archive(tmp_path, 1)
    told = [str(index) if word == "index.csv" else word for word in arguments]
    spool = ["--spool", str(tmp_path / "s.db")]
    result = CliRunner().invoke(main, ["images", str(tmp_path), "--index", str(index), *spool, *told])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_json_is_not_an_image_index(tmp_path: Path) -> None:
    (tmp_path / "i.json").write_text(json.dumps({}))
    told = ["images", str(tmp_path), "--index", str(tmp_path / "i.json"), "--station", STATION]
    result = CliRunner().invoke(main, told)
    assert result.exit_code == 2
    assert "has a column 'captured_at'" in result.output
