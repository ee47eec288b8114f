"""The whole product on a simulated stream: a profile with all its streams (layer, slices, T², SPE, confidence)."""

from dataclasses import dataclass

import numpy as np

from benchmarks.cell import Floats
from benchmarks.streams import simulated
from sincewhen.processor.backtest import Recording
from sincewhen.processor.learn import Subject, build_profile
from sincewhen.profiles.profile import Profile
from sincewhen_testing.streams import direction, mixing

LATENT, DIMS = 48, 96  # of an embedding: what varies together, and its columns
GOLDEN, GOLDEN_MAX = 5000, 160_000
_NOISE = 0.1  # what each column does alone
_LIKELY, _UNSURE = 2.0, 0.5  # of the model's output, as a logit


@dataclass(frozen=True, slots=True)
class Whole:
    """A station's camera and model, and what was learned of its golden frames."""

    kind: str
    rng: np.random.Generator
    mix: Floats  # (LATENT, DIMS)
    decides: Floats  # (LATENT,) what the confidence goes by
    profile: Profile
    golden: int  # frames that it took

    @staticmethod
    def learn(rng: np.random.Generator, kind: str, subject: Subject | None = None) -> "Whole":
        """What is refused learns from twice the golden frames, as it is told."""
        mix, decides, golden = mixing(rng, LATENT, DIMS), direction(rng, LATENT), GOLDEN
        while True:
            seen = recorded(rng, simulated(kind, rng, golden, LATENT).x, mix, decides)
            found = build_profile(seen.golden(), subject)
            if isinstance(found, Profile):
                return Whole(kind, rng, mix, decides, found, golden)
            golden *= 2
            assert golden <= GOLDEN_MAX, (kind, found)

    def latent(self, frames: int) -> Floats:
        return simulated(self.kind, self.rng, frames, LATENT).x

    def recording(self, latent: Floats) -> Recording:
        return recorded(self.rng, latent, self.mix, self.decides)


def recorded(rng: np.random.Generator, latent: Floats, mix: Floats, decides: Floats) -> Recording:
    """Frames a second apart whose parts (n, LATENT) are these."""
    x = latent @ mix + _NOISE * rng.standard_normal((len(latent), mix.shape[1]))
    confidence = 1 / (1 + np.exp(-_LIKELY - _UNSURE * (latent @ decides)))
    return Recording({"x": x.astype(np.float32)}, np.arange(len(x)) * 10**9, {"confidence": confidence})
