"""Three stations of a line that all get brighter at once, and what the embedded product says of their records."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import msgspec
import numpy as np

from sincewhen.correlator.bins import BIN_NS
from sincewhen.correlator.mean import MEAN_BINS
from sincewhen.correlator.reference import SERIES_BINS
from sincewhen.embedded.runner import Runner
from sincewhen.plant import Plant
from sincewhen.processor.learn import Subject, build_profile
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.profile import Profile, encode_profile, profile_sha
from sincewhen_schemas.encode import encode_frames
from sincewhen_schemas.frames import Frames
from sincewhen_schemas.messages import Incident
from sincewhen_testing.line import names
from sincewhen_testing.station import START_NS, activation, frames_of

STATIONS = names(3)
GOLDEN = 600  # frames
LEARNED_BINS = MEAN_BINS + SERIES_BINS + 60  # then the line's mean is watched
CALM_BINS, BRIGHT_BINS = 40, 120
Records: TypeAlias = list[tuple[str, bytes]]


@dataclass
class RecordedLine:
    """step_ns: between frames. Brightness (frames, stations) rises by one standard deviation at `onset`."""

    seed: int
    step_ns: int = BIN_NS
    profiles: list[Profile] = field(init=False)

    def __post_init__(self) -> None:
        per_bin = BIN_NS // self.step_ns
        self.learned = GOLDEN + LEARNED_BINS * per_bin
        self.onset = self.learned + CALM_BINS * per_bin
        self.end = self.onset + BRIGHT_BINS * per_bin
        self._x = np.random.default_rng(self.seed).standard_normal((self.end, len(STATIONS)))
        self._x[self.onset :] += 1.0
        self.profiles = [self._profile(number) for number in range(len(STATIONS))]

    @property
    def frames(self) -> int:
        """Of all stations, less the golden ones."""
        return (self.end - GOLDEN) * len(STATIONS)

    def activations(self) -> Records:
        shas = [profile_sha(encode_profile(profile)) for profile in self.profiles]
        return [(station, activation(sha, station)) for station, sha in zip(STATIONS, shas, strict=True)]

    def parts(self, first: int, stop: int, size: int) -> Iterator[Records]:
        """Records of `size` frames, one of every station at a time."""
        for start in range(first, stop, size):
            rows = np.arange(start, min(start + size, stop))
            yield [
                (station, encode_frames(self._frames(station, number, rows))) for number, station in enumerate(STATIONS)
            ]

    def embedded(self, folder: Path, parts: Iterable[Records]) -> list[Incident]:
        """What the embedded product says of records."""
        runner = Runner(folder, Plant())
        backend = runner.backend()
        for profile in self.profiles:
            backend.profiles.keep(profile)
        runner.start()
        for part in parts:
            runner.append(part)
        while runner.backlog:
            assert runner.alive
        found = said(runner.incidents.values())
        runner.stop()
        return found

    def _frames(self, station: str, number: int, rows: np.ndarray) -> Frames:
        brightness = self._x[rows, number].astype(np.float32)
        at_ns = START_NS + rows * self.step_ns
        return frames_of(station, int(rows[0]), at_ns, factors={"brightness": brightness})

    def _profile(self, number: int) -> Profile:
        golden = Golden(
            START_NS + np.arange(GOLDEN) * self.step_ns,
            {},
            {"factor:brightness": self._x[:GOLDEN, number].astype(np.float32).astype(np.float64)},
            np.full(GOLDEN, "", object),
        )
        profile = build_profile(golden, Subject(STATIONS[number], "top", "", "1"))
        assert isinstance(profile, Profile), profile
        return profile


def said(incidents: Iterable[Incident]) -> list[Incident]:
    """Of the line's stations, those that are no part of another one; versions count how often something was told."""
    line = STATIONS[0].rpartition("/")[0]
    own = [item for item in incidents if item.station_id.startswith(line) and not item.merged_into]
    return sorted((msgspec.structs.replace(item, version=0) for item in own), key=lambda item: item.incident_id)
