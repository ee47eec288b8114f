"""What a frame costs, as ratios against a bare limit in the same run: `make bench`. Prints Markdown."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import statistics  # noqa: E402 - threads are set before numpy starts them
import tempfile  # noqa: E402 - as above
import time  # noqa: E402 - as above
from collections.abc import Callable  # noqa: E402 - as above
from pathlib import Path  # noqa: E402 - as above

import numpy as np  # noqa: E402 - as above
import torch  # noqa: E402 - as above
from PIL import Image  # noqa: E402 - as above

from sincewhen.ingest.decode import decode  # noqa: E402 - as above
from sincewhen.processor.learn import Subject, build_profile  # noqa: E402 - as above
from sincewhen.processor.pipeline import Pipeline  # noqa: E402 - as above
from sincewhen.processor.state import StationState  # noqa: E402 - as above
from sincewhen.profiles.golden import Golden  # noqa: E402 - as above
from sincewhen.profiles.profile import Profile, encode_profile, profile_sha  # noqa: E402 - as above
from sincewhen_edge import EdgeAgent  # noqa: E402 - as above
from sincewhen_edge.factors import image_factors  # noqa: E402 - as above
from sincewhen_edge.models import ReferenceModel  # noqa: E402 - as above
from sincewhen_edge.settings import Settings, SpoolSettings  # noqa: E402 - as above
from sincewhen_schemas import station_record_pb2 as pb  # noqa: E402 - as above
from sincewhen_schemas.encode import encode_control, encode_frames  # noqa: E402 - as above
from sincewhen_schemas.frames import Frames  # noqa: E402 - as above

SEED, DIMS, GOLDEN, BATCH, BATCHES, ROUNDS = 5, 512, 2000, 32, 60, 7
STATION, START_NS = "p/a/l/s", 1_760_000_000_000_000_000


def micros(work: Callable[[], object], frames: int) -> tuple[float, float]:
    """Median and spread (half the range) of µs a frame over ROUNDS runs."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) / frames * 1e6)
    return statistics.median(took), (max(took) - min(took)) / 2


def columns(x: np.ndarray, start: int, stop: int) -> Frames:
    return Frames(
        station_id=STATION,
        view="main",
        agent_id="pc",
        boot_id="b",
        first_seq=start,
        captured_at_ns=START_NS + np.arange(start, stop) * 10**9,
        purpose="production",
        model_version="1",
        layers={"head": x[start:stop]},
    )


def core() -> list[tuple[str, float, float]]:
    """One embedding stream with its T² and SPE, 512 -> 64, in batches of 32."""
    rng = np.random.default_rng(SEED)
    mix = rng.standard_normal((80, DIMS)) / 9
    x = (rng.standard_normal((GOLDEN + BATCH * BATCHES, 80)) @ mix).astype(np.float16)
    golden = Golden(START_NS + np.arange(GOLDEN) * 10**9, {"head": x[:GOLDEN].astype(np.float32)}, {}, None)
    profile = build_profile(golden, Subject(STATION, "main", "", "1"))
    assert isinstance(profile, Profile), profile
    sha = profile_sha(encode_profile(profile))
    records = [encode_frames(columns(x, at, at + BATCH)) for at in range(GOLDEN, len(x), BATCH)]
    event = pb.ProfileActivated(view="main", profile_sha=sha)
    activation = encode_control(STATION, pb.Control(control_id="c", at_ns=START_NS, profile_activated=event))
    pipeline = Pipeline({sha: profile}.__getitem__)

    def whole() -> None:
        state = StationState()
        for offset, record in enumerate([activation, *records]):
            pipeline.step(state, STATION, record, offset, START_NS + 10**15)

    def bare() -> None:
        for at in range(GOLDEN, len(x), BATCH):
            _ = x[at : at + BATCH].astype(np.float32) @ project

    project = rng.standard_normal((DIMS, 64)).astype(np.float32)
    whole()
    frames = BATCH * BATCHES
    return [
        ("bare projection 512 -> 64 (the limit)", *micros(bare, frames)),
        ("decode", *micros(lambda: [decode(STATION, r, START_NS + 10**15, bool) for r in records], frames)),
        ("whole core: decode, score, detect, T², SPE", *micros(whole, frames)),
    ]


def edge(folder: Path) -> list[tuple[str, float, float]]:
    """`observe` beside the reference model at 224 px, on the host's thread; then the worker's own cost of factors."""
    pixels = np.random.default_rng(SEED).integers(0, 255, (480, 640, 3), np.uint8)
    picture = Image.fromarray(pixels)
    model = ReferenceModel()
    agent = EdgeAgent(Settings(station_id=STATION, spool=SpoolSettings(path=str(folder / "s.db"))), publish=False)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1)).eval()
    tensor = torch.rand(1, 3, 64, 64)

    def run(times: int) -> None:
        with torch.inference_mode():
            for _ in range(times):
                network(tensor)

    bare = micros(lambda: run(200), 200)
    agent.watch(network, {"head": "2"})
    hooked = micros(lambda: run(200), 200)
    rows = [
        ("reference model, 224 px, batch 1 (the host's own work)", *micros(lambda: model([picture]), 1)),
        ("observe(image=640x480, unit_id=...)", *micros(lambda: agent.observe(image=picture, unit_id="u"), 1)),
        ("observe(unit_id=...)", *micros(lambda: [agent.observe(unit_id="u") for _ in range(100)], 100)),
        ("a hook: pool and copy", hooked[0] - bare[0], hooked[1] + bare[1]),
        ("image factors of the small copy (the agent's thread)", *micros(lambda: image_factors(picture.reduce(4)), 1)),
    ]
    agent.close()
    return rows


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for title, rows in (("server core", core()), ("edge agent", edge(Path(folder)))):
            print(f"\n{title}, seed {SEED}, one thread, median of {ROUNDS} (± half the range)\n")
            print("| step | µs a frame | times the first row |\n|---|---|---|")
            for name, middle, spread in rows:
                print(f"| {name} | {middle:.2f} ± {spread:.2f} | {middle / rows[0][1]:.4f} |")


if __name__ == "__main__":
    main()
