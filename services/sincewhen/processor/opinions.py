"""Rational subgroups of every scalar stream for the screens, and second opinions on confidence and signals."""

import numpy as np
from numpy.typing import NDArray

from sincewhen.detect.charts import accumulated_sigma
from sincewhen.detect.second_opinion import SecondOpinion
from sincewhen.detect.subgroups import RationalSubgroups
from sincewhen.processor.detections import Source
from sincewhen.processor.outputs import Outputs
from sincewhen.processor.state import ViewState
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
    if source.stream not in source.profile.scalars:
        return
    restart = np.zeros(int(valid.sum()), bool)
    if cuts:
        begun = np.bincount(cuts, minlength=frames.n)
        restart = np.diff(np.cumsum(begun)[valid], prepend=0) > 0  # one before invalid rows is the next valid one's
    grouping = view.subgroups.setdefault(source.stream, RationalSubgroups(1))
    closed = grouping.update(x[valid], frames.captured_at_ns[valid], restart)
    if not len(closed.n):
        return
    own, shared = accumulated_sigma(source.profile.null(source.stream), closed.n)
    z = closed.mean[:, 0] / np.sqrt(own[:, 0] ** 2 + shared[0] ** 2)
    outputs.subgroups += [
        Subgroup(
            station_id=source.station_id,
            view=source.view,
            stream=source.stream,
            first_at_ns=int(first),
            last_at_ns=int(last),
            frames=int(n),
            mean=float(mean),
            sigma=float(sigma),
        )
        for first, last, n, mean, sigma in zip(
            closed.first_at_ns, closed.last_at_ns, closed.n, closed.mean[:, 0], own[:, 0], strict=True
        )
    ]
    if source.stream.startswith(_ASKED):
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
