"""`sincewhen-edge reference build`: pinned images in, one reference set out, to a file and to the server."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from sincewhen_edge.__main__ import main
from sincewhen_edge.models import load_model
from sincewhen_edge.reference.faults import CAUSES
from sincewhen_schemas.reference import STRENGTHS, decode_reference, reference_sha
from sincewhen_testing.fake_server import PROBLEM_JSON, FakeServer, fake_server

SIDE, M, STATION = 32, 8, "p/a/l/s"
PROBLEM = b'{"type": "about:blank", "title": "Forbidden", "status": 403, "detail": "a write needs the admin token"}'
traced = pytest.mark.filterwarnings("ignore:.torch.jit.*deprecated")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Decides by brightness; its embedding is the mean colour and its contrast."""

    class Net(torch.nn.Module):  # type: ignore[misc]  # torch is not read by mypy
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            mean, spread = x.mean(dim=(2, 3)), x.std(dim=(2, 3))
            level = mean.mean(dim=1) - 0.45
            return torch.stack([level, -level], dim=1), torch.cat([mean, spread], dim=1)

    path = tmp_path_factory.mktemp("model") / "net.pt"
    torch.jit.trace(Net().eval(), torch.rand(2, 3, SIDE, SIDE)).save(str(path))
    return str(path)


def pin(folder: Path, images: int = M) -> list[Path]:
    rng = np.random.default_rng(8)
    paths = [folder / f"part{number:02d}.png" for number in range(images)]
    for path in paths:
        coarse = rng.uniform(60, 180, (6, 8, 3)).astype(np.uint8)
        Image.fromarray(coarse).resize((48, 36), Image.Resampling.BICUBIC).save(path)
    return paths


