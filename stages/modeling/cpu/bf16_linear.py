"""Linear layers in bf16 on a CPU, with fewer copies than autocast makes.

Layers that read the same input, such as query, key and value, are one matrix product with concatenated weights, so that the input
is cast once. The bias is added inside the product; PyTorch would first copy it to every row. Each weight is cast once per forward
pass, or once for several passes inside `weights_cast_once`. Gradients keep their memory between steps.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from threading import get_ident
from typing import Any, TypeAlias

import torch

from stages.modeling.cpu.gradients import GradientBuffer, bypasses_autograd
from stages.modeling.stored_weights import StoredLinear

CastParameters: TypeAlias = tuple[torch.Tensor, torch.Tensor | None]
"""The concatenated weights [outputs, inputs] and biases [outputs] of layers, in bf16."""

_QUERY_KEY_VALUE = (("query", "key", "value"), ("q_lin", "k_lin", "v_lin"))
"""Attribute names of a self-attention's query, key and value layers. They are called one after the other with one input."""


class Bf16Linear(StoredLinear):
    """A `torch.nn.Linear` that computes with oneDNN inside bf16 autocast, and as usual otherwise."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        """Take over the parameters of `layer`."""
        super().__init__(layer)
        self.gradients = GradientBuffer(), GradientBuffer()
        self.product = JoinedProduct([self])

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Map […, inputs] to […, outputs]."""
        is_bf16 = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        return self.product.output_of(self, input) if is_bf16 else super().forward(input)


class JoinedProduct:
    """One matrix product for layers that read the same input.

    The first layer that is called with an input computes the outputs of all. Each thread has its own input.
    """

    def __init__(self, layers: Sequence[Bf16Linear]) -> None:
        """`layers`: all have a bias, or none has."""
        self._layers = layers
        self._pending: dict[int, tuple[torch.Tensor, dict[Bf16Linear, torch.Tensor]]] = {}
        """By thread: the last input, and the outputs of the layers that have not been called with it yet."""
        self._keeps_cast = False
        self._cast: CastParameters | None = None

    def output_of(self, layer: Bf16Linear, input: torch.Tensor) -> torch.Tensor:
        """Return the output of one layer."""
        thread = get_ident()
        last, outputs = self._pending.get(thread, (None, {}))
        if last is not input or layer not in outputs:
            outputs = dict(zip(self._layers, self._compute(input), strict=True))
            self._pending[thread] = input, outputs
        output = outputs.pop(layer)
        if not outputs:
            del self._pending[thread]
        return output

    def keep_cast(self, is_kept: bool) -> None:
        """Set whether one cast of the weights is kept for later passes, because they don't change."""
        self._keeps_cast, self._cast = is_kept, None

    def _compute(self, input: torch.Tensor) -> Sequence[torch.Tensor]:
        weights, biases = [layer.stored for layer in self._layers], [layer.bias for layer in self._layers]
        cast = self._cast or (_cast_side_by_side(weights), None if biases[0] is None else _cast_side_by_side(biases))
        self._cast = cast if self._keeps_cast else None
        outputs: Sequence[torch.Tensor] = _LinearFunction.apply(input, *cast, self._layers, *weights, *biases)
        return outputs


