"""Write the trained model as ONNX, and compare its logits with torch's."""

import copy
import logging
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when onnxruntime is imported; it would report to its maker

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from stages.exporting.onnx_attention import expand_row_attention
from stages.exporting.onnx_packing import pack_in_graph
from stages.modeling.batches import Batch, PaddingCollator, Row
from stages.modeling.preparation import Use, prepare
from stages.pipeline.errors import ModelError, UserError

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""The inputs that a model may take, in the order of the ONNX model's inputs."""
_WRAPPED = "_model"
"""What `Logits` calls the model that it wraps."""


class Logits(torch.nn.Module):
    """Wrap a model so that it takes and returns tensors alone."""

    def __init__(self, model: PreTrainedModel, *, float_mask: bool = False) -> None:
        """`float_mask`: whether the model is given its attention mask in fp32."""
        super().__init__()
        self._model, self._float_mask = model, float_mask

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the logits."""
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        mask = attention_mask.float() if self._float_mask else attention_mask
        logits: torch.Tensor = self._model(input_ids=input_ids, attention_mask=mask, **types).logits
        return logits


def inputs_of(batch: Batch) -> dict[str, torch.Tensor]:
    """Return the tensors of a batch that an exported model takes, in the order of its inputs."""
    return {name: batch[name] for name in _INPUTS if name in batch}


def write_onnx(model: PreTrainedModel, example: Batch, path: Path, *, packed: bool = False) -> None:
    """Write `model` to `path` with inputs of any [rows, sub-words] and the output `logits`.

    The inputs are those that `example` has: `input_ids`, `attention_mask`, and `token_type_ids` for pairs of texts
    whose model tells them apart.

    `packed`: whether padding is not computed, by operators that only ONNX Runtime has.

    The exporter is the one on `torch.export`. PyTorch's older tracing exporter raises no error, but its logits of BERT are wrong
    by half a unit once a row is padded.
    """
    program = _program(model, example, packed=packed)
    program.optimize()
    proto = program.model_proto
    _strip_origins(proto)
    if packed:
        expand_row_attention(proto)
    onnx.save(proto, path)


def graph_as_traced(model: PreTrainedModel, example: Batch) -> onnx.ModelProto:
    """Return the graph of `model`, with inputs as `write_onnx` has them, in which each parameter is as it is in the model.

    Its initializers have the names of `parameter_names`. In the graph that `write_onnx` writes, some are transposed, and those
    that happen to be equal are one.
    """
    return _program(model, example, packed=False).model_proto


def parameter_names(model: PreTrainedModel) -> dict[str, str]:
    """Return for the initializers that are parameters of `model` its own names for them. One that it shares has one name."""
    names: dict[int, str] = {}
    return {
        f"{_WRAPPED}.{name}": names.setdefault(id(parameter), name)
        for name, parameter in model.named_parameters(remove_duplicate=False)
    }


def _program(model: PreTrainedModel, example: Batch, *, packed: bool) -> torch.onnx.ONNXProgram:
    inputs = inputs_of(example)
    use = Use("packed_onnx" if packed else "onnx", torch.device("cpu"), pack=pack_in_graph)
    model = prepare(copy.deepcopy(model), use)
    return _exported(Logits(model).eval(), inputs) if packed else _exported_in_some_form(model, inputs)


def _exported_in_some_form(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> torch.onnx.ONNXProgram:
    """Export the model as it is, else with attention that is written out, else with its mask in fp32 as well.

    PyTorch's exporter can't take apart fused attention whose result is transposed and viewed (T5), nor 1.0 minus an integer
    mask (XLNet).
    """
    if model._can_set_experts_implementation():
        model.set_experts_implementation("batched_mm")  # ONNX has no grouped products
    try:
        return _exported(Logits(model).eval(), inputs)
    except UserError:
        raise
    except Exception:  # the exporter raises errors of its own, and those of the model
        model.set_attn_implementation("eager")
    try:
        return _exported(Logits(model).eval(), inputs)
    except UserError:
        raise
    except Exception:
        return _exported(Logits(model, float_mask=True).eval(), inputs)


def _exported(logits: Logits, inputs: dict[str, torch.Tensor]) -> torch.onnx.ONNXProgram:
    dynamic = {0: torch.export.Dim("rows"), 1: torch.export.Dim("subwords")}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            logits,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=["logits"],
            dynamic_shapes=dict.fromkeys(inputs, dynamic),
            dynamo=True,
            optimize=False,
        )
    assert program is not None
    return program


def session(path: Path) -> onnxruntime.InferenceSession:
    """Return a session of the model at `path` on the CPU, with as many threads as torch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # between two runs, threads that wait leave their core to others
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # its fused form of an addition and a norm is several times slower than the two
    return onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=["SkipLayerNormFusion"]
    )


def largest_difference(
    model: PreTrainedModel, path: Path, rows: Sequence[Row], collate: PaddingCollator, tolerance: float
) -> float:
    """Return the largest absolute difference between ONNX and torch logits of `rows`, as one padded batch in fp32.

    Raises ModelError if it exceeds `tolerance`.
    """
    runtime = session(path)

    def run(inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        (logits,) = runtime.run(["logits"], dict(inputs))
        return np.asarray(logits)

    return checked_difference(Exported("ONNX", "export.onnx", run), model, collate(rows), tolerance)


@dataclass(frozen=True)
class Exported:
    """An exported model that can be run."""

    name: str
    """What messages call it."""
    key: str
    """The key of the configuration that asks for it."""
    run: Callable[[Mapping[str, NDArray[np.int64]]], NDArray[np.float32]]
    """Return the logits of inputs by their names."""


def checked_difference(exported: Exported, model: PreTrainedModel, batch: Batch, tolerance: float) -> float:
    """Return the largest absolute difference between logits of an exported model and those of `model`, in fp32.

    Raises ModelError if it exceeds `tolerance`.
    """
    inputs = inputs_of(batch)
    found = exported.run({name: tensor.numpy() for name, tensor in inputs.items()})
    with torch.inference_mode():
        expected = Logits(model.cpu().float().eval())(*inputs.values()).numpy()
    real = batch["attention_mask"].bool().numpy() if expected.ndim == 3 else np.ones(len(expected), bool)
    difference = float(np.abs(found - expected)[real].max())
    if not difference <= tolerance:
        raise ModelError(
            f"export: {exported.name} and torch logits differ by {difference:.2g}, more than "
            f"export.onnx_tolerance={tolerance:g}; raise the tolerance if that is acceptable, or set {exported.key}=false"
        )
    return difference


def _strip_origins(proto: onnx.ModelProto) -> None:
    """Remove the stack traces that the exporter notes at every node: they hold this machine's paths."""
    for items in (
        proto.graph.node,
        proto.graph.value_info,
        proto.graph.input,
        proto.graph.output,
        proto.graph.initializer,
    ):
        for item in items:
            del item.metadata_props[:]
            item.doc_string = ""
    del proto.graph.metadata_props[:]
    del proto.metadata_props[:]
    for function in proto.functions:
        del function.metadata_props[:]
        for node in function.node:
            del node.metadata_props[:]
            node.doc_string = ""
