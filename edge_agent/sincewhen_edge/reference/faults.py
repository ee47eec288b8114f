"""Physical camera faults on one image: `corrupt(image, cause, strength, rng)`.

An image I is (H, W, 3) float32 RGB in 0..1; lengths are shares of S, its shorter side, so that a camera of 128 and one
of 2,000 pixels get the same fault; results are clipped to 0..1, as a sensor does. A strength s of 1..5 is just visible
to severe; a fault grows with q = g^(s-1). The same rng gives the same fault: place, sign and axis of what does not
change from image to image (a lamp, dirt on the lens, a worn fixture) come from rng alone, noise, texture and the
axis of vibration from rng and the image.

    haze             I t + A (1 - t), t = 1 - .04 q, g = 1.9 (Koschmieder 1924), veil A = 1/2 + mean/2 of each colour,
                     and forward scatter: disc of radius .001 q S
    contrast_loss    mean + (I - mean) (1 - .05 q), g = 1.85
    defocus          disc of radius .002 q S, g = 2
    motion_blur      line of length .004 q S, g = 2, at a random angle
    glare            I + .04 q (spot of deviation .12 S + half of one of .06 S mirrored at the centre), g = 2.1
    brightness_up    I (1 + .03 q), g = 2
    brightness_down  I (1 - .03 q), g = 2
    noise            deviation .004 q √((1 + 2 I)/2) as seen at 128 pixels, g = 2: read noise, and at I = 1/2 as much
                     shot noise; grains of a pixel, at least S/256; one value a grain of a grey image, else three
    rotation         ± .5 q degrees, g = 2
    offset           .004 q S in a random direction, g = 2
    zoom             magnified by 1 ± .0075 q, g = 2
    texture          I (1 + .005 q f), g = 2; f of deviation 1: octaves of 32 to 256 grains a side, power 1/frequency
    dirt             I Π (1 - .04 q b), g = 2, 8 soft discs b of radius .02 S to .09 S
    colour_cast      red e^(±k), blue e^(∓k) at the same luminance, k = .01 q, g = 1.9
"""

import math
import zlib
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from sincewhen_edge.reference.optics import Picture, blurred, disc, distance, grain, line, moved
from sincewhen_schemas.reference import STRENGTHS

Rng: TypeAlias = np.random.Generator
Fault: TypeAlias = Callable[[Picture, float, Rng], Picture]
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
_NOISE_SIDE, _GRAINS_MAX = 128, 256
_OCTAVES = (32, 64, 128, 256)
_SPECKS = 8


def corrupt(image: Picture, cause: str, strength: float, rng: Rng) -> Picture:
    """The same image under a fault, of any strength up to 5; rng is used up."""
    fault = _FAULTS.get(cause)
    if fault is None:
        raise ValueError(f"a cause is one of {', '.join(CAUSES)}; got {cause!r}: name one of them")
    if not 0 < strength <= STRENGTHS[-1]:
        raise ValueError(f"a strength is above 0 and at most {STRENGTHS[-1]}; got {strength}: 3 is plain to see")
    if image.shape[2:] != (3,) or image.dtype != np.float32:
        raise ValueError(f"an image is (H, W, 3) float32 in 0..1; got {image.shape} {image.dtype}: convert it to RGB")
    change, growth = fault
    changed: Picture = np.clip(change(image, growth ** (strength - 1), rng), 0, 1).astype(np.float32)
    return changed


def _haze(image: Picture, q: float, _rng: Rng) -> Picture:
    lost = np.float32(0.04 * q)
    veil = (1 + image.mean(axis=(0, 1))) / np.float32(2)
    veiled: Picture = blurred(image, disc(0.001 * q * min(image.shape[:2]))) * (1 - lost) + veil * lost
    return veiled


def _contrast_loss(image: Picture, q: float, _rng: Rng) -> Picture:
    mean = image.mean(axis=(0, 1))
    flat: Picture = mean + (image - mean) * np.float32(1 - 0.05 * q)
    return flat


def _defocus(image: Picture, q: float, _rng: Rng) -> Picture:
    return blurred(image, disc(0.002 * q * min(image.shape[:2])))


def _motion_blur(image: Picture, q: float, rng: Rng) -> Picture:
    angle = _of_image(image, rng).uniform(0, math.pi)
    return blurred(image, line(0.004 * q * min(image.shape[:2]), angle))


