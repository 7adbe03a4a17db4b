"""Every operator gives what ONNX's own reference implementation gives."""

from typing import Any

import numpy as np
import onnx
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from onnx import TensorProto
from onnx.helper import (
    make_empty_tensor_value_info,
    make_graph,
    make_model,
    make_node,
    make_opsetid,
    make_tensor_value_info,
    np_dtype_to_tensor_dtype,
)
from onnx.numpy_helper import from_array
from onnx.reference import ReferenceEvaluator

from stages.exporting.tensorflow.graph import Values, compute
from stages.exporting.tensorflow.operators import OPERATORS, UntranslatedError

Array = NDArray[Any]
DRAW = np.random.default_rng(0)


def floats(*shape: int) -> Array:
    return DRAW.normal(size=shape).astype(np.float32)


def ints(low: int, high: int, *shape: int) -> Array:
    return DRAW.integers(low, high, size=shape)


def int64(*values: int) -> Array:
    return np.array(values, np.int64)


def scalar(value: int) -> Array:
    return np.array(value, np.int64)


X, Y, BOOLS = floats(3, 4), floats(3, 4), DRAW.random((3, 4)) < 0.5
INTS = ints(-9, 9, 3, 4)
IMAGE = floats(2, 6, 11)
ALONE = (
    "Abs Ceil Cos Erf Exp Floor Gelu Identity Neg Reciprocal Relu Round Sigmoid Sign Sin Softplus Tanh".split()  # noqa: SIM905
)
REDUCTIONS = ("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum")
DIRECTIONS = [(axis, exclusive, reverse) for axis in (0, -1) for exclusive in (0, 1) for reverse in (0, 1)]
PLANE = {"group": 2, "pads": [1, 0, 1, 2], "strides": [2, 1], "dilations": [1, 2]}
TO_FLOAT, TO_INT, TO_BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL

