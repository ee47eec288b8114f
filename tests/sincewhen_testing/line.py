"""Simulated stations of a line: their subgroups of one stream, with noise of their own and a flicker that all share."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sincewhen.correlator.bins import BIN_NS
from sincewhen.correlator.means import SiteMeans
from sincewhen.plant import Plant
from sincewhen.processor.outputs import Outputs
from sincewhen_schemas.messages import Detection, StationStatus, Subgroup
from sincewhen_testing.streams import noise

START_BIN = 176_000_000
STREAM = "factor:brightness"


def names(count: int, line: str = "ulm/body/line1") -> list[str]:
    return [f"{line}/cam{number:02d}" for number in range(count)]


def frames(
    rng: np.random.Generator,
    stations: int,
    count: int,
    *,
    phi: float = 0.0,
    shared: float = 0.0,
    shared_phi: float = 0.9,
) -> NDArray[np.float64]:
    """Unit-variance frames (count, stations) with lag-1 correlation phi; `shared` of the variance is one flicker."""
    own = noise(rng, count, stations, phi)
    return np.asarray(np.sqrt(1 - shared) * own + np.sqrt(shared) * noise(rng, count, 1, shared_phi))


def status(station: str) -> StationStatus:
    return StationStatus(
        station_id=station, view="top", state="in control", since_ns=0, profile_sha="p", frames=0, last_captured_at_ns=0
    )


def subgroups(
    station: str, x: NDArray[np.float64], per_bin: int, vt: float = 1.0, start: int = 0, stream: str = STREAM
) -> list[Subgroup]:
    """One subgroup a bin from frames (n,) of long-run variance vt, from bin `start` on."""
    means = x[: len(x) // per_bin * per_bin].reshape(-1, per_bin).mean(axis=1)
    first = (START_BIN + start + np.arange(len(means))) * BIN_NS
    return [
        Subgroup(
            station_id=station, view="top", stream=stream, first_at_ns=int(at), last_at_ns=int(at) + BIN_NS - 1,
            frames=per_bin, mean=float(mean), sigma=float(np.sqrt(vt / per_bin)),
        )
        for at, mean in zip(first, means, strict=True)
    ]  # fmt: skip


def together(by_station: Iterable[list[Subgroup]]) -> Iterator[list[Subgroup]]:
    """All stations' subgroups, bin by bin."""
    return ([group for group in column if group] for column in itertools.zip_longest(*by_station))


@dataclass
class Site:
    """Line and plant means fed record by record; append time grows as event time does."""

    means: SiteMeans = field(default_factory=lambda: SiteMeans("ulm"))
    plant: Plant = field(default_factory=Plant)
    found: list[Detection] = field(default_factory=list)

    def expect(self, stations: Iterable[str]) -> None:
        self.means.step(Outputs(statuses=[status(station) for station in stations]), START_BIN * BIN_NS, self.plant)

    def feed(self, groups: list[Subgroup], at_ns: int | None = None, detections: Iterable[Detection] = ()) -> None:
        now_ns = max(group.last_at_ns for group in groups) if at_ns is None else at_ns
        made = Outputs(subgroups=groups, detections=list(detections))
        self.found += self.means.step(made, now_ns, self.plant)

    def reload(self) -> None:
        self.means = SiteMeans.from_bytes(self.means.to_bytes())


def bin_of(at_ns: int) -> int:
    """Bins since the start."""
    return at_ns // BIN_NS - START_BIN
