"""How a graph is put into fp8, on graphs of a single product: scales, what lies beyond them, what is refused."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from embedplane_server.builders.onnx_fp8 import quantize
from embedplane_server.builders.onnx_ranges import largest_magnitudes, representative
from embedplane_server.engines.padding import padded
from embedplane_server.errors import PermanentError

STEP = 1 / 16
"""By which part of itself a number in e4m3 is off at most."""


def product(folder: Path, weights: np.ndarray) -> Path:
    """Write a graph that multiplies each token's id, in float16, with a row of weights."""
    rectangles = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    nodes = [
        helper.make_node("Mul", ["input_ids", "attention_mask"], ["ids"]),
        helper.make_node("Unsqueeze", ["ids", "last"], ["columns"]),
        helper.make_node("Cast", ["columns"], ["numbers"], to=TensorProto.FLOAT16),
        helper.make_node("MatMul", ["numbers", "weights"], ["result"]),
    ]
    graph = helper.make_graph(
        nodes,
        "product",
        rectangles,
        [helper.make_tensor_value_info("result", TensorProto.FLOAT16, ["texts", "tokens", weights.shape[-1]])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([-1]), "last")],
    )
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), str(path))
    return path


def results(graph: Path, ids: list[int]) -> np.ndarray:
    return onnxruntime.InferenceSession(str(graph)).run(None, padded([ids]))[0][0, : len(ids)]


def test_ranges_are_the_largest_magnitudes_of_all_texts(tmp_path):
    graph = product(tmp_path, np.array([[0.5, -2]], dtype=np.float16))
    found = largest_magnitudes(graph, ["numbers", "result"], [[3, 5], [7, 1, 1], [2]])
    assert found == {"numbers": 7.0, "result": 14.0}


def test_texts_of_all_lengths_are_measured_and_very_long_ones_only_alone():
    texts = [[1] * length for length in (600, 3, 500, 9000, 40)]
    assert [len(ids) for ids in representative(texts)] == [3, 40, 500]
    assert [len(ids) for ids in representative([[1] * 900, [1] * 700])] == [700]
    many = representative([[1] * length for length in range(1, 400)])
    assert (len(many), len(many[0]), len(many[-1])) == (64, 1, 399)


def test_numbers_are_off_by_the_steps_of_fp8(tmp_path):
    weights = np.random.default_rng(5).normal(0, 0.05, (1, 64)).astype(np.float16)
    graph = product(tmp_path, weights)
    quantize(graph, [[200]])

    found = results(graph, [1, 3, 7, 19, 77, 200])

    exact = np.array([[1], [3], [7], [19], [77], [200]]) * weights.astype(np.float32)
    large = abs(weights[0]) > abs(weights).max() / 100
    assert (abs(found - exact) <= abs(exact) * ((1 + STEP) ** 2 - 1))[:, large].all()
    assert abs(found - exact).max() > 0, "nothing was rounded"


def test_twice_the_largest_that_was_measured_is_not_cut_off(tmp_path):
    graph = product(tmp_path, np.ones((1, 4), dtype=np.float16))
    quantize(graph, [[100]])
    assert results(graph, [190])[0] == pytest.approx(190, rel=STEP)
    assert results(graph, [900])[0] == pytest.approx(200, rel=STEP)


@pytest.mark.parametrize("magnitude", [0.0, 1e-6])
def test_tiny_weights_have_a_scale_that_float16_can_hold(tmp_path, magnitude):
    graph = product(tmp_path, np.full((1, 4), magnitude, dtype=np.float16))
    quantize(graph, [[0, 1]])
    assert np.isfinite(results(graph, [0, 1, 5])).all()


def test_a_graph_without_such_products_is_refused(tmp_path):
    graph = product(tmp_path, np.ones((1, 4), dtype=np.float32).astype(np.float16)[0])
    with pytest.raises(PermanentError, match=r"no product with weights .* Write float16 or auto") as caught:
        quantize(graph, [[1]])
    assert caught.value.reason == "UnsupportedModel"
