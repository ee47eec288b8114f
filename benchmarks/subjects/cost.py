"""What a frame costs and a stream holds: the core against its bare projection, a full station, the edge agent."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from river.drift import PageHinkley

from benchmarks.cell import Cell, Effort, Figures, Floats
from benchmarks.streams import learned, simulated
from sincewhen.detect.esr import Esr
from sincewhen.ingest.decode import decode
from sincewhen.processor.event import Rows
from sincewhen.processor.learn import Subject, build_profile
from sincewhen.processor.monitor import StreamMonitor
from sincewhen.processor.pipeline import Pipeline
from sincewhen.processor.state import StationState, encode_state
from sincewhen.profiles.embedding import apply_basis
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.profile import Profile, encode_profile, profile_sha
from sincewhen_edge import EdgeAgent
from sincewhen_edge.factors import image_factors
from sincewhen_edge.models import ReferenceModel
from sincewhen_edge.settings import Settings, SpoolSettings
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.encode import encode_control, encode_frames
from sincewhen_schemas.frames import Frames
from sincewhen_testing.references import pinned
from sincewhen_testing.station import STATION
from sincewhen_testing.streams import direction

DIMS, KEPT, LATENT, GOLDEN, BATCH, KNOWN, CAUSES, PINNED = 512, 64, 80, 3000, 32, 40, 14, 24
FACTORS, LAYERS = 9, 3
START_NS = 1_760_000_000_000_000_000
PARTS = ("stream", "core", "station", "edge")


def cells(effort: Effort) -> list[Cell]:
    rounds, batches = effort.pick(2, 7, 25), effort.pick(10, 60, 120)
    parts = PARTS if effort > Effort.SMOKE else PARTS[:2]
    return [Cell.of("cost", 0, part=part, rounds=rounds, batches=batches) for part in parts]


def measure(cell: Cell) -> Figures:
    return {"stream": _stream, "core": _core, "station": _station, "edge": _edge}[cell.get("part", str)](cell)


def _micros(works: dict[str, Callable[[], object]], frames: int, rounds: int) -> Figures:
    """Of each, µs a frame, round by round in turn, so that a slow minute of the machine is everybody's."""
    took: Figures = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(rounds):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            took[name].append((time.perf_counter() - began) / frames * 1e6)
    return took


def _stream(cell: Cell) -> Figures:
    """After the projection: one stream's detector, its whole monitor, and the state it holds."""
    rng, frames = cell.rng, BATCH * cell.get("batches", int)
    works: dict[str, Callable[[], object]] = {}
    sizes: Figures = {}
    for dims in (1, KEPT, 128):
        stream = learned(simulated("ar 0", rng, 5000, dims))
        x = stream.about(simulated("ar 0", rng, frames, dims).x)
        known = np.array([direction(rng, dims) for _ in range(KNOWN)], np.float32)
        works[f"detector, {dims} coordinates, blind"] = _batches(Esr(stream.null), x)
        if dims > 1:
            works[f"detector, {dims} coordinates, library of {KNOWN}"] = _batches(Esr(stream.null, None, known), x)
        monitor = StreamMonitor(stream.null, 1e12, fingerprints=known)
        works[f"monitor, {dims} coordinates, library of {KNOWN}"] = _monitored(monitor, x)
        sizes[f"bytes of the detector, {dims} coordinates"] = [len(Esr(stream.null).state.to_bytes())]
    scalar, opinion = rng.standard_normal(frames).tolist(), PageHinkley()
    works["river PageHinkley, scalar"] = lambda: _opined(opinion, scalar)
    return _micros(works, frames, cell.get("rounds", int)) | sizes


def _opined(opinion: PageHinkley, values: list[float]) -> None:
    for value in values:
        opinion.update(value)  # type: ignore[no-untyped-call]  # river annotates in part


