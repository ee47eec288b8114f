"""One camera as an archive of small pictures that lose contrast for a while, and its edge agent."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from sincewhen_testing.edge import activate, run_edge, write_archive
from sincewhen_testing.server import Api

STATION = "p/a/l/cam"
GOLDEN, ONSET, END, FRAMES, SIDE = 1200, 1600, 2000, 2400, 32
_COMPARED = ("since", "since_low", "since_high", "until", "shape", "lots", "units_suspect", "status", "opened_at")


@dataclass
class Camera:
    """A picture a second, the last one about now; `folder` has them, their indexes and the model."""

    folder: Path
    seed: int
    start: int = field(default_factory=lambda: int(time.time()) - FRAMES)

    def __post_init__(self) -> None:
        write_archive(self.folder, "golden", self._pictures(0, GOLDEN), self.start)
        write_archive(self.folder, "rest", self._pictures(GOLDEN, FRAMES), self.start + GOLDEN)
        _save_model(self.folder / "net.pt")

    def learned(self, server: Api, spool: Path) -> list[str]:
        """Send the golden part, activate its profile; the agent's command for the rest."""
        command = ["images", str(self.folder), "--station", STATION, "--model", str(self.folder / "net.pt")]
        command += ["--side", str(SIDE)]
        run_edge(server, spool, *command, "--index", str(self.folder / "golden.csv"), "--fast")
        activate(server, STATION, self.start, self.start + GOLDEN)
        return [*command, "--index", str(self.folder / "rest.csv")]

    def incidents(self, server: Api) -> list[dict[str, Any]]:
        """What a server says of the camera, once everything is applied."""
        server.applied()
        found = [item for item in server.get("/api/v1/incidents").json() if item["station_id"] == STATION]
        scopes = {item["id"]: server.get(f"/api/v1/incidents/{item['id']}/scope").json() for item in found}
        return [{key: item[key] for key in _COMPARED} | {"units": scopes[item["id"]]["units"]} for item in found]

    def _pictures(self, first: int, last: int) -> Iterator[tuple[Image.Image, dict[str, Any]]]:
        rng = np.random.default_rng([self.seed, first])
        for row in range(first, last):
            pixels = rng.normal(110, 30, (SIDE // 2, SIDE // 2, 3)).repeat(2, axis=0).repeat(2, axis=1)
            if ONSET <= row < END:
                pixels = 110 + (pixels - 110) * 0.8
            picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            yield picture, {"lot": f"L{row // 80:02d}", "unit_id": f"U{row:05d}"}


def _save_model(path: Path) -> None:
    """A small fixed network that gives scores and an embedding, as a plant's own TorchScript file would."""

    class Net(torch.nn.Module):  # type: ignore[misc]  # torch is not read by mypy
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Conv2d(3, 12, 3, stride=2)
            self.head = torch.nn.Linear(12, 2)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            embedding = torch.relu(self.first(x)).mean(dim=(2, 3))
            return self.head(embedding), embedding

    torch.manual_seed(4)
    torch.jit.trace(Net().eval(), torch.rand(2, 3, SIDE, SIDE)).save(str(path))
