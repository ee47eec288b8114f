"""Rational subgroups of every scalar stream for the screens, and second opinions on confidence and signals.

Beside them those of scores along known causes, which lines and plants compare.
"""

import numpy as np
from numpy.typing import NDArray

from sincewhen.detect.charts import accumulated_sigma
from sincewhen.detect.second_opinion import SecondOpinion
from sincewhen.detect.subgroups import RationalSubgroups, Subgroups
from sincewhen.processor.detections import Source
from sincewhen.processor.outputs import Outputs
from sincewhen.processor.state import ViewState
from sincewhen.profiles.streams import CAUSES
from sincewhen_schemas.frames import Frames
from sincewhen_schemas.messages import SecondOpinion as OpinionMessage
from sincewhen_schemas.messages import Subgroup

_ASKED = ("confidence", "signal:")


def opinions(
    view: ViewState,
    frames: Frames,
    source: Source,
    x: NDArray[np.float32],
    valid: NDArray[np.bool_],
    cuts: list[int],
    outputs: Outputs,
) -> None:
    """Take one stream's positions (n, d) of a batch; cuts: rows before which windows start anew."""
    if source.stream in source.profile.scalars:
        closed = _closed(view, source.stream, x[valid], frames.captured_at_ns[valid], _restarts(valid, cuts))
        own, shared = accumulated_sigma(source.profile.null(source.stream), closed.n)
        outputs.subgroups += _messages(source, (source.stream,), closed, own)
        _ask(view, source, closed, closed.mean[:, 0] / np.sqrt(own[:, 0] ** 2 + shared[0] ** 2), outputs)
    elif view.scores is not None and source.stream == f"embedding:{view.scores.layer}":
        scores = view.scores
        closed = _closed(view, CAUSES, scores.of(x[valid]), frames.captured_at_ns[valid], _restarts(valid, cuts))
        own = np.sqrt(scores.variance / closed.n[:, None])
        outputs.scores += _messages(source, scores.streams, closed, own)


def _restarts(valid: NDArray[np.bool_], cuts: list[int]) -> NDArray[np.bool_]:
    """Of the valid rows those before which windows start anew."""
    if not cuts:
        return np.zeros(int(valid.sum()), bool)
    begun = np.bincount(cuts, minlength=len(valid))
    return np.diff(np.cumsum(begun)[valid], prepend=0) > 0  # one before invalid rows is the next valid one's


def _closed(
    view: ViewState,
    name: str,
    x: NDArray[np.floating],
    at_ns: NDArray[np.int64],
    restart: NDArray[np.bool_],
) -> Subgroups:
    return view.subgroups.setdefault(name, RationalSubgroups(x.shape[1])).update(x, at_ns, restart)


def _messages(source: Source, streams: tuple[str, ...], closed: Subgroups, own: NDArray[np.float64]) -> list[Subgroup]:
    """Of each column of the closed subgroups, and sigma (k, d) of their means."""
    return [
        Subgroup(
            station_id=source.station_id,
            view=source.view,
            stream=stream,
            first_at_ns=int(first),
            last_at_ns=int(last),
            frames=int(n),
            mean=float(mean),
            sigma=float(sigma),
        )
        for first, last, n, means, sigmas in zip(
            closed.first_at_ns, closed.last_at_ns, closed.n, closed.mean, own, strict=True
        )
        for stream, mean, sigma in zip(streams, means, sigmas, strict=True)
    ]


def _ask(view: ViewState, source: Source, closed: Subgroups, z: NDArray[np.float64], outputs: Outputs) -> None:
    """Second opinions on standardised subgroup means z (k,)."""
    if not len(z) or not source.stream.startswith(_ASKED):
        return
    asked = view.opinions.setdefault(source.stream, SecondOpinion())
    outputs.second_opinions += [
        OpinionMessage(
            station_id=source.station_id,
            view=source.view,
            stream=source.stream,
            method=found.method.value,
            at_ns=int(closed.last_at_ns[found.row]),
        )
        for found in asked.update(z)
    ]
