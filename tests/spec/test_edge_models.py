"""A model from a file gives embeddings by layer and scores, whatever it was exported from."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from sincewhen_edge.models import ModelError, load_model

SIDE = 16
FLOAT = TensorProto.FLOAT
Dims: TypeAlias = Sequence[str | int]


def picture(red: int, green: int, blue: int) -> Image.Image:
    return Image.new("RGB", (40, 30), (red, green, blue))


def write_onnx(
    path: Path,
    outputs: dict[str, Dims],
    shape: Dims = ("n", 3, SIDE, SIDE),
    kind: int = FLOAT,
) -> str:
    """A network that can give the input ("map"), its mean colour ("embedding"), scores and their class ("label")."""
    weights = np.array([[1, 0], [0, 1], [-1, -1]], np.float32)[: int(shape[1])]
    nodes = [
        helper.make_node("Cast", ["image"], ["map"], to=FLOAT),
        helper.make_node("GlobalAveragePool", ["map"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["embedding"]),
        helper.make_node("MatMul", ["embedding", "weights"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", kind, shape)],
        [
            helper.make_tensor_value_info(name, TensorProto.INT64 if name == "label" else FLOAT, dims)
            for name, dims in outputs.items()
        ],
        [numpy_helper.from_array(weights, "weights")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(made, str(path))
    return str(path)


ALL: dict[str, Dims] = {"map": ["n", 3, SIDE, SIDE], "scores": ["n", 2], "embedding": ["n", 3], "label": ["n"]}


def test_an_onnx_file_gives_scores_and_layers_by_the_names_of_its_outputs(tmp_path: Path) -> None:
    model = load_model(write_onnx(tmp_path / "net.onnx", ALL), SIDE)
    layers, scores = model([picture(255, 0, 51), picture(0, 102, 0)])
    assert (model.name, len(model.version)) == ("net", 12)
    assert list(layers) == ["map", "embedding"]
    np.testing.assert_allclose(layers["embedding"], [[1, 0, 0.2], [0, 0.4, 0]], atol=1e-6)
    np.testing.assert_allclose(layers["map"], layers["embedding"], atol=1e-6)
    np.testing.assert_allclose(scores, [[0.8, -0.2], [0, 0.4]], atol=1e-6)


def test_an_only_output_of_an_onnx_file_is_the_layer_output(tmp_path: Path) -> None:
    layers, scores = load_model(write_onnx(tmp_path / "a.onnx", {"scores": ["n", 2]}), SIDE)([picture(255, 0, 51)])
    np.testing.assert_allclose(layers["output"], scores)
    layers, scores = load_model(write_onnx(tmp_path / "b.onnx", {"map": ALL["map"]}), SIDE)([picture(255, 0, 51)])
    np.testing.assert_allclose(layers["output"], [[1.0, 0.0, 0.2]], atol=1e-6)
    assert scores is None


def test_an_onnx_file_that_takes_one_image_at_a_time_is_given_one(tmp_path: Path) -> None:
    one = load_model(write_onnx(tmp_path / "one.onnx", {"scores": [1, 2]}, (1, 3, SIDE, SIDE)), SIDE)
    layers, _ = one([picture(255, 0, 51), picture(0, 102, 0), picture(0, 0, 0)])
    np.testing.assert_allclose(layers["output"], [[0.8, -0.2], [0.0, 0.4], [0.0, 0.0]], atol=1e-6)


@pytest.mark.parametrize(
    ("outputs", "shape", "kind", "message"),
    [
        ({"scores": ["n", 2]}, ("n", 3, 24, 24), FLOAT, "got --side 16: say --side 24"),
        ({"scores": ["n", 2]}, ("n", 3, 24, 16), FLOAT, "equal or free height and width"),
        ({"scores": ["n", 2]}, (4, 3, SIDE, SIDE), FLOAT, "got 4 at a time: export a free batch axis"),
        ({"map": ["n", 1, SIDE, SIDE]}, ("n", 1, SIDE, SIDE), FLOAT, "one input, float32 (N, 3, H, W); got image"),
        ({"map": ["n", 3, SIDE, SIDE]}, ("n", 3, SIDE, SIDE), TensorProto.DOUBLE, "got image tensor(double)"),
        ({"label": ["n"]}, ("n", 3, SIDE, SIDE), FLOAT, "gives floats (N, C)"),
    ],
)
def test_an_onnx_file_that_does_not_fit_says_the_way_out(
    tmp_path: Path, outputs: dict[str, Dims], shape: Dims, kind: int, message: str
) -> None:
    path = write_onnx(tmp_path / "net.onnx", outputs, shape, kind)
    with pytest.raises(ModelError) as refused:
        load_model(path, SIDE)
    assert message in str(refused.value)


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "torn.onnx").write_bytes(b"\x08\x0a torn")
    for name, words in (("torn.onnx", "is a whole ONNX file"), ("missing.onnx", "that is there; got .*: name one")):
        with pytest.raises(ModelError, match=words):
            load_model(str(tmp_path / name), SIDE)
