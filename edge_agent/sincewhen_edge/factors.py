"""Image factors: physical properties of one image, from a copy that is made small at once.

With grey g in 0..1 on at most 160 pixels a side: brightness = mean; contrast = standard deviation; sharpness =
standard deviation of the Laplacian over contrast; glare = share of pixels above 0.97; noise = robust deviation of
half the mixed second difference, which is the noise of a flat image; colour_cast_red and _blue = log of mean red and
mean blue over mean green.
Offset and rotation come from the image's second moments of |gradient| : the centre of gravity (share of the width and
height) and the principal axis (degrees, only where the moments have a clear axis, else NaN).
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE_MAX = 160
_GLARE = 0.97
_ELONGATED_MIN = 1.3  # ratio of the principal moments from which an axis can be told
_MAD_TO_SD = 1.4826


def image_factors(image: Image.Image) -> dict[str, float]:
    """Every factor of one image (any mode that converts to RGB)."""
    small = image.convert("RGB")
    small.thumbnail((SIDE_MAX, SIDE_MAX), Image.Resampling.BOX)
    rgb = np.asarray(small, np.float32) / 255
    grey: NDArray[np.float32] = (rgb @ np.array([0.299, 0.587, 0.114])).astype(np.float32)
    means = np.maximum(rgb.reshape(-1, 3).mean(axis=0), 1e-3)
    contrast = float(grey.std())
    return {
        "brightness": float(grey.mean()),
        "contrast": contrast,
        "sharpness": _sharpness(grey, contrast),
        "glare": float((grey > _GLARE).mean()),
        "noise": _noise(grey),
        "colour_cast_red": math.log(means[0] / means[1]),
        "colour_cast_blue": math.log(means[2] / means[1]),
        **_pose(grey),
    }


def _sharpness(grey: NDArray[np.float32], contrast: float) -> float:
    if min(grey.shape) < 3 or contrast <= 0:  # noqa: PLR2004 - the Laplacian's width
        return math.nan
    centre = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * centre
    return float(laplacian.std()) / contrast


def _noise(grey: NDArray[np.float32]) -> float:
    if min(grey.shape) < 2:  # noqa: PLR2004 - a difference needs two rows
        return math.nan
    difference = (grey[1:, 1:] - grey[:-1, 1:] - grey[1:, :-1] + grey[:-1, :-1]) / 2
    return float(np.median(np.abs(difference)) * _MAD_TO_SD)


def _pose(grey: NDArray[np.float32]) -> dict[str, float]:
    down, right = np.gradient(grey) if min(grey.shape) > 1 else (np.zeros_like(grey), np.zeros_like(grey))
    weight = np.hypot(down, right)
    total = float(weight.sum())
    if total <= 0:
        return {"offset_x": math.nan, "offset_y": math.nan, "rotation": math.nan}
    height, width = grey.shape
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width]).reshape(2, 1, 1)
    centre_x, centre_y = float((weight * x).sum()) / total, float((weight * y).sum()) / total
    dx, dy = (x - centre_x) * width, (y - centre_y) * height
    xx, yy, xy = (float((weight * product).sum()) / total for product in (dx * dx, dy * dy, dx * dy))
    spread = math.hypot(xx - yy, 2 * xy)
    long, short = (xx + yy + spread) / 2, max((xx + yy - spread) / 2, 1e-12)
    rotation = math.degrees(0.5 * math.atan2(2 * xy, xx - yy)) if long / short > _ELONGATED_MIN else math.nan
    return {"offset_x": centre_x - 0.5, "offset_y": centre_y - 0.5, "rotation": rotation}
