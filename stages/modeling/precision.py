"""The device, and the floating-point precision to compute in."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import get_ident
from typing import Any, Literal, TypeAlias

import torch
from archspec import cpu
from transformers import PreTrainedModel

from stages.modeling.batches import MASK, Batch
from stages.modeling.cpu.packing import PACKED_FAMILIES
from stages.modeling.load import encoder_name
from stages.modeling.sharding import forget_failed_pass
from stages.modeling.transfer import on_device, use_host_mask
from stages.pipeline.errors import first_line

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]


log = logging.getLogger("stages.model")


def device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name() -> str:
    """Return `cpu`, or the name of the GPU."""
    return torch.cuda.get_device_name() if device().type == "cuda" else "cpu"


def autocast_dtype(precision: Precision) -> torch.dtype | None:
    """Return the dtype of autocast for a precision; None for fp32, which is computed without autocast."""
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)


def logits_of(model: PreTrainedModel, batch: Batch, precision: Precision) -> torch.Tensor:
    """Compute the logits of a batch in a precision. `batch`: on the host. The logits are on the model's device.

    They are fp32 if the head is kept out of autocast (`compute_head_in_fp32`).
    """
    dtype = autocast_dtype(precision)
    inputs = {name: on_device(tensor, model.device) for name, tensor in batch.items()}
    with use_host_mask(batch[MASK]), torch.autocast(model.device.type, dtype, enabled=dtype is not None):
        logits: torch.Tensor = model(**inputs).logits
    return logits


@contextmanager
def preserved_rng_state() -> Iterator[None]:
    """Restore the states of PyTorch's generators, of the host and of this process's GPU, after the block.

    `fork_rng` by itself would do so for all GPUs of the machine, and warn.
    """
    with torch.random.fork_rng([torch.cuda.current_device()] if device().type == "cuda" else []):
        yield


def resolved(precision: Literal["auto", "fp32", "bf16", "fp16"]) -> Precision:
    """Replace `auto` by bf16 if the device is faster in it (GPUs from Ampere on, CPUs by `is_fast_in_bf16`), else by fp32."""
    if precision != "auto":
        return precision
    return "bf16" if _is_device_fast_in_bf16() else "fp32"


def usable_precision(
    wanted: Literal["auto", "fp32", "bf16", "fp16"], model: PreTrainedModel, batch: Batch, *, training: bool
) -> Precision:
    """Replace `auto` as `resolved` does, but by fp32 if the model can't compute the batch in bf16. The log says so then.

    Some families can't compute in bf16 at all, or only short rows. Those of `PACKED_FAMILIES` are proven to, and are not tried.
    """
    precision = resolved(wanted)
    if wanted != "auto" or precision == "fp32" or not batch or model.config.model_type in PACKED_FAMILIES:
        return precision
    fault = _fault_in_bf16(model, batch, training=training)
    if fault is None:
        return precision
    log.info("%s: computed in fp32, as it can't be in bf16 (%s)", model.config.model_type, fault)
    return "fp32"


def _fault_in_bf16(model: PreTrainedModel, batch: Batch, *, training: bool) -> str | None:
    """Compute the batch in bf16, in training with gradients. Return what goes wrong; None if nothing does.

    The generators' states are preserved.
    """
    torch.nn.Module.to(model, device())
    was_training = model.training
    try:
        with preserved_rng_state():
            for mode in {training, False}:
                model.train(mode)
                with torch.set_grad_enabled(mode):
                    logits = logits_of(model, batch, "bf16").float()
                if mode:
                    logits.sum().backward()
                if not logits.isfinite().all():
                    return "logits are not finite"
    except (RuntimeError, TypeError, ValueError, IndexError, AssertionError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        forget_failed_pass(model)
        return first_line(error)
    finally:
        model.zero_grad()
        model.train(was_training)
    return None


def _is_device_fast_in_bf16() -> bool:
    if device().type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return is_fast_in_bf16(torch.cpu.get_capabilities(), cpu.host().vendor)


def is_fast_in_bf16(capabilities: Mapping[str, object], vendor: str) -> bool:
    """Return whether a CPU multiplies matrices faster in bf16 than in fp32: with AMX, or with AMD's AVX-512 BF16.

    `capabilities`: as `torch.cpu.get_capabilities` returns them. `vendor`: as CPUID spells it. Intel's AVX-512 BF16 is slower
    than fp32: an Emerald Rapids without AMX computes 80 GFLOP/s a thread in products of MiniLM's sizes, and 145 in fp32, and a
    step of training takes 1.5 times as long. AMD's computes twice as many products an instruction (not measured here).
    """
    return bool(capabilities.get("amx_bf16") or (capabilities.get("avx512_bf16") and vendor == "AuthenticAMD"))


def compute_head_in_fp32(model: PreTrainedModel) -> PreTrainedModel:
    """Take all modules except the pretrained encoder out of autocast, so that they compute in fp32. Return the model.

    In bf16, logits and their gradients would have two to three significant digits.
    """
    encoder = encoder_name(model)
    for name, module in model.named_children():
        if name != encoder:
            outside = _OutsideAutocast()
            module.register_forward_pre_hook(outside.enter, with_kwargs=True)
            module.register_forward_hook(outside.leave, always_call=True)
    return model


class _OutsideAutocast:
    """The hooks that disable autocast around one module."""

    def __init__(self) -> None:
        self._left: defaultdict[int, list[torch.autocast]] = defaultdict(list)
        """By thread, the contexts that have been entered."""

    def enter(
        self, _: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Before the module, disable autocast and cast its inputs to fp32."""
        hidden = next(each for each in (*args, *kwargs.values()) if isinstance(each, torch.Tensor))
        context = torch.autocast(hidden.device.type, enabled=False)
        context.__enter__()
        self._left[get_ident()].append(context)
        return tuple(map(_in_fp32, args)), {name: _in_fp32(value) for name, value in kwargs.items()}

    def leave(self, _: torch.nn.Module, __: object, ___: object) -> None:
        """After the module, or after an exception in it, restore autocast."""
        left = self._left[get_ident()]
        if left:
            left.pop().__exit__(None, None, None)


def _in_fp32(value: Any) -> Any:
    return value.float() if isinstance(value, torch.Tensor) and value.is_floating_point() else value
