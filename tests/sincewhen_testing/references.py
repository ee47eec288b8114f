"""A reference set of known causes: each moves every pinned image's embedding along its own direction."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sincewhen_schemas.reference import STRENGTHS, ReferenceSet
from sincewhen_testing.station import STATION


def pinned(clean: NDArray[np.floating], moves: Mapping[str, NDArray[np.floating]], layer: str = "head") -> ReferenceSet:
    """Of embeddings (m, d) and what each cause adds at strength 1, (d,). Decisions flip from strength 3 on."""
    steps = np.array(STRENGTHS, float)[:, None, None]
    faults = np.stack([clean + steps * move for move in moves.values()])
    flipped = np.where(np.array(STRENGTHS) < 3, "good", "scratch").astype(object)
    grid = (len(moves), len(STRENGTHS), len(clean))
    return ReferenceSet(
        station_id=STATION,
        view="top",
        regime="",
        model_name="net",
        model_version="1",
        built_at_ns=1_750_000_000_000_000_000,
        seed=1,
        causes=tuple(moves),
        images=tuple(f"{number:016x}" for number in range(len(clean))),
        clean={layer: clean.astype(np.float16)},
        faults={layer: faults.astype(np.float16)},
        decision_clean=np.full(len(clean), "good", object),
        decision_faults=np.broadcast_to(flipped[:, None], grid).copy(),
    )