def _batches(esr: Esr, x: np.ndarray) -> Callable[[], object]:
    none = np.zeros(BATCH, bool)
    return lambda: [esr.update(x[at : at + BATCH], none) for at in range(0, len(x), BATCH)]


def _monitored(monitor: StreamMonitor, x: np.ndarray) -> Callable[[], object]:
    none, ones, at_ns = np.zeros(BATCH, bool), np.ones(BATCH, np.float32), np.arange(BATCH)
    parts = [Rows(x[at : at + BATCH], at_ns, none, none, ones) for at in range(0, len(x), BATCH)]
    return lambda: [monitor.update(part) for part in parts]


def _columns(layers: dict[str, np.ndarray], factors: Floats | None, start: int) -> Frames:
    rows = slice(start, start + BATCH)
    return Frames(
        station_id=STATION, view="top", agent_id="pc", boot_id="b", first_seq=start, purpose="production",
        captured_at_ns=START_NS + np.arange(start, start + BATCH) * 10**9, model_version="1",
        layers={name: values[rows] for name, values in layers.items()},
        factors={} if factors is None else {str(i): factors[rows, i].astype(np.float32) for i in range(FACTORS)},
    )  # fmt: skip


def _pipeline(
    rng: np.random.Generator, layers: dict[str, np.ndarray], factors: Floats | None
) -> tuple[Pipeline, bytes, Profile]:
    """With a profile of the first GOLDEN frames and a library, the record that activates it, and the profile."""
    scalars = {} if factors is None else {f"factor:{i}": factors[:GOLDEN, i] for i in range(FACTORS)}
    learned_of = {name: values[:GOLDEN].astype(np.float32) for name, values in layers.items()}
    golden = Golden(START_NS + np.arange(GOLDEN) * 10**9, learned_of, scalars, None)
    first = next(iter(layers))
    moves = {f"cause{number}": direction(rng, layers[first].shape[1]) for number in range(CAUSES)}
    reference = pinned(learned_of[first][:PINNED], moves, first) if len(layers) == 1 else None
    profile = build_profile(golden, Subject(STATION, "top", "", "1"), reference)
    assert isinstance(profile, Profile), profile
    sha = profile_sha(encode_profile(profile))
    event = pb.ProfileActivated(view="top", profile_sha=sha)
    activation = encode_control(STATION, pb.Control(control_id="c", at_ns=START_NS, profile_activated=event))
    return Pipeline({sha: profile}.__getitem__), activation, profile


def _layer(rng: np.random.Generator, frames: int) -> np.ndarray:
    mix = rng.standard_normal((LATENT, DIMS)) / 9
    return np.asarray(rng.standard_normal((frames, LATENT)) @ mix, np.float16)


def _core(cell: Cell) -> Figures:
    """One embedding stream with library, its T² and SPE, 512 -> 64, in batches of 32."""
    rng, batches = cell.rng, cell.get("batches", int)
    x = _layer(rng, GOLDEN + BATCH * batches)
    pipeline, activation, profile = _pipeline(rng, {"head": x}, None)
    records = [encode_frames(_columns({"head": x}, None, at)) for at in range(GOLDEN, len(x), BATCH)]
    project = rng.standard_normal((DIMS, KEPT)).astype(np.float32)
    works: dict[str, Callable[[], object]] = {
        "bare projection": lambda: [
            x[at : at + BATCH].astype(np.float32) @ project for at in range(GOLDEN, len(x), BATCH)
        ],
        "projection and detector with library": _projected(profile, x[GOLDEN:], _detector(profile)),
        "projection, detector and what dates": _projected(profile, x[GOLDEN:], _monitor(profile)),
        "decode": lambda: [decode(STATION, record, START_NS + 10**15, bool) for record in records],
        "whole core": _runs(pipeline, activation, records, cell.get("rounds", int)),
    }
    return _micros(works, BATCH * batches, cell.get("rounds", int))


