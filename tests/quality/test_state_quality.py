"""What a plant's streams cost in memory, and that nothing is lost through their bytes."""

import numpy as np

from sincewhen.onset.ledger import BLOCKS_MAX, LEVELS
from sincewhen.processor.event import Rows
from sincewhen.processor.learn import build_profile
from sincewhen.processor.monitor import StreamMonitor
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.profile import Profile
from sincewhen.score.score import score
from sincewhen_testing.streams import mixing, noise

GOLDEN, ROWS, TURNS, LATENT, DIMS, FACTORS = 5500, 4000, 12, 70, 128, 9
STREAMS, BYTES_MAX = 10_000, 200e6


def test_ten_thousand_streams_of_stations_with_slices_fit_and_survive_their_bytes() -> None:
    """Stations of one layer with its slices, T² and SPE, nine factors, confidence, their ledgers full."""
    seed = 950
    rng = np.random.default_rng(seed)
    mix = mixing(rng, LATENT, DIMS)
    names = [*(f"factor:{number}" for number in range(FACTORS)), "confidence"]

    def frames(n: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        latent = noise(rng, n, LATENT)
        return {"head": (latent @ mix).astype(np.float32)}, {name: latent[:, at] for at, name in enumerate(names)}

    layers, scalars = frames(GOLDEN)
    profile = build_profile(Golden(np.arange(GOLDEN) * 10**9, layers, scalars))
    assert isinstance(profile, Profile)
    kept, copies = ({s: StreamMonitor(profile.null(s), 1e12) for s in profile.streams} for _ in range(2))
    for turn in range(TURNS):
        layers, scalars = frames(ROWS)
        scores = score(profile, layers, scalars, n=ROWS)
        none = np.zeros(ROWS, bool)
        for stream, monitor in kept.items():
            at_ns = (turn * ROWS + np.arange(ROWS)) * 10**9
            rows = Rows(scores.positions[stream], at_ns, none, none, scores.doubt, layer=scores.layer(stream))
            keep = scores.valid[stream]
            events, ln_z = monitor.update(rows.only(keep, monitor.owed))
            copied = StreamMonitor.from_bytes(copies[stream].to_bytes(), profile.null(stream), 1e12)
            again, ln_z_again = copied.update(rows.only(keep, copied.owed))
            assert events == again
            assert ln_z.tobytes() == ln_z_again.tobytes()
            copies[stream] = copied
    assert all(copies[stream].to_bytes() == kept[stream].to_bytes() for stream in kept)
    sizes = {stream: len(monitor.to_bytes()) + _ledger_left(monitor) for stream, monitor in kept.items()}
    total = STREAMS * np.mean(list(sizes.values()))
    print(f"seed {seed}: {STREAMS} streams of such stations take {total / 1e6:.0f} MB; bytes of each {sizes}")
    assert total <= BYTES_MAX


def _ledger_left(monitor: StreamMonitor) -> int:
    """Bytes that its ledger grows by until it forgets: 16 million frames are too many to feed."""
    assert monitor.state is not None
    blocks = monitor.state.history.blocks
    held = len(blocks.level)
    assert held > BLOCKS_MAX
    return (LEVELS * BLOCKS_MAX - held) * sum(column.nbytes for column in blocks.columns) // held