def _glare(image: Picture, q: float, rng: Rng) -> Picture:
    x, y = rng.uniform(0.2, 0.8, 2)
    spot = np.exp(-0.5 * (distance(image.shape[:2], x, y) / 0.12) ** 2)
    ghost = np.exp(-0.5 * (distance(image.shape[:2], 1 - x, 1 - y) / 0.06) ** 2)
    lit: Picture = image + np.float32(0.04 * q) * (spot + ghost / 2)[:, :, None]
    return lit


def _brightness_up(image: Picture, q: float, _rng: Rng) -> Picture:
    return image * np.float32(1 + 0.03 * q)


def _brightness_down(image: Picture, q: float, _rng: Rng) -> Picture:
    return image * np.float32(1 - 0.03 * q)


def _noise(image: Picture, q: float, rng: Rng) -> Picture:
    rng = _of_image(image, rng)
    grey = bool((image == image[:, :, :1]).all())
    seen = min(_GRAINS_MAX, *image.shape[:2]) / _NOISE_SIDE  # grains in a pixel of 128 a side average out
    fields = [grain(image.shape[:2], _GRAINS_MAX, rng) for _ in range(1 if grey else 3)]
    return image + np.float32(0.004 * q * seen) * np.sqrt((1 + 2 * image) / 2) * np.stack(fields, axis=2)


def _rotation(image: Picture, q: float, rng: Rng) -> Picture:
    return moved(image, angle=math.radians(0.5 * q) * rng.choice([-1, 1]))


def _offset(image: Picture, q: float, rng: Rng) -> Picture:
    angle, length = rng.uniform(0, 2 * math.pi), 0.004 * q * min(image.shape[:2])
    return moved(image, right=length * math.cos(angle), down=length * math.sin(angle))


def _zoom(image: Picture, q: float, rng: Rng) -> Picture:
    return moved(image, zoom=1 + 0.0075 * q * rng.choice([-1, 1]))


def _texture(image: Picture, q: float, rng: Rng) -> Picture:
    rng = _of_image(image, rng)
    octaves = [cells for cells in _OCTAVES if cells <= min(image.shape[:2])] or [min(image.shape[:2])]
    fields = [grain(image.shape[:2], cells, rng) / np.float32(math.sqrt(cells)) for cells in octaves]
    field = np.sum(fields, axis=0, dtype=np.float32)
    rough: Picture = image * (1 + np.float32(0.005 * q) * (field / field.std())[:, :, None])
    return rough


def _dirt(image: Picture, q: float, rng: Rng) -> Picture:
    light = np.ones(image.shape[:2], np.float32)
    for x, y, size in zip(*rng.uniform(size=(3, _SPECKS)), strict=True):
        edge = np.clip(1.5 - distance(image.shape[:2], x, y) / (0.02 + 0.07 * size**2), 0, 1)
        light *= 1 - np.float32(0.04 * q) * edge * edge * (3 - 2 * edge)
    return image * light[:, :, None]


def _colour_cast(image: Picture, q: float, rng: Rng) -> Picture:
    k = 0.01 * q * rng.choice([-1, 1])
    gains = np.array([math.exp(k), 1, math.exp(-k)], np.float32)
    return image * gains / (gains @ _LUMINANCE)


def _of_image(image: Picture, rng: Rng) -> Rng:
    """For what is new in every image."""
    return np.random.default_rng([int(rng.integers(2**32)), zlib.crc32(image.tobytes())])


_FAULTS: dict[str, tuple[Fault, float]] = {
    "haze": (_haze, 1.9),
    "contrast_loss": (_contrast_loss, 1.85),
    "defocus": (_defocus, 2.0),
    "motion_blur": (_motion_blur, 2.0),
    "glare": (_glare, 2.1),
    "brightness_up": (_brightness_up, 2.0),
    "brightness_down": (_brightness_down, 2.0),
    "noise": (_noise, 2.0),
    "rotation": (_rotation, 2.0),
    "offset": (_offset, 2.0),
    "zoom": (_zoom, 2.0),
    "texture": (_texture, 2.0),
    "dirt": (_dirt, 2.0),
    "colour_cast": (_colour_cast, 1.9),
}
CAUSES = tuple(_FAULTS)
