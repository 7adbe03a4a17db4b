"""Packed rows on a GPU: the hooks of `stages.modeling.cpu.packing`, and attention by a kernel that gets the bounds of rows.

All indices are computed on the host from a mask that the host has (`stages.modeling.transfer`), so it never waits for the GPU.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from transformers import PreTrainedModel

from stages.modeling.cpu.bf16_linear import key_and_value_layers
from stages.modeling.cpu.packed_attention import in_autocast_dtype
from stages.modeling.cpu.packed_rows import FirstSubwords, PackedRows
from stages.modeling.cpu.packing import pack_by
from stages.modeling.gpu.kernels import KERNELS, Bounds, Kernel, KernelName, Need, kernel_for

ATTENTION = "packed_rows_gpu"
"""The name of this attention in the registry of transformers."""


class NoKernelError(RuntimeError):
    """There is no kernel for the model's attention on this GPU."""


@dataclass(frozen=True)
class Kernels:
    """Chooses the kernels for the attention of a model."""

    drops: bool
    """Whether the model has dropout on attention weights in training."""
    choose: Callable[[Need], tuple[KernelName | None, str]] = field(
        default_factory=lambda: lambda need: kernel_for(need, _capability())
    )
    """Returns the kernel for a need, or None and why; by default for this GPU."""
    known: Mapping[KernelName, Kernel] = field(default_factory=lambda: KERNELS)
    used: set[KernelName] = field(default_factory=set)
    """The names of kernels that have been chosen."""
    _chosen: dict[Need, KernelName] = field(default_factory=dict)

    def of(self, states: Sequence[torch.Tensor], dropout: float, window: int | None) -> Kernel:
        """Return the kernel for query, key and value [sub-words, heads, width]. Raises NoKernelError if there is none.

        While gradients are computed, it is the same with and without dropout: a trial without dropout then tries it too.
        """
        is_differentiated = any(each.requires_grad for each in states)
        need = Need(
            width=states[0].shape[-1],
            dtype=states[0].dtype,
            is_differentiated=is_differentiated,
            drops=bool(dropout) or (self.drops and torch.is_grad_enabled()),
            window=window,
            is_deterministic=is_differentiated and torch.are_deterministic_algorithms_enabled(),
        )
        if need not in self._chosen:
            name, reason = self.choose(need)
            if name is None:
                raise NoKernelError(reason)
            self._chosen[need] = name
            self.used.add(name)
        return self.known[self._chosen[need]]


@dataclass(frozen=True)
class BoundedRows(PackedRows):
    """Packed rows with their bounds, and the kernels for attention within them."""

    kernels: Kernels | None = None

    @cached_property
    def bounds(self) -> Bounds:
        """The bounds of the rows. The filler is a row of its own."""
        lengths = (*self.lengths, *([self.filler] if self.filler else []))
        return Bounds(lengths, lengths, self.padded_index.device)


def pack_rows_on_gpu(model: PreTrainedModel, kernels: Kernels | None = None) -> "PackedOnGpu":
    """Let a model of `PACKED_FAMILIES` compute without padding, until `PackedOnGpu.take_back`. `kernels`: None for this GPU's."""
    before = model.config._attn_implementation
    chosen = kernels or Kernels(drops_attention(model))

    def rows_of(batch: torch.Tensor, mask: torch.Tensor | None) -> BoundedRows:
        return replace(BoundedRows.of(batch, mask), kernels=chosen)

    return PackedOnGpu(model, chosen, pack_by(model, ATTENTION, bounded_attention, rows_of), before)


class PackedOnGpu:
    """A model that computes without padding, and how to undo that."""

    def __init__(self, model: PreTrainedModel, kernels: Kernels, hooks: Any, attention: str) -> None:
        """`hooks`: the handles of the hooks that pack. `attention`: the model's attention implementation before."""
        self._model, self._hooks, self._attention = model, hooks, attention
        self.kernels = kernels

    def take_back(self) -> None:
        """Let the model compute with padding again."""
        for hook in self._hooks:
            hook.remove()
        self._model.set_attn_implementation(self._attention)


def bounded_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: BoundedRows | FirstSubwords,
    scaling: float,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **__: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within each row: query, key and value [1, heads, sub-words, width] to [1, sub-words, heads, width].

    With a sliding window, tokens closer than it attend to each other. For first sub-words, `key` and `value` are not used: the
    keys and values of all sub-words are computed here.
    """
    rows, (queries, keys, values) = attention_mask, (each[0].transpose(0, 1) for each in (query, key, value))
    if isinstance(rows, FirstSubwords):
        assert isinstance(rows.rows, BoundedRows)
        bounds, kernels = _bounds_of_first(rows, len(queries)), rows.rows.kernels
        of_all = (layer(rows.hidden)[0, : sum(rows.lengths)] for layer in key_and_value_layers(module))
        keys, values = (each.unflatten(-1, queries.shape[1:]) for each in of_all)
    else:
        bounds, kernels = rows.bounds, rows.kernels
    assert kernels is not None
    queries, keys, values = (in_autocast_dtype(each) for each in (queries, keys, values))
    attend = kernels.of((queries, keys, values), dropout, sliding_window)
    return attend(queries, keys, values, bounds, scale=scaling, dropout=dropout, window=sliding_window)[None], None


def _bounds_of_first(first: FirstSubwords, queries: int) -> Bounds:
    """Return the bounds of one query a row. The filler's queries, which nothing reads, are further ones of the last row."""
    rows = len(first.lengths)
    return Bounds((*[1] * (rows - 1), queries - rows + 1), first.lengths, first.hidden.device)


def drops_attention(model: PreTrainedModel) -> bool:
    """Return whether there is dropout on attention weights in training. Families name its rate differently."""
    rates = (getattr(model.config, name, 0) for name in ("attention_probs_dropout_prob", "attention_dropout"))
    return any(rates)


def _capability() -> tuple[int, int] | None:
    return None if torch.version.hip else torch.cuda.get_device_capability()
