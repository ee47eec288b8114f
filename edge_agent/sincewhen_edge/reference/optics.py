"""Blur, displacement and random fields on images (H, W, 3) float32. Lengths are in pixels, borders are reflected."""

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture: TypeAlias = NDArray[np.float32]
_POINTS_A_PIXEL = 16
_FINE_SIDE = 1024  # a larger picture is made smaller on its way to the model
_CUBIC_REACH = 4
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def disc(radius: float) -> Picture:
    """The kernel of a lens out of focus: points at equal density over a disc (Vogel's spiral)."""
    points = np.arange(math.ceil(_POINTS_A_PIXEL * max(1.0, math.pi * radius**2))) + 0.5
    distance, angle = radius * np.sqrt(points / len(points)), _GOLDEN_ANGLE * points
    return _kernel(distance * np.cos(angle), distance * np.sin(angle))


def line(length: float, angle: float) -> Picture:
    """The kernel of an even movement during exposure; angle in radians."""
    steps = math.ceil(_POINTS_A_PIXEL * max(1.0, length))
    along = length * ((np.arange(steps) + 0.5) / steps - 0.5)
    return _kernel(along * math.cos(angle), along * math.sin(angle))


def blurred(image: Picture, kernel: Picture) -> Picture:
    """Convolution with an odd square kernel, by FFT, one colour at a time."""
    height, width = image.shape[:2]
    reach = len(kernel) // 2
    shape = (_quick(height + 2 * reach), _quick(width + 2 * reach))
    transfer = np.fft.rfft2(kernel, shape)
    planes = []
    for colour in range(image.shape[2]):
        wide = np.pad(image[:, :, colour], reach, mode="symmetric")
        spread = np.fft.irfft2(np.fft.rfft2(wide, shape) * transfer, shape)
        planes.append(spread[2 * reach :, 2 * reach :][:height, :width].astype(np.float32))
    return np.stack(planes, axis=2)


def moved(image: Picture, angle: float = 0.0, zoom: float = 1.0, right: float = 0.0, down: float = 0.0) -> Picture:
    """Turned about the centre (radians), magnified, then displaced.

    Cubic interpolation blurs half-pixel moves; a small picture, whose pixels the model sees, is first made finer.
    """
    height, width = image.shape[:2]
    fine = 2 if min(height, width) < _FINE_SIDE else 1
    longest = max(height, width)
    reach = math.ceil((abs(angle) + abs(zoom - 1)) * longest + max(abs(right), abs(down))) + _CUBIC_REACH
    wide = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    cosine, sine = math.cos(angle) / zoom, math.sin(angle) / zoom
    x, y = width / 2 + right, height / 2 + down  # where the centre comes to lie
    from_x = width / 2 + reach - cosine * x - sine * y
    from_y = height / 2 + reach + sine * x - cosine * y
    back = tuple(fine * number for number in (cosine, sine, from_x, -sine, cosine, from_y))
    planes = []
    for colour in range(image.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(wide[:, :, colour]))
        plane = plane.resize((fine * plane.width, fine * plane.height), Image.Resampling.LANCZOS)
        plane = plane.transform((width, height), Image.Transform.AFFINE, back, Image.Resampling.BICUBIC)
        planes.append(np.asarray(plane, np.float32))
    return np.stack(planes, axis=2)


def grain(shape: tuple[int, int], cells: int, rng: np.random.Generator) -> Picture:
    """Gaussian noise (H, W), mean 0 and deviation 1, with about `cells` independent values along the shorter side."""
    scale = min(1.0, cells / min(shape))
    height, width = (max(2, round(length * scale)) for length in shape)
    coarse = Image.fromarray(rng.standard_normal((height, width), np.float32))
    field = np.asarray(coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC), np.float32)
    even: Picture = (field - field.mean()) / field.std()
    return even


def distance(shape: tuple[int, int], x: float, y: float) -> Picture:
    """Of every pixel (H, W) from a place given as shares of the width and height, in shares of the shorter side."""
    height, width = shape
    right = (np.arange(width, dtype=np.float32) + np.float32(0.5 - x * width)) / min(shape)
    down = (np.arange(height, dtype=np.float32) + np.float32(0.5 - y * height)) / min(shape)
    found: Picture = np.hypot(right, down[:, None])
    return found


def _quick(length: int) -> int:
    """A length, not much more, that an FFT takes quickly: few bits and then zeros."""
    step = 1 << max(0, length.bit_length() - 4)
    return -(-length // step) * step


def _kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> Picture:
    """Points (n,) as an odd square kernel of sum 1, each shared by the 4 pixels around it."""
    reach = math.ceil(max(np.abs(x).max(), np.abs(y).max())) + 1
    side = 2 * reach + 1
    column, row = np.floor(x), np.floor(y)
    right, down = x - column, y - row
    place = ((row + reach) * side + column + reach).astype(np.int64)
    kernel = np.zeros(side * side)
    for step, share in (
        (0, (1 - right) * (1 - down)),
        (1, right * (1 - down)),
        (side, (1 - right) * down),
        (side + 1, right * down),
    ):
        kernel += np.bincount(place + step, share, side * side)
    square: Picture = (kernel / kernel.sum()).reshape(side, side).astype(np.float32)
    return square
