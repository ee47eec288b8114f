"""What can be looked at: typical pictures."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sincewhen.report.judged import Judged
from sincewhen.scan.archive import READ_ERRORS
from sincewhen.scan.features import opened
from sincewhen.scan.order import Picture

JPEG_BYTES_MAX = 30_000
_SIDES, _QUALITIES = (320, 240, 160, 96), (85, 70, 55, 40)


def jpeg_uri(picture: Picture) -> str | None:
    """A data URI of at most JPEG_BYTES_MAX, or None where the file can't be read any more."""
    try:
        image = opened(picture)
    except READ_ERRORS:
        return None
    for side in _SIDES:
        small = image.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        for quality in _QUALITIES:
            data = io.BytesIO()
            small.save(data, "JPEG", quality=quality)
            coded = base64.b64encode(data.getvalue()).decode()
            if len(coded) <= JPEG_BYTES_MAX:
                return f"data:image/jpeg;base64,{coded}"
    return None


def typical(verdict: Judged, numbers: NDArray[np.int64], count: int) -> list[int]:
    """Pictures nearest to the median of these in the whitened space, in order."""
    assert verdict.scores is not None
    rows = np.flatnonzero(np.isin(verdict.judged, numbers))
    spaces = [v[rows] for name, v in verdict.scores.positions.items() if name.startswith("embedding:")]
    spaces = spaces or [v[rows] for v in verdict.scores.positions.values()]
    space = np.concatenate(spaces, axis=1)
    distance = np.linalg.norm(space - np.median(space, axis=0), axis=1)
    return sorted(int(verdict.judged[row]) for row in rows[np.argsort(distance, kind="stable")[:count]])
