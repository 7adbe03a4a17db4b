"""Layers whose frozen weights are stored in bf16, and cast to the dtype of the input when they are used."""

from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from stages.modeling.sharding import is_share


class _Stored(torch.nn.Module):
    """A layer whose weight may be stored in another dtype than its input has."""

    @property
    def stored(self) -> torch.nn.Parameter:
        """The weight as it is stored."""
        weight = self._parameters["weight"]
        assert weight is not None
        return weight

    @property
    def weight(self) -> torch.Tensor:
        """The weight in fp32, for the code of families that multiplies with it or reads its dtype.

        A shard is returned as it is stored, since FSDP2 reads it to take it over.
        """
        if "weight" not in self._parameters:  # torch.nn.Module asks before it registers one
            raise AttributeError("weight")
        is_cast = self.stored.dtype == torch.bfloat16 and not is_share(self.stored)
        return self.stored.float() if is_cast else self.stored


class StoredLinear(_Stored, torch.nn.Linear):  # type: ignore[override]
    """A `torch.nn.Linear` whose weight may be stored in another dtype than its input has."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        """Take over the parameters of `layer`."""
        super().__init__(layer.in_features, layer.out_features, bias=False, device="meta")
        _take_over(self, layer)
        self.train(layer.training)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Map […, inputs] to […, outputs]."""
        if _is_cast_here(self.stored, input):
            return _product(input, self.stored, self.bias)
        return torch.nn.functional.linear(input, self.stored, self.bias)


class StoredConv1D(_Stored, Conv1D):  # type: ignore[misc]
    """GPT-2's linear layer, whose weight [inputs, outputs] may be stored in another dtype than its input has."""

    def __init__(self, layer: Conv1D) -> None:
        """Take over the parameters of `layer`."""
        torch.nn.Module.__init__(self)
        self.nf, self.nx = layer.nf, layer.nx
        _take_over(self, layer)
        self.train(layer.training)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map […, inputs] to […, outputs]."""
        if _is_cast_here(self.stored, x):
            return _product(x, self.stored.t(), self.bias)
        return torch.addmm(self.bias, x.flatten(0, -2), self.stored).view(*x.shape[:-1], -1)


class StoredEmbedding(_Stored, torch.nn.Embedding):  # type: ignore[override]
    """A `torch.nn.Embedding` that may be stored in bf16 and returns fp32."""

    def __init__(self, embeddings: torch.nn.Embedding) -> None:
        """Take over the weight of `embeddings`."""
        super().__init__(
            embeddings.num_embeddings, embeddings.embedding_dim, embeddings.padding_idx, _weight=embeddings.weight
        )
        _take_over(self, embeddings)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Look up ids […] and return [… , width]."""
        return torch.nn.functional.embedding(input, self.stored, self.padding_idx).float()


class _InFp32:
    """Mixin of a model whose weights may be stored in bf16, although it computes in fp32."""

    dtype = torch.float32
    """Without this it is the dtype of the first weight, in which the code of some families makes attention masks."""


def store_frozen_in_bf16(model: torch.nn.Module) -> None:
    """Store the frozen weight matrices of linear layers and embeddings in bf16. Other weights stay as they are."""
    for module in list(model.modules()):
        if isinstance(module, PreTrainedModel):
            kind = type(module)
            module.__class__ = type(kind.__name__, (_InFp32, kind), {})
        for name, child in module.named_children():
            replacement = _STORED.get(type(child))
            if replacement is not None and not child.weight.requires_grad:
                stored = replacement(child)
                stored.stored.data = stored.stored.data.to(torch.bfloat16)
                setattr(module, name, stored)


def store_in_fp32(model: torch.nn.Module) -> None:
    """Store all weights in fp32 again. They stay rounded to bf16."""
    for module in model.modules():
        if isinstance(module, _InFp32):
            module.__class__ = type(module).__mro__[2]
    for weight in model.parameters():
        if weight.dtype == torch.bfloat16:
            weight.data = weight.data.float()


_STORED: dict[type[torch.nn.Module], Any] = {
    torch.nn.Linear: StoredLinear,
    Conv1D: StoredConv1D,
    torch.nn.Embedding: StoredEmbedding,
}
"""The replacement for each class of layers. Subclasses may compute in another way, and are not replaced."""


def _take_over(stored: _Stored, layer: torch.nn.Module) -> None:
    """Register the parameters of `layer` with another layer, without a copy or cast."""
    for name, parameter in layer._parameters.items():
        stored.register_parameter(name, parameter)


def _is_cast_here(weight: torch.Tensor, input: torch.Tensor) -> bool:
    """Return whether the layer has to cast the weight itself: inside autocast, autocast does."""
    return weight.dtype == torch.bfloat16 and not torch.is_autocast_enabled(input.device.type)


def _product(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    product: torch.Tensor = _Product.apply(input, weight)
    return product if bias is None else product + bias


class _Product(torch.autograd.Function):
    """input @ weight.T for a frozen weight, cast in each pass. Autograd would keep the cast weight until the backward pass."""

    @staticmethod
    def forward(context: Any, input: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(weight)
        return torch.nn.functional.linear(input, weight.to(input.dtype))

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (weight,) = context.saved_tensors
        return gradient @ weight.to(gradient.dtype), None
