"""The trial of packed rows on a GPU: they are used only if a real batch has the same results as with padding.

A kernel that mixes rows raises no error, and its logits look like any others. So a batch is computed three times: with padding in
fp32, with padding in the configured precision, and packed in that precision. The packed results may differ from fp32 by a few
times what the padded results do. And the logits of a row must not change when another row does.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from transformers import PreTrainedModel

from stages.columns.names import INPUT_IDS
from stages.modeling.agreement import distance
from stages.modeling.batches import MASK, Batch
from stages.modeling.cpu.packing import PACKED_FAMILIES
from stages.modeling.gpu.packing import Kernels, pack_rows_on_gpu
from stages.modeling.precision import Precision, logits_of, preserved_rng_state
from stages.modeling.sharding import forget_failed_pass, is_sharded
from stages.modeling.transfer import on_device
from stages.pipeline.errors import first_line
from stages.pipeline.torchrun import is_main_process

log = logging.getLogger("stages.model")

_TIMES_AS_FAR = 3.0
"""The packed results may differ from fp32 by so many times the difference of the padded ones."""
_ALWAYS_ALLOWED: dict[Precision, float] = {"fp32": 1e-3, "fp16": 5e-3, "bf16": 2e-2}
"""The difference that is always allowed, as a share of the norm. fp32 is multiplied in TF32 with 10 bits of mantissa; fp16 has as
many, and bf16 has 7."""
_LOSS_SCALE: dict[Precision, float] = {"fp32": 1.0, "fp16": 1024.0, "bf16": 1.0}
"""The factor of the loss, so that gradients don't underflow in fp16."""

_LEAK = 1e-5
"""How much the logits of rows may change when other rows do, as a share of their norm."""

_FEWEST_ROWS = 2
"""With fewer rows, mixing rows would not show."""

_Gradients: TypeAlias = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Results:
    """The results of a model for a batch."""

    logits: torch.Tensor
    gradients: _Gradients
    """By module, with weight and bias concatenated: the gradient of some biases is only rounding errors."""


def use_packing(
    model: PreTrainedModel, batch: Callable[[], Batch], precision: Precision, *, training: bool
) -> str | None:
    """Let a model on a GPU compute without padding, if a trial shows that the results are the same.

    Return the result for the record of the run; None on a CPU, where a step of the preparation packs. `batch`: makes the batch
    that is tried.
    """
    if model.device.type != "cuda":
        return None
    found = packed_if_proven(model, batch(), precision, training=training)
    forget_memory_of_trial()
    return found


def packed_if_proven(
    model: PreTrainedModel, batch: Batch, precision: Precision, *, training: bool, kernels: Kernels | None = None
) -> str:
    """Let the model compute without padding if the results of the batch stay the same. Return the result for the record.

    `batch`: rows of different lengths, without labels, on the host. `training`: whether gradients are compared too. The model is
    on its device, and is left in the mode it was in. If it computes padding, the log says why.
    """
    fault, used = None, list[str]()
    for rows in _fewer_and_fewer(batch):
        try:
            fault, used = _fault(model, rows, precision, training=training, kernels=kernels)
            break
        except torch.OutOfMemoryError as error:  # the trial holds more gradients than training does
            fault = first_line(error)
    if fault is None:
        return f"packed ({', '.join(used)})"
    if is_main_process():
        log.info("%s: padding is computed on the GPU (%s)", model.config.model_type, fault)
    return f"padded: {fault}"


def _fewer_and_fewer(batch: Batch) -> Iterator[Batch]:
    """Yield the batch, then every second row of it, and so on to two rows. The longest row, the first, stays."""
    yield batch
    while batch and len(batch[MASK]) > _FEWEST_ROWS:
        batch = {name: tensor[::2] for name, tensor in batch.items()}
        yield batch