# operator, inputs (None: left out), attributes
CASES: list[tuple[str, list[Array | None], dict[str, Any]]] = [
    *((name, [X], {}) for name in ALONE),
    *((name, [np.abs(X)], {}) for name in ("Log", "Sqrt")),
    *((name, [X, Y], {}) for name in ("Add", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Mul", "Sub")),
    *((name, [X, Y, floats(1, 4)], {}) for name in ("Max", "Min")),
    *((name, [BOOLS, BOOLS[::-1]], {}) for name in ("And", "Equal", "Or", "Xor")),
    *((name, [INTS, INTS[::-1]], {}) for name in ("BitwiseAnd", "BitwiseOr", "Equal", "Max")),
    ("BitwiseNot", [INTS], {}), ("Not", [BOOLS], {}), ("IsNaN", [np.where(BOOLS, np.nan, X).astype(np.float32)], {}),
    ("Round", [np.array([0.5, 1.5, 2.5, -0.5, -1.5], np.float32)], {}),
    ("Gelu", [X], {"approximate": "tanh"}),
    ("Pow", [np.abs(X), Y], {}), ("Pow", [X, int64(3)], {}),
    ("Div", [INTS, int64(4, -3, 2, -1)], {}),
    ("Mod", [INTS, int64(4, -3, 2, -5)], {}), ("Mod", [INTS, int64(4, -3, 2, -5)], {"fmod": 1}),
    ("Where", [BOOLS, X, floats(4)], {}),
    ("Clip", [X, np.float32(-0.5), None], {}), ("Clip", [X, None, np.float32(0.5)], {}),
    *(("Cast", [values], {"to": to}) for values in (3 * X, INTS, BOOLS) for to in (TO_FLOAT, TO_INT, TO_BOOL)),
    ("CastLike", [3 * X, INTS], {}),
    ("Softmax", [floats(2, 3, 4)], {}), ("Softmax", [floats(2, 3, 4)], {"axis": 1}),
    ("LogSoftmax", [X], {}),
    ("LayerNormalization", [floats(2, 3, 4), floats(4), floats(4)], {"epsilon": 1e-3}),
    ("LayerNormalization", [floats(2, 3, 4), floats(3, 4), None], {"axis": 1}),
    ("MatMul", [floats(2, 1, 3, 4), floats(5, 4, 6)], {}), ("MatMul", [floats(4), floats(4, 3)], {}),
    ("MatMul", [floats(3, 4), floats(4)], {}),
    ("MatMul", [floats(2, 3, 4), floats(4)], {}), ("MatMul", [floats(4), floats(4)], {}),
    ("MatMul", [floats(4), floats(2, 4, 3)], {}),
    ("Gemm", [floats(3, 4), floats(5, 4), floats(5)], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    ("Gemm", [floats(4, 3), floats(4, 5), None], {"transA": 1}),
    ("Einsum", [floats(2, 3, 4), floats(2, 4, 5)], {"equation": "bij,bjk->bki"}),
    *(("DFT", [floats(2, 3, 4, parts), None, scalar(axis)], {}) for parts in (1, 2) for axis in (1, 2, -2)),
    ("DFT", [floats(2, 3, 4, 2), None, scalar(1)], {"inverse": 1}),
    ("Conv", [IMAGE, floats(4, 6, 3), floats(4)], {"pads": [1, 2], "strides": [2]}),
    ("Conv", [IMAGE, floats(6, 2, 3), None], {"group": 3, "dilations": [2], "pads": [0, 0]}),
    ("Conv", [IMAGE, floats(6, 1, 5), floats(6)], {"group": 6, "kernel_shape": [5]}),
    ("Conv", [floats(2, 4, 7, 8), floats(6, 2, 3, 2), floats(6)], PLANE),
    ("Conv", [floats(2, 4, 5, 6), floats(4, 1, 3, 1), None], {"group": 4, "pads": [1, 0, 1, 0]}),
    ("Acos", [np.tanh(X)], {}),
    ("MaxPool", [IMAGE], {"kernel_shape": [4], "strides": [4]}),
    ("MaxPool", [IMAGE], {"kernel_shape": [3], "strides": [2], "pads": [1, 1], "ceil_mode": 1}),
    ("MaxPool", [floats(2, 3, 7, 8)], {"kernel_shape": [2, 3], "strides": [2, 1]}),
    ("AveragePool", [IMAGE], {"kernel_shape": [2], "strides": [2], "ceil_mode": 1}),
    ("AveragePool", [floats(2, 3, 7, 8)], {"kernel_shape": [2, 1], "strides": [2, 1], "ceil_mode": 1}),
    ("AveragePool", [IMAGE], {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}),
    *((name, [floats(2, 3, 4), int64(-1)], {}) for name in REDUCTIONS),
    *((name, [floats(2, 3, 4), int64(0, 2)], {"keepdims": 0}) for name in REDUCTIONS),
    ("ReduceSum", [X], {}), ("ReduceSum", [X], {"noop_with_empty_axes": 1}), ("ReduceSum", [INTS, int64(1)], {}),
    ("ArgMax", [ints(0, 3, 4, 5)], {"axis": 1, "keepdims": 0}), ("ArgMax", [X], {}),
    *(("CumSum", [INTS, scalar(axis)], {"exclusive": alone, "reverse": back}) for axis, alone, back in DIRECTIONS),
    ("TopK", [X, int64(2)], {}), ("TopK", [X, int64(3)], {"largest": 0}), ("TopK", [np.ones((2, 4), np.float32), int64(2)], {}),
    ("Shape", [floats(2, 3, 4)], {}), ("Shape", [floats(2, 3, 4)], {"start": 1}),
    ("Shape", [floats(2, 3, 4)], {"start": -2, "end": -1}),
    ("Size", [X], {}),
    ("Reshape", [floats(2, 3, 4), int64(0, -1)], {}), ("Reshape", [floats(2, 3, 4), int64(0, 2, 6)], {}),
    ("Reshape", [floats(0, 4), int64(0, 2)], {"allowzero": 1}),
    ("Expand", [floats(3, 1), int64(2, 1, 4)], {}), ("Expand", [BOOLS, int64(1)], {}),
    ("Transpose", [floats(2, 3, 4)], {}), ("Transpose", [floats(2, 3, 4)], {"perm": [1, 2, 0]}),
    ("Unsqueeze", [X, int64(0, -1)], {}), ("Unsqueeze", [X, int64(3, 1)], {}),
    ("Squeeze", [floats(1, 3, 1), int64(-1)], {}), ("Squeeze", [floats(1, 3, 1)], {}),
    ("Concat", [X, floats(2, 4)], {"axis": 0}), ("Concat", [X, floats(3, 1)], {"axis": -1}),
    ("ConstantOfShape", [int64(2, 3)], {}), ("ConstantOfShape", [int64(2)], {"value": from_array(np.array([7], np.int64))}),
    ("Pad", [X, int64(1, 0, 0, 2)], {}), ("Pad", [X, int64(0, 1, 2, 0), np.float32(7)], {}),
    ("Slice", [floats(5, 6), int64(1), int64(2**63 - 1), int64(1), int64(2)], {}),
    ("Slice", [floats(5, 6), int64(-3, 1), int64(-1, 99), int64(-1, 0)], {}),
    ("Slice", [floats(5, 6), int64(1, 2), int64(3, 4)], {}),
    ("Slice", [floats(5, 6), int64(-1), int64(-(2**63)), int64(0), int64(-2)], {}),
    ("Split", [floats(5, 6), int64(1, 4)], {}), ("Split", [floats(5, 7)], {"axis": 1, "num_outputs": 3}),
    ("Gather", [X, ints(-3, 3, 2, 2)], {}), ("Gather", [X, scalar(-1)], {"axis": 1}),
    ("GatherElements", [floats(4, 5), ints(-4, 4, 3, 5)], {}), ("GatherElements", [floats(4, 5), ints(-5, 5, 4, 2)], {"axis": 1}),
    ("GatherND", [floats(4, 5, 2), ints(-4, 4, 3, 2)], {}),
    ("GatherND", [floats(3, 5, 2), ints(0, 5, 3, 2, 1)], {"batch_dims": 1}),
    ("ScatterElements", [floats(3, 5), int64(0, -1, 2)[:, None], floats(3, 1)], {"axis": 1}),
    ("ScatterND", [floats(4, 3), int64(3, -3)[:, None], floats(2, 3)], {}),
    ("ScatterND", [floats(4, 3), int64(1, 1)[:, None], floats(2, 3)], {"reduction": "add"}),
    ("NonZero", [BOOLS], {}), ("Range", [scalar(2), scalar(9), scalar(3)], {}), ("Tile", [X, int64(2, 3)], {}),
    *(("Trilu", [floats(2, 4, 5), scalar(k)], {"upper": upper}) for k in (-2, 0, 1) for upper in (0, 1)),
    ("Trilu", [X, None], {}),
]  # fmt: skip
OUTPUTS = {"TopK": 2, "Split": 2}
"""Operators with several outputs."""


def outputs_of(name: str, attributes: dict[str, Any]) -> list[str]:
    return [f"output{place}" for place in range(attributes.get("num_outputs", OUTPUTS.get(name, 1)))]


def model_of(name: str, inputs: list[Array | None], attributes: dict[str, Any]) -> onnx.ModelProto:
    names = [f"input{place}" if value is not None else "" for place, value in enumerate(inputs)]
    typed = [
        make_tensor_value_info(key, np_dtype_to_tensor_dtype(np.asarray(value).dtype), np.shape(value))
        for key, value in zip(names, inputs, strict=True) if value is not None
    ]  # fmt: skip
    outputs = outputs_of(name, attributes)
    node = make_node(name, names, outputs, **attributes)
    unknown = [onnx.ValueInfoProto(name=output) for output in outputs]
    return make_model(make_graph([node], "one", typed, unknown), opset_imports=[make_opsetid("", 20)])


def graph_of(*nodes: onnx.NodeProto, **ranks: int) -> onnx.GraphProto:
    """Return a graph of nodes that states the ranks of some of its values."""
    stated = [make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None] * rank) for name, rank in ranks.items()]
    return make_graph(list(nodes), "graph", [], [], value_info=stated)


@pytest.mark.parametrize(
    ("name", "inputs", "attributes"), CASES, ids=[f"{place}-{case[0]}" for place, case in enumerate(CASES)]
)
def test_an_operator_gives_what_the_reference_gives(
    name: str, inputs: list[Array | None], attributes: dict[str, Any]
) -> None:
    model = model_of(name, inputs, attributes)
    given = {f"input{place}": np.asarray(value) for place, value in enumerate(inputs) if value is not None}
    expected = ReferenceEvaluator(model).run(None, given)
    values: Values = dict(given)
    compute(model.graph, values)
    for output, wanted in zip(outputs_of(name, attributes), expected, strict=True):
        found = np.asarray(values[output])
        assert (found.shape, found.dtype) == (np.shape(wanted), wanted.dtype)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_every_operator_is_compared() -> None:
    compared = {name for name, _, _ in CASES} | {"SplitToSequence", "SequenceAt"}
    assert compared == set(OPERATORS)


@pytest.mark.parametrize(("split", "place"), [(int64(1, 4), 1), (np.array(2), 2), (np.array(2), 0)], ids=str)
def test_a_part_of_a_sequence(split: Array, place: int) -> None:
    x = floats(3, 5)
    nodes = [
        make_node("SplitToSequence", ["x", "split"], ["parts"], axis=1),
        make_node("SequenceAt", ["parts", "place"], ["part"]),
    ]
    given: Values = {"x": x, "split": split, "place": np.array(place)}
    bounds = np.cumsum([0, *split]) if split.ndim else range(0, 7, 2)
    compute(graph_of(*nodes), given)
    np.testing.assert_array_equal(given["part"], x[:, bounds[place] : bounds[place + 1]])


@pytest.mark.parametrize(
    ("node", "told"),
    [
        (make_node("Loop", ["x"], ["y"]), "Loop"),
        (make_node("Softmax", ["x"], ["y"], domain="com.microsoft"), "com.microsoft"),
        (make_node("Pad", ["x", "pads"], ["y"], mode="edge"), "constant"),
        (make_node("TopK", ["x", "k"], ["y", "z"], axis=0), "another axis"),
    ],
)  # fmt: skip
def test_what_has_no_translation_is_told(node: onnx.NodeProto, told: str) -> None:
    with pytest.raises(UntranslatedError, match=told):
        compute(graph_of(node), {"x": X, "pads": int64(0, 0, 1, 1), "k": int64(1)})


def test_an_attribute_that_is_not_known_is_an_error() -> None:
    with pytest.raises(TypeError, match="unheard"):
        compute(graph_of(make_node("Softmax", ["x"], ["y"], unheard=1)), {"x": X})


@pytest.mark.parametrize("is_first", [True, False])
def test_a_value_has_the_rank_that_its_own_graph_states(is_first: bool) -> None:
    """TensorFlow can't tell the rank behind a reshape to sizes that are computed."""
    branches = [graph_of(make_node("Reshape", ["x", "sizes"], ["y"], allowzero=1), y=rank) for rank in (2, 3)]
    for branch in branches:
        branch.output.append(make_empty_tensor_value_info("y"))
    chosen = make_node("If", ["is_first"], ["z"], then_branch=branches[0], else_branch=branches[1])
    graph = graph_of(make_node("Reshape", ["x", "sizes"], ["flat"], allowzero=1), chosen, flat=1)

    @tf.function(input_signature=[tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int64)], autograph=False)
    def ranks(x: Any, sizes: Any) -> Any:
        values: Values = {"x": x, "sizes": sizes, "is_first": np.array(is_first)}
        compute(graph, values)
        return [values[name].shape.rank for name in ("flat", "z")]

    found = ranks(X, np.array([2, 3] if is_first else [1, 2, 3]))
    assert [int(rank) for rank in found] == [1, 2 if is_first else 3]
