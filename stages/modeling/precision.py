"""The device, and the floating-point precision to compute in."""

from collections import defaultdict
from threading import get_ident
from typing import Any, Literal, TypeAlias

import torch
from transformers import PreTrainedModel

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]


def device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name() -> str:
    """Return `cpu`, or the name of the GPU."""
    return torch.cuda.get_device_name() if device().type == "cuda" else "cpu"


def resolved(precision: Literal["auto", "fp32", "bf16", "fp16"]) -> Precision:
    """Replace `auto` by bf16 where the device multiplies matrices in it (Ampere and later; AMX, AVX-512 BF16), else by fp32."""
    if precision != "auto":
        return precision
    return "bf16" if _has_native_bf16() else "fp32"


def _has_native_bf16() -> bool:
    if device().type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def compute_head_in_fp32(model: PreTrainedModel) -> PreTrainedModel:
    """Take all modules but the pretrained encoder out of autocast, so that they compute in fp32. Return the model.

    A logit in bf16 has two to three significant digits, and so has the gradient that it gives.
    """
    for name, module in model.named_children():
        if name != model.base_model_prefix:
            outside = _OutsideAutocast()
            module.register_forward_pre_hook(outside.enter, with_kwargs=True)
            module.register_forward_hook(outside.leave, always_call=True)
    return model


class _OutsideAutocast:
    """The hooks that disable autocast around one module."""

    def __init__(self) -> None:
        self._left: defaultdict[int, list[torch.autocast]] = defaultdict(list)
        """The contexts that each thread has entered."""

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
