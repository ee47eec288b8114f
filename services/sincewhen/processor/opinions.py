"""Rational subgroups of every scalar stream for the screens, and second opinions on confidence and signals.

Beside them those of scores along known causes, which lines and plants compare.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from sincewhen.detect.charts import accumulated_sigma
from sincewhen.detect.second_opinion import SecondOpinion, SecondOpinionState
from sincewhen.detect.subgroups import OpenSubgroups, RationalSubgroups, Subgroups
from sincewhen.processor.outputs import Outputs
from sincewhen.profiles.profile import Profile
from sincewhen.profiles.scores import CauseScores, cause_scores
from sincewhen.score.score import Scores
from sincewhen_schemas.frames import Frames
from sincewhen_schemas.messages import SecondOpinion as OpinionMessage
from sincewhen_schemas.messages import Subgroup

_ASKED = ("confidence", "signal:")
_ONE = np.ones(1, np.int64)


@dataclass(slots=True)
class Opinions:
    """Of one view under one profile."""

    profile: Profile
    subgroups: RationalSubgroups = field(init=False)  # of the profile's scalars
    along: RationalSubgroups = field(init=False)  # of scores along causes
    asked: dict[str, SecondOpinion] = field(default_factory=dict)
    _causes: CauseScores | None = field(init=False)
    _own: NDArray[np.float64] = field(init=False)  # (S,) sigma that one frame adds to a long sum
    _shared: NDArray[np.float64] = field(init=False)  # (S,) sigma that all frames share

    def __post_init__(self) -> None:
        scalars = self.profile.scalars
        self._causes = cause_scores(self.profile)
        sigmas = [accumulated_sigma(scalar.null, _ONE) for scalar in scalars.values()]
        self._own = np.array([own[0, 0] for own, _ in sigmas])
        self._shared = np.array([shared[0] for _, shared in sigmas])
        self.subgroups = RationalSubgroups(len(scalars), 1)
        self.along = RationalSubgroups(1, len(self._causes.streams) if self._causes else 0)

    def take(self, frames: Frames, scores: Scores, cuts: Mapping[str, Sequence[int]], outputs: Outputs) -> None:
        """Take a batch; cuts: by stream, frames before which its windows start anew."""
        streams, at_ns = tuple(self.profile.scalars), frames.captured_at_ns
        restart = np.zeros((len(streams), frames.n), bool)
        for row, stream in enumerate(streams):
            restart[row, cuts[stream]] = True
        closed = self.subgroups.update(scores.scalars[:, :, None], scores.scalars_valid, at_ns, restart)
        if len(closed.n):
            own = self._own[closed.stream] / np.sqrt(closed.n)
            mean = closed.mean[:, 0]
            names = [streams[row] for row in closed.stream.tolist()]
            outputs.subgroups += _messages(frames, names, closed, mean, own)
            self._ask(frames, names, closed, mean / np.hypot(own, self._shared[closed.stream]), outputs)
        if self._causes is not None:
            self._score(self._causes, frames, scores, cuts, outputs)

    def _score(
        self,
        causes: CauseScores,
        frames: Frames,
        scores: Scores,
        cuts: Mapping[str, Sequence[int]],
        outputs: Outputs,
    ) -> None:
        stream = f"embedding:{causes.layer}"
        restart = np.zeros(frames.n, bool)
        restart[cuts[stream]] = True
        x = causes.of(scores.positions[stream])
        closed = self.along.update(x[None], scores.valid[stream][None], frames.captured_at_ns, restart[None])
        if len(closed.n):
            own = np.sqrt(causes.variance / closed.n[:, None])
            for column, name in enumerate(causes.streams):
                names = [name] * len(closed.n)
                outputs.scores += _messages(frames, names, closed, closed.mean[:, column], own[:, column])

    def _ask(
        self, frames: Frames, names: Sequence[str], closed: Subgroups, z: NDArray[np.float64], outputs: Outputs
    ) -> None:
        """Second opinions on standardised subgroup means z (k,)."""
        for stream in dict.fromkeys(name for name in names if name.startswith(_ASKED)):
            rows = np.flatnonzero(np.array(names) == stream)
            if stream not in self.asked:
                self.asked[stream] = SecondOpinion()
            outputs.second_opinions += [
                OpinionMessage(
                    station_id=frames.station_id,
                    view=frames.view,
                    stream=stream,
                    method=found.method.value,
                    at_ns=int(closed.last_at_ns[rows[found.row]]),
                )
                for found in self.asked[stream].update(z[rows])
            ]

    def to_bytes(self) -> bytes:
        asked = {stream: opinion.state.to_bytes() for stream, opinion in self.asked.items()}
        return msgspec.msgpack.encode((self.subgroups.state.to_bytes(), self.along.state.to_bytes(), asked))

    @staticmethod
    def from_bytes(data: bytes, profile: Profile) -> "Opinions":
        """Of a view under the same profile."""
        subgroups, along, asked = msgspec.msgpack.decode(data, type=tuple[bytes, bytes, dict[str, bytes]])
        opinions = Opinions(profile)
        opinions.subgroups.state, opinions.along.state = map(OpenSubgroups.from_bytes, (subgroups, along))
        opinions.asked = {stream: SecondOpinion(SecondOpinionState.from_bytes(raw)) for stream, raw in asked.items()}
        return opinions


def _messages(
    frames: Frames, names: Sequence[str], closed: Subgroups, mean: NDArray[np.float64], sigma: NDArray[np.float64]
) -> list[Subgroup]:
    columns = (closed.first_at_ns, closed.last_at_ns, closed.n, mean, sigma)
    return [
        Subgroup(
            station_id=frames.station_id,
            view=frames.view,
            stream=stream,
            first_at_ns=first,
            last_at_ns=last,
            frames=n,
            mean=value,
            sigma=own,
        )
        for stream, first, last, n, value, own in zip(names, *(c.tolist() for c in columns), strict=True)
    ]
