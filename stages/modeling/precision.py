"""The device, and the number format to compute in."""

from typing import Literal, TypeAlias

import torch

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name() -> str:
    """What is computed on: `cpu`, or the GPU's name."""
    return torch.cuda.get_device_name() if device().type == "cuda" else "cpu"


def resolved(precision: Literal["auto", "fp32", "bf16", "fp16"]) -> Precision:
    """`auto` is bf16 where the device multiplies matrices in it natively (Ampere and later; AMX, AVX-512 BF16)."""
    if precision != "auto":
        return precision
    return "bf16" if _has_native_bf16() else "fp32"


def _has_native_bf16() -> bool:
    if device().type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