def has_bf16_products() -> bool:
    """Return whether oneDNN supports matrix products in bf16 on this CPU."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def use_bf16_linear(model: torch.nn.Module) -> None:
    """Replace every `torch.nn.Linear` in the model, if this CPU has products in bf16."""
    if not has_bf16_products():
        return
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, torch.nn.Linear) and type(child) in (torch.nn.Linear, StoredLinear):
                setattr(module, name, Bf16Linear(child))
        for names in _QUERY_KEY_VALUE:
            _join([getattr(module, name, None) for name in names])


def separate_queries(layer: torch.nn.Module) -> None:
    """Compute queries apart from keys and values, for an encoder layer with fewer queries than keys."""
    for module in layer.modules():
        for query, *others in _QUERY_KEY_VALUE:
            _join([getattr(module, query, None)])
            _join([getattr(module, name, None) for name in others])


def key_and_value_layers(module: torch.nn.Module) -> Sequence[torch.nn.Module]:
    """Return the linear layers of a self-attention that compute its keys and its values."""
    names = next(names for names in _QUERY_KEY_VALUE if hasattr(module, names[0]))
    return [module.get_submodule(name) for name in names[1:]]


@contextmanager
def weights_cast_once(model: torch.nn.Module) -> Iterator[None]:
    """Cast the weights to bf16 only once inside the block. They must not change in it."""
    products = {module.product for module in model.modules() if isinstance(module, Bf16Linear)}
    for each in products:
        each.keep_cast(True)
    try:
        yield
    finally:
        for each in products:
            each.keep_cast(False)


def _join(layers: Sequence[object]) -> None:
    """Compute the layers as one product, if all are Bf16Linear, have equally many inputs, and all or none have a bias.

    Of a layer with an adapter, the adapter's base layer is taken.
    """
    bare = [getattr(layer, "base_layer", layer) for layer in layers]
    found = [layer for layer in bare if isinstance(layer, Bf16Linear)]
    if len(found) == len(layers) and len({(layer.in_features, layer.bias is None) for layer in found}) == 1:
        product = JoinedProduct(found)
        for layer in found:
            layer.product = product


def _cast_side_by_side(parameters: Sequence[torch.Tensor]) -> torch.Tensor:
    """Concatenate parameters along their outputs, in bf16. One that is in bf16 stays where it is."""
    if len(parameters) == 1 and parameters[0].dtype == torch.bfloat16:
        return parameters[0].detach()
    sizes = [len(each) for each in parameters]
    cast = torch.empty(sum(sizes), *parameters[0].shape[1:], dtype=torch.bfloat16)
    for part, each in zip(cast.split(sizes), parameters, strict=True):
        part.copy_(each.detach())
    return cast


class _LinearFunction(torch.autograd.Function):
    """input @ weight.T + bias, split into the outputs of the layers.

    Products accumulate in fp32, and so do the gradients of the parameters.
    """

    @staticmethod
    def forward(
        context: Any,
        input: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        layers: Sequence[Bf16Linear],
        *parameters: torch.Tensor | None,
    ) -> tuple[torch.Tensor, ...]:
        """`parameters`: the weights of the layers, then their biases. They tell autograd that a gradient is needed."""
        rows = input.flatten(0, -2).to(torch.bfloat16)
        sizes = [layer.out_features for layer in layers]
        context.layers, context.sizes, context.has_bias = layers, sizes, bias is not None
        context.input = input.shape, input.dtype
        context.is_frozen = not any(context.needs_input_grad[4:])
        context.save_for_backward(None if context.is_frozen else rows, weight)
        # addmm would copy the bias to each row of the result before it multiplies
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
        outputs: tuple[torch.Tensor, ...] = product.view(*input.shape[:-1], -1).split(sizes, -1)
        return outputs

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradient of the input, and those of weights and biases that are not written into their buffers."""
        rows, weight = context.saved_tensors
        shape, dtype = context.input
        parts = [gradient.flatten(0, -2) for gradient in gradients]
        gradient = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        of_input = (gradient @ weight).view(shape).to(dtype) if context.needs_input_grad[0] else None
        if context.is_frozen:
            return of_input, *[None] * (len(context.needs_input_grad) - 1)
        of_weights = (gradient.t() @ rows).split(context.sizes)
        of_biases = gradient.sum(0).split(context.sizes) if context.has_bias else [None] * len(parts)
        for_autograd = [
            [_written(layer.stored, of_weight, layer.gradients[0]), _written(layer.bias, of_bias, layer.gradients[1])]
            for layer, of_weight, of_bias in zip(context.layers, of_weights, of_biases, strict=True)
        ]
        return of_input, None, None, None, *chain.from_iterable(zip(*for_autograd, strict=True))


def _written(
    parameter: torch.Tensor | None, gradient: torch.Tensor | None, buffer: GradientBuffer
) -> torch.Tensor | None:
    """Write the gradient into its buffer and return None; return it where autograd has to see it."""
    if parameter is None or gradient is None or not parameter.requires_grad:
        return None
    if not bypasses_autograd(parameter):
        return gradient.to(parameter.dtype)
    buffer.add(parameter, gradient)
    return None