def _fault(
    model: PreTrainedModel, batch: Batch, precision: Precision, *, training: bool, kernels: Kernels | None
) -> tuple[str | None, list[str]]:
    family = model.config.model_type
    if family not in PACKED_FAMILIES:
        return f"packing is proven for {', '.join(PACKED_FAMILIES)}, not for {family}", []
    if is_sharded(model):
        return "packing has not been tried where processes share a model", []
    if not batch:
        return "there is no row to try it on", []
    was_training, packed = model.training, None
    model.eval()  # without dropout
    try:
        with preserved_rng_state():
            with exact_products():
                exact = results(model, batch, "fp32", training=training)
            padded = results(model, batch, precision, training=training)
            packed = pack_rows_on_gpu(model, kernels)
            found = results(model, batch, precision, training=training)
            predicted = results(model, batch, precision, training=False)
            fault = (
                disagreement(found, padded, exact, precision)
                or disagreement(predicted, replace(padded, gradients={}), exact, precision)
                or _leak(model, batch, precision)
                or (_fault_with_dropout(model, batch, precision) if training else None)
            )
    except Exception as error:  # a kernel that is missing or fails may raise any
        forget_failed_pass(model)
        if isinstance(error, torch.OutOfMemoryError):
            if packed is not None:
                packed.take_back()
            raise
        fault = first_line(error)
    finally:
        model.zero_grad()
        model.train(was_training)
    if packed is None:
        return fault, []
    if fault is not None:
        packed.take_back()
    return fault, sorted(packed.kernels.used)


def forget_memory_of_trial() -> None:
    """Free the memory of a trial, and reset the peak, so that the run's peak is not that of the trial."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


@contextmanager
def exact_products() -> Iterator[None]:
    """Multiply fp32 matrices in fp32 inside the block, not in TF32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def results(model: PreTrainedModel, batch: Batch, precision: Precision, *, training: bool) -> Results:
    """Return the logits of the batch and, in training, the gradients of a sum of them with fixed weights."""
    model.zero_grad()
    with torch.set_grad_enabled(training):
        logits = logits_of(model, batch, precision)
    logits = (logits[on_device(batch[MASK], logits.device).bool()] if logits.dim() == 3 else logits).float()
    if training:
        weights = torch.arange(1, logits.numel() + 1, device=logits.device).mul(0.7).sin().view_as(logits)
        (logits * weights).mean().mul(_LOSS_SCALE[precision]).backward()
    return Results(logits.detach(), _gradients(model, _LOSS_SCALE[precision]) if training else {})


def _gradients(model: PreTrainedModel, scale: float) -> _Gradients:
    of_modules = defaultdict[str, list[torch.Tensor]](list)
    for name, weight in model.named_parameters():
        if weight.grad is not None:
            of_modules[name.rpartition(".")[0]].append(weight.grad.detach().flatten().float() / scale)
    return {name: torch.cat(parts) for name, parts in of_modules.items()}


def disagreement(found: Results, padded: Results, exact: Results, precision: Precision) -> str | None:
    """Return what differs too much from the exact results; None if nothing does."""
    pairs = [("logits", found.logits, padded.logits, exact.logits)]
    if found.gradients.keys() != padded.gradients.keys():
        return "without padding, other weights get a gradient"
    pairs += [
        (f"the gradient of {name}", gradient, padded.gradients[name], exact.gradients[name])
        for name, gradient in found.gradients.items()
    ]
    for name, of_found, of_padded, of_exact in pairs:
        allowed = _TIMES_AS_FAR * distance(of_padded, of_exact)
        allowed += _ALWAYS_ALLOWED[precision] * float(of_exact.double().norm())
        apart = distance(of_found, of_exact)
        if not apart <= allowed:
            return f"without padding, {name} differs from that of fp32 by {apart:.2g}, and may by {allowed:.2g}"
    return None


def _fault_with_dropout(model: PreTrainedModel, batch: Batch, precision: Precision) -> str | None:
    """Return an error if training gives numbers that are not finite. Values with dropout can't be compared: masks differ."""
    model.train()
    found = results(model, batch, precision, training=True)
    are_finite = all(bool(part.isfinite().all()) for part in (found.logits, *found.gradients.values()))
    return None if are_finite else "without padding, training gives numbers that are not finite"


def _leak(model: PreTrainedModel, batch: Batch, precision: Precision) -> str | None:
    """Return an error if the logits of a row change when other rows do."""
    mask, before = batch[MASK].bool(), results(model, batch, precision, training=False).logits
    by_length = mask.sum(dim=1).argsort()
    for first in (0, 1):
        changed, kept = by_length[first::2], by_length[1 - first :: 2]
        codes = batch[INPUT_IDS].clone()
        for row in changed.tolist():
            codes[row, mask[row]] = codes[row, mask[row]].flip(0)
        after = results(model, {**batch, INPUT_IDS: codes}, precision, training=False).logits
        of_kept = torch.isin(torch.arange(len(mask)), kept)
        is_kept = of_kept if len(before) == len(mask) else of_kept.repeat_interleave(mask.sum(dim=1))
        is_kept = on_device(is_kept, before.device)
        if distance(after[is_kept], before[is_kept]) > _LEAK * float(before.norm()):
            return "without padding, a row's logits change when another row does"
    return None
