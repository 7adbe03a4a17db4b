"""The linear layers of an encoder in bf16 on the CPU, with less to copy than autocast has.

Layers with the same input, as query, key and value, are one product: the input is cast once, their weights side by side. A
bias is added inside the product, where PyTorch writes it out for every row before. Each weight is cast once a forward pass,
or once for all of them where `casts_kept` says that it does not change. Gradients stay where they are in the memory.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from threading import get_ident
from typing import Any, TypeAlias

import torch

from stages.modeling.gradients import KeptGradient, can_be_kept

Cast: TypeAlias = tuple[torch.Tensor, torch.Tensor | None]
"""Weights [outputs, inputs] and biases [outputs] of layers side by side, in bf16."""

_OF_ONE_INPUT = (("query", "key", "value"), ("q_lin", "k_lin", "v_lin"))
"""Names of a self-attention's query, key and value, which it calls with the same input, one after the other."""


class CpuLinear(torch.nn.Linear):
    """As the `torch.nn.Linear` whose parameters it takes over; what differs is how it computes in bf16."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        """Has no parameters of its own."""
        super().__init__(layer.in_features, layer.out_features, bias=False, device="meta")
        self.weight, self.bias = layer.weight, layer.bias
        self.gradients = KeptGradient(), KeptGradient()
        self.train(layer.training)
        self.products = Products([self])

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[…, inputs] to […, outputs]."""
        is_bf16 = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        return self.products.of(self, input) if is_bf16 else super().forward(input)


class Products:
    """Layers of one input. The first that is called with it computes for all of them; each thread has inputs of its own."""

    def __init__(self, layers: Sequence[CpuLinear]) -> None:
        """All have a bias, or none has."""
        self._layers = layers
        self._computed_of: dict[int, tuple[torch.Tensor, dict[CpuLinear, torch.Tensor]]] = {}
        """By thread, the last input, and the outputs of the layers that have not been called with it yet."""
        self._is_cast_kept = False
        self._cast: Cast | None = None

    def of(self, layer: CpuLinear, input: torch.Tensor) -> torch.Tensor:
        """What the layer makes of the input."""
        thread = get_ident()
        last, outputs = self._computed_of.get(thread, (None, {}))
        if last is not input or layer not in outputs:
            outputs = dict(zip(self._layers, self._computed(input), strict=True))
            self._computed_of[thread] = input, outputs
        output = outputs.pop(layer)
        if not outputs:
            del self._computed_of[thread]
        return output

    def keep_cast(self, is_kept: bool) -> None:
        """Whether the weights stay as they are, so that one cast will do."""
        self._is_cast_kept, self._cast = is_kept, None

    def _computed(self, input: torch.Tensor) -> Sequence[torch.Tensor]:
        weights, biases = [layer.weight for layer in self._layers], [layer.bias for layer in self._layers]
        cast = self._cast or (_side_by_side(weights), None if biases[0] is None else _side_by_side(biases))
        self._cast = cast if self._is_cast_kept else None
        outputs: Sequence[torch.Tensor] = _Product.apply(input, *cast, self._layers, *weights, *biases)
        return outputs


def use_cpu_products(model: torch.nn.Module) -> None:
    """Let every `torch.nn.Linear` of the model compute so, where oneDNN has products in bf16 for this CPU."""
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is torch.nn.Linear:
                setattr(module, name, CpuLinear(child))
        for names in _OF_ONE_INPUT:
            _join([getattr(module, name, None) for name in names])


def part_queries(layer: torch.nn.Module) -> None:
    """Let the queries of a layer's self-attention be a product of their own: they are not of all that its keys are of."""
    for module in layer.modules():
        for query, *others in _OF_ONE_INPUT:
            _join([getattr(module, query, None)])
            _join([getattr(module, name, None) for name in others])


def keys_and_values(module: torch.nn.Module) -> Sequence[torch.nn.Module]:
    """The layers of a self-attention that make its keys and its values."""
    names = next(names for names in _OF_ONE_INPUT if hasattr(module, names[0]))
    return [module.get_submodule(name) for name in names[1:]]


@contextmanager
def casts_kept(model: torch.nn.Module) -> Iterator[None]:
    """Inside the block the model's weights do not change: they are cast once."""
    products = {module.products for module in model.modules() if isinstance(module, CpuLinear)}
    for each in products:
        each.keep_cast(True)
    try:
        yield
    finally:
        for each in products:
            each.keep_cast(False)


def _join(layers: Sequence[object]) -> None:
    found = [layer for layer in layers if isinstance(layer, CpuLinear)]
    if len(found) == len(layers) and len({(layer.in_features, layer.bias is None) for layer in found}) == 1:
        products = Products(found)
        for layer in found:
            layer.products = products


def _side_by_side(parameters: Sequence[torch.Tensor]) -> torch.Tensor:
    """One behind the other along the outputs, in bf16."""
    sizes = [len(each) for each in parameters]
    cast = torch.empty(sum(sizes), *parameters[0].shape[1:], dtype=torch.bfloat16)
    for part, each in zip(cast.split(sizes), parameters, strict=True):
        part.copy_(each.detach())
    return cast


class _Product(torch.autograd.Function):
    """input · weightsᵀ + biases, the layers' parts by themselves. Products add up in fp32; gradients of parameters are in it."""

    @staticmethod
    def forward(
        context: Any,
        input: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        layers: Sequence[CpuLinear],
        *parameters: torch.Tensor | None,
    ) -> tuple[torch.Tensor, ...]:
        """`parameters`: the layers' weights, then their biases; that a gradient is wanted can be seen by them alone."""
        rows = input.flatten(0, -2).to(torch.bfloat16)
        sizes = [layer.out_features for layer in layers]
        context.layers, context.sizes, context.has_bias = layers, sizes, bias is not None
        context.input = input.shape, input.dtype
        context.save_for_backward(rows, weight)
        # unlike addmm it adds the bias without copying it to each row of the result before
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
        of_layers: tuple[torch.Tensor, ...] = product.view(*input.shape[:-1], -1).split(sizes, -1)
        return of_layers

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Of the input, and of each layer's weight and bias unless they are put where they are kept."""
        rows, weight = context.saved_tensors
        shape, dtype = context.input
        parts = [gradient.flatten(0, -2) for gradient in gradients]
        gradient = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        of_input = (gradient @ weight).view(shape).to(dtype) if context.needs_input_grad[0] else None
        of_weights = (gradient.t() @ rows).split(context.sizes)
        of_biases = gradient.sum(0).split(context.sizes) if context.has_bias else [None] * len(parts)
        handed = [
            [_handed(layer.weight, of_weight, layer.gradients[0]), _handed(layer.bias, of_bias, layer.gradients[1])]
            for layer, of_weight, of_bias in zip(context.layers, of_weights, of_biases, strict=True)
        ]
        return of_input, None, None, None, *chain.from_iterable(zip(*handed, strict=True))


def _handed(parameter: torch.Tensor | None, gradient: torch.Tensor | None, kept: KeptGradient) -> torch.Tensor | None:
    """The gradient, if autograd is to add it to the parameter's."""
    if parameter is None or gradient is None or not parameter.requires_grad:
        return None
    if not can_be_kept(parameter):
        return gradient.to(parameter.dtype)
    kept.add(parameter, gradient)
    return None
