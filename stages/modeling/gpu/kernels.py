"""Kernels for attention within the rows of a pack, and the choice between them.

A kernel takes the states [sub-words, heads, width] of rows one after another, and where each row begins. No kernel computes pairs
of sub-words from two rows, and none makes the host wait.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import torch

from stages.modeling.transfer import on_device

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask

KernelName: TypeAlias = Literal["flash", "varlen", "efficient", "flex"]

_FLASH_MULTIPLE = 8
"""The width of a head is padded to a multiple of this."""
_FLASH_WIDEST = 256
_FLASH_WIDEST_BACKWARD = 192
"""The widest head of a backward pass on GPUs with little shared memory per block: all except `_MUCH_SHARED_MEMORY`."""
_MUCH_SHARED_MEMORY = {(8, 0), (9, 0), (10, 0)}
"""The compute capabilities of A100, H100 and B200."""
_AMPERE = (8, 0)
_VOLTA = (7, 0)


@dataclass(frozen=True)
class Bounds:
    """Where the rows of a pack begin and end. There may be fewer queries than keys."""

    queries: tuple[int, ...]
    """The number of queries of each row."""
    keys: tuple[int, ...]
    """The number of keys of each row, at least 1."""
    device: torch.device

    @cached_property
    def query_starts(self) -> torch.Tensor:
        """[rows + 1], int32: where each row's queries begin, and the last one's end."""
        return _starts(self.queries, self.device)

    @cached_property
    def key_starts(self) -> torch.Tensor:
        """[rows + 1], int32: where each row's keys begin, and the last one's end."""
        return self.query_starts if self.keys == self.queries else _starts(self.keys, self.device)

    @cached_property
    def query_rows(self) -> torch.Tensor:
        """[queries]: the row of each query."""
        return _rows(self.queries, self.device)

    @cached_property
    def key_rows(self) -> torch.Tensor:
        """[keys]: the row of each key."""
        return _rows(self.keys, self.device)

    @cached_property
    def masks(self) -> "dict[int | None, BlockMask]":
        """The masks of FlexAttention, by window. All layers share them."""
        return {}


@dataclass(frozen=True)
class Need:
    """What a kernel has to support."""

    width: int
    """The width of a head."""
    dtype: torch.dtype
    is_differentiated: bool
    drops: bool
    """Whether there is dropout on attention weights."""
    window: int | None
    """Only tokens closer than this attend to each other; None: all of a row do."""
    is_deterministic: bool = False
    """Whether PyTorch uses only deterministic algorithms."""


class Kernel(Protocol):
    """Computes attention within rows."""

    def __call__(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        bounds: Bounds,
        *,
        scale: float,
        dropout: float,
        window: int | None,
    ) -> torch.Tensor:
        """Turn [queries, heads, width] and twice [keys, heads, width] into [queries, heads, width]."""


def kernel_for(need: Need, capability: tuple[int, int] | None) -> tuple[KernelName | None, str]:
    """Return the name of the fastest kernel for the need; None and the reason if there is none.

    `capability`: as `torch.cuda.get_device_capability` returns it; None for a GPU that is not NVIDIA's.
    """
    if capability is None:
        return None, "there are kernels for rows of different lengths on GPUs of NVIDIA alone"
    if capability < (_AMPERE if need.dtype == torch.bfloat16 else _VOLTA):
        return None, f"a GPU of compute capability {capability[0]}.{capability[1]} has no kernel for it"
    found: KernelName | None = None
    if _has_flash(need, capability):
        found = "flash" if need.drops else "varlen"
    elif need.window is None and not need.is_deterministic:
        found = "efficient"
    elif not need.drops:
        found = "flex"
    return found, "" if found else f"no kernel drops attention weights in {_named(need)}"


def _has_flash(need: Need, capability: tuple[int, int]) -> bool:
    is_supported = need.dtype in (torch.float16, torch.bfloat16) and capability >= _AMPERE
    has_memory = capability in _MUCH_SHARED_MEMORY or not need.is_differentiated
    return is_supported and need.width <= (_FLASH_WIDEST if has_memory else _FLASH_WIDEST_BACKWARD)


def _named(need: Need) -> str:
    limits = [f"heads of {need.width}", str(need.dtype).removeprefix("torch.")]
    limits += [f"a window of {need.window}"] if need.window is not None else []
    limits += ["deterministically"] if need.is_deterministic else []
    return ", ".join(limits)


def flash(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: Bounds,
    *,
    scale: float,
    dropout: float,
    window: int | None,
) -> torch.Tensor:
    """Compute FlashAttention, with dropout: the operator that `scaled_dot_product_attention` calls for jagged tensors."""
    side = None if window is None else window - 1
    width = query.shape[-1]
    attended = torch.ops.aten._flash_attention_forward(
        *(_wide_enough(each) for each in (query, key, value)),
        bounds.query_starts,
        bounds.key_starts,
        max(bounds.queries),
        max(bounds.keys),
        dropout,
        False,
        False,
        scale=scale,
        window_size_left=side,
        window_size_right=side,
    )[0]
    found: torch.Tensor = attended[..., :width]
    return found


def varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: Bounds,
    *,
    scale: float,
    dropout: float,
    window: int | None,
) -> torch.Tensor:
    """Call PyTorch's public function for rows of different lengths, which has no dropout."""
    from torch.nn.attention.varlen import varlen_attn  # takes a second to import

    assert not dropout, "else another kernel is chosen"
    side = -1 if window is None else window - 1
    width = query.shape[-1]
    attended = varlen_attn(
        _wide_enough(query),
        _wide_enough(key),
        _wide_enough(value),
        bounds.query_starts,
        bounds.key_starts,
        max(bounds.queries),
        max(bounds.keys),
        scale=scale,
        window_size=(side, side),
    )
    assert isinstance(attended, torch.Tensor)
    return attended[..., :width]


