"""An ONNX graph as a function of TensorFlow, whose weights are variables."""

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto
from onnx.helper import get_attribute_value
from onnx.numpy_helper import to_array

from stages.exporting.tensorflow.operators import OPERATORS, Parts, Tensor, UntranslatedError


class GraphModule(tf.Module):
    """The graph of an ONNX model that has one output, `logits`, as functions that a SavedModel can hold.

    `serve` takes a dictionary of the inputs by their names, int64 of any [rows, sub-words], as Keras calls a model, and
    returns the logits. `by_name` takes the inputs as keyword arguments, and returns a dictionary, as a signature has to.
    """

    def __init__(self, model: ModelProto, weights: Mapping[str, str]) -> None:
        """Make variables of the initializers that are weights; others stay constants.

        Args:
            model: Whose graph has the operators of `OPERATORS` alone.
            weights: The name of the variable for each initializer that is one. Those with one name are one variable.
        """
        super().__init__()
        self._graph = model.graph
        self._arrays = {each.name: to_array(each) for each in self._graph.initializer}
        self._weights = {key: name for key, name in weights.items() if key in self._arrays}
        # a list, as names have dots
        self.parameters = [
            tf.Variable(self._arrays[key], name=name) for name, key in {v: k for k, v in self._weights.items()}.items()
        ]
        given = {entry.name: tf.TensorSpec([None, None], tf.int64, name=entry.name) for entry in self._graph.input}
        self.serve = tf.function(self._logits, input_signature=[given], autograph=False)
        self.by_name = tf.function(
            lambda **inputs: {"logits": self.serve(inputs)}, autograph=False
        ).get_concrete_function(**given)

    def _logits(self, inputs: Mapping[str, Tensor]) -> Tensor:
        variables = {variable.name.removesuffix(":0"): tf.convert_to_tensor(variable) for variable in self.parameters}
        values: Values = {**self._arrays, **{key: variables[name] for key, name in self._weights.items()}, **inputs}
        compute(self._graph, values)
        return values["logits"]


Value: TypeAlias = Any
"""An array if it is constant, else a tensor; `Parts` for a sequence."""
Values: TypeAlias = dict[str, Value]


def compute(graph: GraphProto, values: Values) -> None:
    """Compute a graph's nodes one after the other, each from the values before it, and add what they give to `values`.

    Tensors get the ranks that the graph states: TensorFlow can't tell the rank behind some reshapes.
    """
    ranks = _stated_ranks(graph)
    for node in graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise UntranslatedError(f"the operator {node.op_type} of {node.domain}")
        outputs = _outputs(node, values)
        for name, value in zip(node.output, outputs if isinstance(outputs, tuple) else (outputs,), strict=False):
            values[name] = value
            if name in ranks and tf.is_tensor(value) and value.shape.rank is None:
                value.set_shape([None] * ranks[name])


def _stated_ranks(graph: GraphProto) -> Mapping[str, int]:
    return {
        info.name: len(info.type.tensor_type.shape.dim)
        for info in graph.value_info
        if info.type.tensor_type.HasField("shape")
    }


def _outputs(node: NodeProto, values: Values) -> Value | tuple[Value, ...]:
    if node.op_type == "Constant":
        return _constant(node)
    if node.op_type == "If":
        return _chosen(node, values)
    if node.op_type not in OPERATORS:
        raise UntranslatedError(f"the operator {node.op_type}")
    attributes = {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}
    function = partial(OPERATORS[node.op_type], **attributes)
    inputs = [values[name] if name else None for name in node.input]
    if not all(_is_constant(value) for value in inputs):
        return function(*map(_tensor, inputs))
    with tf.init_scope():  # computed now, so that axes and sizes are known where they are needed
        return _array(function(*map(_tensor, inputs)))


def _is_constant(value: Value) -> bool:
    return not tf.is_tensor(value) and not callable(value)


def _tensor(value: Value) -> Tensor | Parts | None:
    return value if value is None or callable(value) else tf.convert_to_tensor(value)


def _array(value: Any) -> Value:
    if isinstance(value, tuple):
        return tuple(map(_array, value))
    return value if callable(value) else value.numpy()


def _constant(node: NodeProto) -> NDArray[Any]:
    (attribute,) = node.attribute
    value = get_attribute_value(attribute)
    match attribute.type:
        case AttributeProto.TENSOR:
            return to_array(value)
        case AttributeProto.INT | AttributeProto.INTS:
            return np.array(value, np.int64)
        case AttributeProto.FLOAT | AttributeProto.FLOATS:
            return np.array(value, np.float32)
        case _:
            raise UntranslatedError("a constant that is no number")


def _chosen(node: NodeProto, values: Values) -> Value | tuple[Value, ...]:
    """Compute one of two graphs, which see the values before the node."""
    branches: dict[str, GraphProto] = {each.name: each.g for each in node.attribute}

    def computed(name: str) -> tuple[Value, ...]:
        inner = dict(values)
        compute(branches[name], inner)
        return tuple(inner[output.name] for output in branches[name].output)

    condition = values[node.input[0]]
    if _is_constant(condition):
        return computed("then_branch" if condition else "else_branch")
    branch = tf.cond(
        tf.reshape(condition, []),
        lambda: [_tensor(each) for each in computed("then_branch")],
        lambda: [_tensor(each) for each in computed("else_branch")],
    )
    return tuple(branch)
