"""Images as people hand them over, made small at once: only the small copy goes on.

PIL image; uint8 array (H, W), (H, W, 3) or (H, W, 4); float tensor or array (C, H, W) or (N, C, H, W) with C 1 or 3.
"""

import math
import sys
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sincewhen_edge.factors import SIDE_MAX
from sincewhen_edge.settings import ModelSettings
from sincewhen_edge.tensors import Value, hold, is_tensor

_MAPS, _BATCH, _GREY = 3, 4, 2
_RGB, _RGBA = 3, 4


def count(image: Value) -> int:
    """How many frames an image stands for. Raises ValueError where it has no known form."""
    if isinstance(image, Image.Image):
        return 1
    shape: tuple[int, ...] = tuple(getattr(image, "shape", ()))
    if isinstance(image, np.ndarray) and image.dtype == np.uint8:
        if len(shape) == _GREY or (len(shape) == _MAPS and shape[2] in {1, _RGB, _RGBA}):
            return 1
    elif len(shape) == _MAPS and shape[0] in {1, _RGB}:
        return 1
    elif len(shape) == _BATCH and shape[1] in {1, _RGB}:
        return int(shape[0])
    got = f"{type(image).__name__} of shape {shape}" if shape else type(image).__name__
    raise ValueError(f"an image is PIL, uint8 (H, W, 3), or float (C, H, W) or (N, C, H, W); got {got}")


def reduced(image: Value) -> Value:
    """A small copy to hold on to; on the tensor's own device."""
    if isinstance(image, Image.Image):
        factor = math.ceil(max(image.size) / SIDE_MAX)
        return image.reduce(factor) if factor > 1 else image.copy()
    if isinstance(image, np.ndarray):
        if image.dtype == np.uint8:
            return reduced(Image.fromarray(image.squeeze()))
        step = math.ceil(max(image.shape[-2:]) / SIDE_MAX)
        return image[..., ::step, ::step].copy()
    assert is_tensor(image)
    height, width = image.shape[-2:]
    factor = math.ceil(max(height, width) / SIDE_MAX)
    if factor > 1:
        pool = sys.modules["torch"].nn.functional.adaptive_avg_pool2d
        image = pool(image.detach().float(), (max(1, height // factor), max(1, width // factor)))
    return hold(image)


def pictures(small: Value, model: ModelSettings) -> list[Image.Image]:
    """The settled small copy as PIL images, one a frame."""
    if isinstance(small, Image.Image):
        return [small]
    batch = small.astype(np.float32) * model.image_std + model.image_mean
    if batch.ndim == _MAPS:
        batch = batch[None]
    scaled = (np.clip(np.nan_to_num(batch), 0, 1) * 255).round().astype(np.uint8).transpose(0, 2, 3, 1)
    return [Image.fromarray(cast("NDArray[np.uint8]", rows.squeeze())) for rows in scaled]
