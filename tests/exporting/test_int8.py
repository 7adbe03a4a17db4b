"""Products in int8: what is computed is what quantization promises, and the same on every CPU."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from onnx import TensorProto
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info
from onnx.numpy_helper import from_array

from stages.exporting.quantization import Int8Weights, write_int8

numbers = st.floats(-100, 100, width=32)
matrices = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=numbers)


@given(matrices)
def test_no_sum_of_two_neighbours_products_leaves_16_bits(weights: NDArray[np.float32]) -> None:
    quantized = Int8Weights.of(weights).values.astype(np.int64)
    for first in range(0, len(quantized), 4):
        neighbours = np.sort(quantized[first : first + 4], axis=0)
        highest, lowest = neighbours.clip(min=0)[-2:].sum(axis=0), neighbours.clip(max=0)[:2].sum(axis=0)
        assert (255 * highest < 2**15).all() and (255 * lowest >= -(2**15)).all()


@given(matrices)
def test_a_weight_is_off_by_no_more_than_half_a_step_of_its_column(weights: NDArray[np.float32]) -> None:
    quantized = Int8Weights.of(weights)
    assert (np.abs(quantized.values * quantized.scales - weights) <= 0.501 * quantized.scales).all()
    assert (quantized.scales <= 2 * np.abs(weights).max(axis=0) / 127 + 1e-30).all()


def product_model(weights: NDArray[np.float32]) -> onnx.ModelProto:
    """`y = x · weights`, with x of any rows."""
    inputs, outputs = weights.shape
    graph = make_graph(
        [make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [make_tensor_value_info("x", TensorProto.FLOAT, ["rows", inputs])],
        [make_tensor_value_info("y", TensorProto.FLOAT, ["rows", outputs])],
        [from_array(weights, "w")],
    )
    return make_model(graph, opset_imports=[make_opsetid("", 18)], ir_version=10)


def int8_product(values: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """As the int8 file of a model computes it."""
    with TemporaryDirectory() as folder:
        source, path = Path(folder, "source.onnx"), Path(folder, "int8.onnx")
        onnx.save(product_model(weights), source)
        write_int8(source, path)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        found: NDArray[np.float32] = np.asarray(session.run(None, {"x": values})[0])
    return found


@pytest.mark.parametrize("seed", range(5))
def test_a_product_in_int8_is_that_of_rows_in_127_steps(seed: int) -> None:
    draw = np.random.default_rng(seed)
    values = draw.standard_normal((13, 70)).astype(np.float32) * np.exp2(
        draw.integers(-9, 9, (13, 1)), dtype=np.float32
    )
    weights = draw.standard_normal((70, 21)).astype(np.float32)
    quantized = Int8Weights.of(weights)
    steps = np.abs(values).max(axis=1, keepdims=True) / 127
    sums = np.round(values / steps).astype(np.int64) @ quantized.values.astype(np.int64)
    off = np.abs(int8_product(values, weights) / (steps * quantized.scales) - sums)
    assert off.max() < 128  # a quotient that rounds to either side moves a sum by one weight
    assert np.median(off) < 0.01


def test_rows_of_zeros_and_a_huge_number_beside_them_stay_what_they_are() -> None:
    values = np.array([[0, 0, 0], [1, 2, 3], [1e30, 0, -1e30]], np.float32)
    found = int8_product(values, np.eye(3, dtype=np.float32))
    assert found[0].tolist() == [0, 0, 0] and np.allclose(found, values, rtol=0.01)