def efficient(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: Bounds,
    *,
    scale: float,
    dropout: float,
    window: int | None,
) -> torch.Tensor:
    """Compute memory-efficient attention, also in fp32: the operator of `scaled_dot_product_attention` for jagged tensors."""
    assert window is None, "else another kernel is chosen"
    width = query.shape[-1]
    states = [_wide_enough(each)[None] for each in (query, key, value)]
    attended = torch.ops.aten._efficient_attention_forward(
        *states,
        None,
        bounds.query_starts,
        bounds.key_starts,
        max(bounds.queries),
        max(bounds.keys),
        dropout,
        0,
        any(each.requires_grad for each in states),
        scale=scale,
    )[0]
    found: torch.Tensor = attended[0, ..., :width]
    return found


def flex(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: Bounds,
    *,
    scale: float,
    dropout: float,
    window: int | None,
) -> torch.Tensor:
    """Compute FlexAttention with a mask of the rows and the window. It has no dropout."""
    assert not dropout, "else another kernel is chosen"
    if window not in bounds.masks:
        bounds.masks[window] = _row_mask(bounds, window)
    states = [each.transpose(0, 1)[None] for each in (query, key, value)]
    attended = _flex_attention(query.device.type)(*states, block_mask=bounds.masks[window], scale=scale)
    found: torch.Tensor = attended[0].transpose(0, 1)
    return found


KERNELS: Mapping[KernelName, Kernel] = {"flash": flash, "varlen": varlen, "efficient": efficient, "flex": flex}


def _row_mask(bounds: Bounds, window: int | None) -> "BlockMask":
    from torch.nn.attention.flex_attention import create_block_mask

    query_rows, key_rows = bounds.query_rows, bounds.key_rows

    def same_row(_: torch.Tensor, __: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return query_rows[query] == key_rows[key]

    def near(row: torch.Tensor, head: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        assert window is not None
        return same_row(row, head, query, key) & ((query - key).abs() < window)

    assert window is None or bounds.queries == bounds.keys, "else places of queries and keys can't be compared"
    mask = same_row if window is None else near
    return create_block_mask(mask, None, None, len(query_rows), len(key_rows), device=str(bounds.device))


@lru_cache
def _flex_attention(device_type: str) -> Any:
    """Return FlexAttention, compiled for a GPU: it is slow otherwise."""
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=True) if device_type == "cuda" else flex_attention


def _wide_enough(states: torch.Tensor) -> torch.Tensor:
    missing = -states.shape[-1] % _FLASH_MULTIPLE
    return torch.nn.functional.pad(states, (0, missing)) if missing else states


def _starts(lengths: tuple[int, ...], device: torch.device) -> torch.Tensor:
    ends = torch.tensor(lengths).cumsum(0)
    return on_device(torch.nn.functional.pad(ends, (1, 0)).to(torch.int32), device)


def _rows(lengths: tuple[int, ...], device: torch.device) -> torch.Tensor:
    return on_device(torch.repeat_interleave(torch.tensor(lengths)), device)
