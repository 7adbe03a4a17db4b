"""Compile the layers of a packed model with `torch.compile`, after a trial like that of packed rows.

All between one attention and the next becomes a few kernels. Attention itself is not compiled, because the bounds of rows change
from batch to batch. The number of sub-words is dynamic in the compiled code; a filler rounds it up, so that few sizes occur.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import torch
from transformers import AttentionInterface, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from stages.modeling.batches import Batch
from stages.modeling.gpu.packing import ATTENTION, bounded_attention
from stages.modeling.gpu.proof import disagreement, exact_products, forget_memory_of_trial, results
from stages.modeling.precision import Precision, preserved_rng_state
from stages.modeling.sharding import forget_failed_pass
from stages.pipeline.errors import first_line
from stages.pipeline.torchrun import is_main_process, world_size

Backend: TypeAlias = str | Callable[..., Any]

log = logging.getLogger("stages.model")

FEWEST_STEPS = 2000
"""The fewest optimizer steps of a training that is compiled: compiling may take a minute or more. Chosen, not measured."""
_VARIANTS = 64
"""How often the code of a layer may be recompiled: for training, validation, the last layer of texts, and windows."""


def use_compilation(
    model: PreTrainedModel,
    batch: Callable[[], Batch],
    precision: Precision,
    *,
    wanted: Literal["auto", "off"],
    packing: str | None,
    steps: int,
) -> str | None:
    """Compile the layers of a model that is trained on a GPU, if a trial shows that the results are the same.

    Return the result for the record of the run; None on a CPU. `batch`: makes the batch that is tried. `packing`: the result of
    `use_packing`. `steps`: the optimizer steps of the training.
    """
    if packing is None:
        return None
    why_not = None
    if wanted == "off":
        why_not = "train.compile=off"
    elif not packing.startswith("packed"):
        why_not = "padding is computed"
    elif world_size() > 1:
        why_not = "compiling has not been tried with several processes"
    elif steps < FEWEST_STEPS:
        why_not = f"{steps} steps are too few to be worth it"
    if why_not is not None:
        return _not_compiled(why_not)
    found = compiled_if_proven(model, batch(), precision)
    forget_memory_of_trial()
    return found


def compiled_if_proven(
    model: PreTrainedModel, batch: Batch, precision: Precision, *, backend: Backend = "inductor"
) -> str:
    """Compile the layers if the results of the batch stay the same; else leave them as they are. Return which, and why.

    This takes as long as compiling. The model is left in the mode it was in. `backend`: of `torch.compile`.
    """
    was_training = model.training
    try:
        with preserved_rng_state():
            model.eval()  # without dropout
            with exact_products():
                exact = results(model, batch, "fp32", training=True)
            plain = results(model, batch, precision, training=True)
            _compile_layers(model, backend)
            found = results(model, batch, precision, training=True)
            predicted = results(model, batch, precision, training=False)
            fault = disagreement(found, plain, exact, precision) or disagreement(
                predicted, replace(plain, gradients={}), exact, precision
            )
            model.train()  # the code of training mode has to compile too, and to give finite logits
            if fault is None and not results(model, batch, precision, training=True).logits.isfinite().all():
                fault = "with dropout, logits are not finite"
    except Exception as error:  # a compiler may raise any
        forget_failed_pass(model)
        fault = first_line(getattr(error, "inner_exception", error))
    finally:
        model.zero_grad()
        model.train(was_training)
    if fault is None:
        return "compiled"
    for layer in _layers(model):
        layer.__dict__.pop("forward", None)
    return _not_compiled(fault)


def _not_compiled(reason: str) -> str:
    if is_main_process():
        log.info("layers are not compiled (%s)", reason)
    return f"not compiled: {reason}"


def _compile_layers(model: PreTrainedModel, backend: Backend) -> None:
    """Compile the forward method of each layer. The hooks around it, which compute bounds on the host, are not compiled."""
    AttentionInterface.register(ATTENTION, torch.compiler.disable(bounded_attention))
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _VARIANTS)
    layers = list(_layers(model))
    if not layers:
        raise ValueError("the family's code does not mark its layers")
    for layer in layers:
        layer.__dict__["forward"] = torch.compile(layer.forward, dynamic=True, backend=backend)


def _layers(model: PreTrainedModel) -> Iterator[torch.nn.Module]:
    """Return the layers that transformers marks as such, for gradient checkpointing."""
    return (module for module in model.modules() if isinstance(module, GradientCheckpointingLayer))
