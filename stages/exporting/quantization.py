"""The ONNX model in int8: weights and, as they come, activations."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer
from onnxruntime.quantization.onnx_model import ONNXModel

_BLOCK = 128
"""Numbers that share a scale."""
_INT8_ACTIVATIONS = 4
"""ONNX Runtime's accuracy level that computes in int8."""


def write_int8(source: Path, path: Path) -> None:
    """Write the ONNX model `source` with its products in int8 to `path`.

    Weights and activations have a scale for each block of so many numbers of a row. ONNX Runtime's dynamic quantization has one
    for all activations of a batch: a text's logits would then depend on the texts beside it.
    """
    with _quietly():
        quantizer = MatMulNBitsQuantizer(
            _with_plain_products(onnx.load(source)),
            algo_config=DefaultWeightOnlyQuantConfig(
                block_size=_BLOCK, is_symmetric=True, accuracy_level=_INT8_ACTIVATIONS, bits=8
            ),
        )
        quantizer.process()
    onnx.save(quantizer.model.model, path)


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


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the quantizers' advice, which is none for those who run a pipeline."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
