"""Many stations that are alike: one profile under each one's name, and records that no two of them share."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.cell import Floats
from sincewhen.processor.learn import Subject, build_profile
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.profile import Profile
from sincewhen_schemas.encode import encode_frames
from sincewhen_schemas.frames import Frames, Strings
from sincewhen_testing.references import pinned
from sincewhen_testing.streams import direction

DIMS, LATENT, GOLDEN, BATCH, CAUSES, PINNED, FACTORS = 512, 80, 3000, 32, 14, 24, 9
START_NS = 1_760_000_000_000_000_000


@dataclass
class Many:
    """`count` stations, twenty on a line, each of one view: one layer with a library, its slices, T², SPE, confidence.

    factors: nine image factors beside them. spacing_ns: between frames. per_lot: frames, 0 = no lots are named.
    """

    rng: np.random.Generator
    count: int
    factors: bool
    spacing_ns: int
    per_lot: int = 0
    names: list[str] = field(init=False)
    profile: Profile = field(init=False)  # of the first station
    _mix: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.names = [f"mill/area/line{number // 20}/cam{number}" for number in range(self.count)]
        self._mix = self.rng.standard_normal((LATENT, DIMS)) / np.sqrt(LATENT)
        golden = self._frames(self.names[0], 0, GOLDEN, START_NS)
        layer = golden.layers["head"].astype(np.float32)
        scalars = {name: values.astype(np.float64) for name, values in golden.scalars.items()}
        moves = {f"cause{number}": direction(self.rng, DIMS) for number in range(CAUSES)}
        learned = Golden(golden.captured_at_ns, {"head": layer}, scalars, golden.context.get("lot"))
        reference = pinned(layer[:PINNED], moves, "head")
        profile = build_profile(learned, Subject(self.names[0], "top", "", "1"), reference)
        assert isinstance(profile, Profile), profile
        self.profile = profile

    def profiles(self) -> Iterator[Profile]:
        return (replace(self.profile, station_id=name) for name in self.names)

    def records(self, first: int) -> Iterator[tuple[str, bytes]]:
        """One of every station, of BATCH frames, the first of them behind the golden ones being 0."""
        for name in self.names:
            yield name, self.record(name, first, BATCH, START_NS + self.seq(first) * self.spacing_ns)

    def record(self, name: str, first: int, count: int, from_ns: int) -> bytes:
        """A station's frames from `first` on, captured from from_ns on."""
        return encode_frames(self._frames(name, self.seq(first), count, from_ns))

    @staticmethod
    def seq(first: int) -> int:
        """The sequence number of a frame behind the golden ones."""
        return GOLDEN + first

    def _frames(self, name: str, start: int, count: int, from_ns: int) -> Frames:
        x = self.rng.standard_normal((count, LATENT)) @ self._mix
        drawn = self.rng.standard_normal((count, FACTORS)).astype(np.float32)
        return Frames(
            station_id=name, view="top", agent_id="pc", boot_id="b", first_seq=start, purpose="production",
            captured_at_ns=from_ns + np.arange(count) * self.spacing_ns, model_version="1",
            layers={"head": x.astype(np.float16)}, confidence=self.rng.beta(20, 2, count).astype(np.float32),
            factors={f"f{at}": drawn[:, at] for at in range(FACTORS)} if self.factors else {},
            context={"lot": self._lots(start, count)} if self.per_lot else {},
        )  # fmt: skip

    def _lots(self, start: int, count: int) -> Strings:
        return np.array([f"L{number // self.per_lot}" for number in range(start, start + count)], object)
