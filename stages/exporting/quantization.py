"""Quantize an ONNX model to int8: weights statically, activations dynamically with a scale for each row."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto
from onnx.helper import make_node, make_opsetid
from onnx.numpy_helper import from_array, to_array
from onnxruntime.quantization.onnx_model import ONNXModel

from stages.exporting.exported_files import ONNX_RUNTIME

_LAST, _STEP, _TINY, _ZERO = (f"int8.{name}" for name in ("last_axis", "step", "tiny", "zero"))
_CONSTANTS: Mapping[str, NDArray[np.generic]] = {
    _LAST: np.array([-1], np.int64),
    _STEP: np.array(1 / 127, np.float32),
    _TINY: np.array(1e-12, np.float32),
    _ZERO: np.array(128, np.uint8),
}
"""Constants of the graph. The zero point is 128, since CPUs multiply unsigned activations."""

_LARGEST = 127
"""The largest sum of two quantized weights of one sign, before rounding. Rounded it is at most 128, and 255 * 128 < 2**15."""
_NEIGHBOURS = 4
"""How many weights of a column CPUs multiply and add up in one instruction."""
_SMALLEST = 1e-30
"""Used for a column of zeros, so that its scale is not 0."""


def write_int8(source: Path, path: Path) -> None:
    """Write the ONNX model `source` with its products in int8 to `path`.

    Each row of activations has a scale. ONNX Runtime's dynamic quantization has one for all activations of a batch: a text's
    logits would then depend on the texts beside it.
    """
    model = _with_plain_products(onnx.load(source))
    _quantize_products(model.graph)
    if all(opset.domain != ONNX_RUNTIME for opset in model.opset_import):
        model.opset_import.append(make_opsetid(ONNX_RUNTIME, 1))
    onnx.save(model, path)


def _with_plain_products(model: ModelProto) -> ModelProto:
    """Replace `Gemm`, as which the exporter writes the layers after pooling, by `MatMul` and `Add`."""
    weights = {weight.name for weight in model.graph.initializer}
    others = [value for value in model.graph.value_info if value.name not in weights]
    del model.graph.value_info[:]  # else it holds the shapes that weights had before they are transposed
    model.graph.value_info.extend(others)
    plain = ONNXModel(model)
    plain.replace_gemm_with_matmul()
    changed: ModelProto = plain.model
    return changed


def _quantize_products(graph: GraphProto) -> None:
    """Quantize every product with a constant matrix. Activations that several products share are quantized once."""
    weights = {weight.name: weight for weight in graph.initializer if len(weight.dims) == 2}
    constants, nodes, quantized = dict(_CONSTANTS), list[NodeProto](), set[str]()
    for node in graph.node:
        if node.op_type != "MatMul" or node.input[1] not in weights:
            nodes.append(node)
            continue
        activations, name = node.input
        if activations not in quantized:
            quantized.add(activations)
            nodes += _quantized_rows(activations)
        int8 = Int8Weights.of(to_array(weights[name]))
        constants |= {_values(name): int8.values, _scales(name): int8.scales}
        nodes += _int8_product(activations, name, node.output[0])
    used = {name for node in nodes for name in node.input}
    kept = [initializer for initializer in graph.initializer if initializer.name in used]
    added = [from_array(value, name) for name, value in constants.items() if name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*kept, *added])


def _quantized_rows(activations: str) -> Iterator[NodeProto]:
    """Yield the nodes that quantize […, width] to uint8. The scale of a row is its largest absolute value, 127 steps from 0."""
    sizes, largest, inverse = (f"{activations}.{name}" for name in ("sizes", "largest", "inverse"))
    yield make_node("Abs", [activations], [sizes])
    yield make_node("ReduceMax", [sizes, _LAST], [largest], keepdims=1)
    yield make_node("Max", [largest, _TINY], [_scales(activations)])
    yield make_node("Reciprocal", [_scales(activations)], [inverse])  # quicker than to divide every number
    yield make_node("Mul", [activations, inverse], [scaled := f"{activations}.scaled"])
    yield make_node("QuantizeLinear", [scaled, _STEP, _ZERO], [_values(activations)])


def _int8_product(activations: str, weights: str, product: str) -> Iterator[NodeProto]:
    """Yield the nodes of the product of quantized activations and weights, in fp32."""
    inputs = [_values(activations), _values(weights), _STEP, _scales(weights), _ZERO]
    yield make_node("MatMulIntegerToFloat", inputs, [scaled := f"{product}.scaled"], domain=ONNX_RUNTIME)
    yield make_node("Mul", [scaled, _scales(activations)], [product])


def _values(name: str) -> str:
    return f"{name}.int8"


def _scales(name: str) -> str:
    return f"{name}.scales"


@dataclass(frozen=True)
class Int8Weights:
    """Quantized weights: `values` * `scales` approximate them."""

    values: NDArray[np.int8]
    """[inputs, outputs]"""
    scales: NDArray[np.float32]
    """[outputs]"""

    @classmethod
    def of(cls, weights: NDArray[np.float32]) -> "Int8Weights":
        """Quantize weights [inputs, outputs].

        CPUs with AVX2 but without VNNI multiply with `vpmaddubsw`: it adds the products of two neighbours (uint8 activations,
        int8 weights) up in 16 bits, and what does not fit is cut off silently (Intel 64 and IA-32 Architectures Software
        Developer's Manual, PMADDUBSW). So the two largest weights of one sign among neighbours decide on the scale.
        """
        scales = np.maximum(_largest_pair(weights), _SMALLEST) / _LARGEST
        return cls(np.round(weights / scales).astype(np.int8), scales.astype(np.float32))


def _largest_pair(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the largest sum of two neighbours of one sign in each column, [outputs]."""
    inputs, outputs = weights.shape
    rows = np.pad(weights, ((0, -inputs % _NEIGHBOURS), (0, 0))).reshape(-1, _NEIGHBOURS, outputs)
    largest: NDArray[np.float32] = np.maximum(_pair(rows.clip(min=0)), _pair((-rows).clip(min=0))).max(axis=0)
    return largest


def _pair(sizes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sum of the two largest in each neighbourhood, [neighbourhoods, outputs]."""
    total: NDArray[np.float32] = np.partition(sizes, _NEIGHBOURS - 2, axis=1)[:, -2:].sum(axis=1)
    return total