@pytest.fixture(autouse=True)
def niceness(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How much lower the priority was asked to be; the tests' own is left alone."""
    asked: list[int] = []
    monkeypatch.setattr(os, "nice", asked.append)
    monkeypatch.delenv("SINCEWHEN_SERVER", raising=False)
    monkeypatch.delenv("SINCEWHEN_TOKEN", raising=False)
    return asked


def built(folder: Path, *more: str) -> Result:
    command = ["reference", "build", str(folder), "--station", STATION, "--side", str(SIDE), *more]
    return CliRunner().invoke(main, command)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_server() as fake:
        fake.answer = lambda _: (201, "application/json", b"{}")
        yield fake


@traced
def test_a_set_holds_every_copy_of_every_pinned_image_as_the_model_sees_it(
    tmp_path: Path, model: str, niceness: list[int]
) -> None:
    paths = pin(tmp_path)
    out = tmp_path / "set.npz"
    result = built(tmp_path, "--model", model, "--regime", "sku7", "--seed", "5", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert f"{reference_sha(out.read_bytes())}: {M} images" in result.output
    assert niceness == [10]
    found = decode_reference(out.read_bytes())
    assert (found.station_id, found.view, found.regime, found.seed) == (STATION, "main", "sku7", 5)
    assert (found.model_name, found.causes) == ("net", CAUSES)
    assert found.images == tuple(hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in paths)
    layers, _ = load_model(model, SIDE)([Image.open(path).convert("RGB") for path in paths])
    np.testing.assert_array_equal(found.clean["embedding"], layers["embedding"].astype(np.float16))
    faults = found.faults["embedding"]
    assert faults.shape == (len(CAUSES), len(STRENGTHS), M, 6)
    darker = faults[CAUSES.index("brightness_down")][:, :, :3].astype(float).mean(axis=(1, 2))
    assert (np.diff(darker) < 0).all()
    decided = found.decision_faults
    assert found.decision_clean is not None
    assert decided is not None
    assert set(decided[CAUSES.index("brightness_down"), -1]) == {"1"}
    assert set(decided[CAUSES.index("brightness_up"), -1]) == {"0"}


@traced
def test_the_set_goes_to_standard_output_and_what_is_said_to_standard_error(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pin(tmp_path)
    result = built(tmp_path, "--model", model, "--out", "-")
    assert result.exit_code == 0, result.output
    assert decode_reference(result.stdout_bytes).station_id == STATION
    assert f"{M} images, {len(result.stdout_bytes)} bytes, to standard output" in result.stderr
    assert not (tmp_path / "-").exists()


@traced
def test_the_server_gets_the_set_with_the_token(
    tmp_path: Path, model: str, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SINCEWHEN_TOKEN", "secret")
    pin(tmp_path)
    result = built(tmp_path, "--model", model, "--server", server.url + "/")
    assert result.exit_code == 0, result.output
    [(path, headers, content)] = server.taken
    assert path == "/api/v1/references"
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Content-Type"] == "application/octet-stream"
    assert decode_reference(content).station_id == STATION


@traced
@pytest.mark.parametrize(
    ("body", "said"), [(PROBLEM, "403: a write needs the admin token"), (b"<html>", "403: <html>")]
)
def test_what_the_server_refuses_is_said_and_kept(
    tmp_path: Path, model: str, server: FakeServer, body: bytes, said: str
) -> None:
    server.answer = lambda _: (403, PROBLEM_JSON, body)
    pin(tmp_path)
    result = built(tmp_path, "--model", model, "--server", server.url, "--out", str(tmp_path / "set.npz"))
    assert result.exit_code == 1
    assert said in result.output
    assert "the set is in" in result.output
    assert decode_reference((tmp_path / "set.npz").read_bytes()).station_id == STATION


@traced
def test_a_server_in_the_environment_alone_is_sent_nothing(
    tmp_path: Path, model: str, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SINCEWHEN_SERVER", server.url)
    pin(tmp_path)
    result = built(tmp_path, "--model", model, "--out", str(tmp_path / "set.npz"))
    assert result.exit_code == 0, result.output
    assert server.taken == []
    nowhere = built(tmp_path, "--model", model)
    assert nowhere.exit_code == 2
    assert "got neither" in nowhere.output


def test_a_wrong_command_or_folder_says_the_rule(tmp_path: Path, model: str) -> None:
    few, twice, torn, tiny = (tmp_path / name for name in ("few", "twice", "torn", "tiny"))
    for folder in (few, twice, torn, tiny):
        folder.mkdir()
    pin(few, 7)
    (twice / "copy.png").write_bytes(pin(twice)[0].read_bytes())
    pin(torn)[0].write_bytes(b"no image")
    for path in pin(tiny)[:1]:
        Image.new("RGB", (40, 20)).save(path)
    out = ("--out", str(tmp_path / "set.npz"))
    for folder, more, message in (
        (few, (), "--out FILE, --server URL, or both; got neither"),
        (few, ("--out", str(tmp_path / "no/set.npz")), "make the folder first"),
        (few, (*out, "--station", "x"), "site/area/line/station"),
        (few, ("--server", "ftp://x"), "server is an http(s) address; got 'ftp://x'"),
        (few, out, "8..64 images; got 7"),
        (twice, out, "each image is pinned once"),
        (torn, out, "a pinned image can be read"),
        (tiny, out, "at least 32 pixels a side"),
        (tiny, (*out, "--model", str(torn / "part00.png")), "is a TorchScript file"),
    ):
        result = built(folder, *(() if "--model" in more else ("--model", model)), *more)
        assert result.exit_code == 2
        assert message in " ".join(result.output.replace("│", " ").split()), result.output
    assert not (tmp_path / "set.npz").exists()


@traced
def test_a_set_that_the_contract_refuses_is_refused_after_the_first_image(tmp_path: Path) -> None:
    class Wide(torch.nn.Module):  # type: ignore[misc]  # torch is not read by mypy
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x.mean(dim=(2, 3)), x.mean(dim=(2, 3)).repeat(1, 2000) * self.scale

        def __init__(self, scale: float) -> None:
            super().__init__()
            self.scale = scale

    pin(tmp_path)
    for scale, message in ((1.0, "<= 4096"), (1e6, "embeddings fit float16")):
        path = tmp_path / "wide.pt"
        torch.jit.trace(Wide(scale).eval(), torch.rand(2, 3, SIDE, SIDE)).save(str(path))
        result = built(tmp_path, "--model", str(path), "--out", str(tmp_path / "set.npz"))
        assert result.exit_code == 2
        assert message in " ".join(result.output.split())
