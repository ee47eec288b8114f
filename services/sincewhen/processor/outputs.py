"""What one record of the log makes: rows for the store and messages, all with deterministic ids."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sincewhen.ingest.decode import HeartbeatRecord
from sincewhen_schemas.frames import Frames, Strings
from sincewhen_schemas.messages import (
    Activation,
    BlindTime,
    DeadLetter,
    Detection,
    StationState,
    StationStatus,
    Subgroup,
)
from sincewhen_schemas.messages import SecondOpinion as OpinionMessage


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """Frames that were not seen before, and ln Z of each stream after each of them (NaN where not judged)."""

    frames: Frames
    offset: int
    appended_at_ns: int
    state: StationState
    shift: Strings  # (n,) with its production day, "" = none
    embeddings: Strings  # (n,) "all": kept for a short time, "sampled": as long as units, "": not kept
    ln_z: dict[str, NDArray[np.float32]]  # (n,) each


@dataclass(slots=True)
class Outputs:
    batches: list[ScoredBatch] = field(default_factory=list)
    detections: list[Detection] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    blind_times: list[BlindTime] = field(default_factory=list)
    statuses: list[StationStatus] = field(default_factory=list)
    activations: list[Activation] = field(default_factory=list)
    subgroups: list[Subgroup] = field(default_factory=list)
    scores: list[Subgroup] = field(default_factory=list)  # along known causes: for lines and plants, not kept
    second_opinions: list[OpinionMessage] = field(default_factory=list)
    heartbeats: list[HeartbeatRecord] = field(default_factory=list)

    def add(self, other: "Outputs") -> None:
        for name in self.__slots__:
            getattr(self, name).extend(getattr(other, name))