def _projected(profile: Profile, x: np.ndarray, take: Callable[[np.ndarray], object]) -> Callable[[], object]:
    """One embedding stream by itself, to its coordinates and on."""
    basis = profile.layers["head"].basis
    return lambda: [
        take(apply_basis(basis, x[at : at + BATCH].astype(np.float32))[0]) for at in range(0, len(x), BATCH)
    ]


def _detector(profile: Profile) -> Callable[[np.ndarray], object]:
    esr = Esr(profile.null("embedding:head"), None, profile.fingerprints("embedding:head"))
    none = np.zeros(BATCH, bool)
    return lambda x: esr.update(x, none)


def _monitor(profile: Profile) -> Callable[[np.ndarray], object]:
    """The detector with the past by which it dates."""
    null, known = profile.null("embedding:head"), profile.fingerprints("embedding:head")
    monitor = StreamMonitor(null, 1e12, fingerprints=known)
    none, ones, at_ns = np.zeros(BATCH, bool), np.ones(BATCH, np.float32), np.arange(BATCH)
    return lambda x: monitor.update(Rows(x, at_ns, none, none, ones))


def _station(cell: Cell) -> Figures:
    """Three layers with slices, T² and SPE, nine factors; bytes of all it holds after these frames."""
    rng, batches = cell.rng, cell.get("batches", int)
    frames = GOLDEN + BATCH * batches
    layers = {f"layer{number}": _layer(rng, frames) for number in range(LAYERS)}
    factors = rng.standard_normal((frames, FACTORS))
    pipeline, activation, _ = _pipeline(rng, layers, factors)
    records = [encode_frames(_columns(layers, factors, at)) for at in range(GOLDEN, frames, BATCH)]
    state = StationState()
    _run(pipeline, [activation, *records], state)
    works = {"station": _runs(pipeline, activation, records, cell.get("rounds", int))}
    return _micros(works, BATCH * batches, cell.get("rounds", int)) | {"bytes of a station": [len(encode_state(state))]}


def _runs(pipeline: Pipeline, activation: bytes, records: list[bytes], rounds: int) -> Callable[[], object]:
    """The records from a state that has its profile, a fresh one each time."""
    states = []
    for _ in range(rounds + 1):
        states.append(StationState())
        _run(pipeline, [activation], states[-1])
    return lambda: _run(pipeline, records, states.pop(), 1)


def _run(pipeline: Pipeline, records: list[bytes], state: StationState, offset: int = 0) -> None:
    for number, record in enumerate(records):
        pipeline.step(state, STATION, record, offset + number, START_NS + 10**15)


def _edge(cell: Cell) -> Figures:
    """`observe` beside the reference model at 224 px, on the host's thread; then the worker's own cost of factors."""
    rounds = cell.get("rounds", int)
    picture = Image.fromarray(cell.rng.integers(0, 255, (480, 640, 3), np.uint8))
    model = ReferenceModel()
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1)).eval()
    tensor = torch.rand(1, 3, 64, 64)

    def host() -> None:
        with torch.inference_mode():
            for _ in range(200):
                network(tensor)

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(station_id=STATION, spool=SpoolSettings(path=str(Path(folder) / "s.db")))
        agent = EdgeAgent(settings, publish=False)
        bare = _micros({"bare": host}, 200, rounds)["bare"]
        agent.watch(network, {"head": "2"})
        hooked = _micros({"hooked": host}, 200, rounds)["hooked"]
        works: dict[str, Callable[[], object]] = {
            "reference model, 224 px": lambda: model([picture]),
            "observe(image=640x480, unit_id=...)": lambda: agent.observe(image=picture, unit_id="u"),
            "observe(unit_id=...)": lambda: agent.observe(unit_id="u"),
            "image factors of the small copy (the agent's thread)": lambda: image_factors(picture.reduce(4)),
        }
        found = _micros(works, 1, rounds)
        found["a hook: pool and copy"] = (np.array(hooked) - np.median(bare)).tolist()
        agent.close()
    return found
