"""The ONNX model in int8: weights and, as they come, activations."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
from onnxruntime.quantization import quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer
from onnxruntime.quantization.onnx_model import ONNXModel

_BLOCK = 128
"""Numbers that share a scale, in the products that are quantized by blocks."""
_INT8_ACTIVATIONS = 4
"""ONNX Runtime's accuracy level that computes in int8."""


def write_int8(source: Path, path: Path) -> None:
    """Write the ONNX model `source` with its products in int8 to `path`.

    Most take one scale for a whole batch's activations, which is fastest. Those that narrow (a feed-forward's second one,
    the head) read a few very large numbers beside many small ones: each block of each sub-word has its own scale there.
    """
    model = _with_plain_products(onnx.load(source))
    narrowing = _narrowing_products(model.graph)
    with _quietly():
        # 7 bits a weight: without VNNI, 8 would overflow the CPU's 16 bit sums, in silence
        quantize_dynamic(
            model,
            path,
            op_types_to_quantize=["MatMul"],
            nodes_to_exclude=narrowing,
            per_channel=True,
            reduce_range=True,
            extra_options={"MatMulConstBOnly": True},
        )
        by_blocks = MatMulNBitsQuantizer(
            onnx.load(path),
            algo_config=DefaultWeightOnlyQuantConfig(
                block_size=_BLOCK, is_symmetric=True, accuracy_level=_INT8_ACTIVATIONS, bits=8
            ),
        )
        by_blocks.process()
    onnx.save(by_blocks.model.model, path)


def _with_plain_products(model: onnx.ModelProto) -> onnx.ModelProto:
    """With `MatMul` and `Add` in place of `Gemm`, as which the exporter writes the layers behind pooling."""
    weights = {weight.name for weight in model.graph.initializer}
    others = [value for value in model.graph.value_info if value.name not in weights]
    del model.graph.value_info[:]  # else it holds the shapes that weights had before they are transposed
    model.graph.value_info.extend(others)
    plain = ONNXModel(model)
    plain.replace_gemm_with_matmul()
    changed: onnx.ModelProto = plain.model
    return changed


def _narrowing_products(graph: onnx.GraphProto) -> list[str]:
    """The names of the products with a weight that has more rows than columns."""
    shapes = {weight.name: tuple(weight.dims) for weight in graph.initializer}
    products = [(node.name, shapes.get(node.input[1], ())) for node in graph.node if node.op_type == "MatMul"]
    return [name for name, shape in products if len(shape) == 2 and shape[0] > shape[1]]


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the quantizers' advice, which is none for those who run a pipeline."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
