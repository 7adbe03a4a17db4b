"""Linear layers computed in bf16 by oneDNN: what `torch.nn.Linear` gives under autocast, and the same gradients."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.modeling.cpu import bf16_linear, gradients
from stages.modeling.cpu.bf16_linear import (
    Bf16Linear,
    has_bf16_products,
    separate_queries,
    use_bf16_linear,
    weights_cast_once,
)
from stages.modeling.cpu.gradients import GradientBuffer, RowGradientBuffer
from tests.support.tiny_batches import batch_of, logits_of, model_of

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not has_bf16_products(), reason="oneDNN has no products in bf16 for this CPU"),
]


class Layers(torch.nn.Module):
    """Three layers of one input, and one of what they give together."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.query, self.key, self.value = (torch.nn.Linear(24, width, bias=bias) for width in (16, 16, 8))
        self.last = torch.nn.Linear(40, 5, bias=bias)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        joined = torch.cat([self.query(states), self.key(states), self.value(states)], -1)
        return torch.as_tensor(self.last(joined))


def products_of(bias: bool = True) -> Layers:
    layers = Layers(bias)
    use_bf16_linear(layers)
    return layers


def bf16() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


def states() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 7, 24, requires_grad=True)


def result_and_gradients(layers: Layers, input: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    with bf16():
        result = layers(input)
    result.float().square().mean().backward()
    assert input.grad is not None
    found = {name: weight.grad for name, weight in layers.named_parameters() if weight.grad is not None}
    return result.detach(), {**found, "input": input.grad}


def near(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """To bf16's precision."""
    return found.dtype == expected.dtype and float((found - expected).norm()) <= 0.01 * float(expected.norm())


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("bias", [True, False])
def test_results_and_gradients_are_those_of_autocast(
    bias: bool, is_shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shared between processes, gradients have to go through autograd."""
    monkeypatch.setattr(gradients.distributed, "is_initialized", lambda: is_shared)
    expected, of_autocast = result_and_gradients(Layers(bias), states())
    found, of_products = result_and_gradients(products_of(bias), states())
    assert near(found, expected)
    assert of_products.keys() == of_autocast.keys()
    assert all(near(of_products[name], gradient) for name, gradient in of_autocast.items())


@pytest.mark.parametrize(("are_queries_parted", "expected"), [(False, [3, 1]), (True, [1, 2, 1])])
def test_layers_of_one_input_are_one_product(
    are_queries_parted: bool, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    layers, counted, compute = products_of(), list[int](), bf16_linear._LinearFunction.apply
    if are_queries_parted:
        separate_queries(layers)

    def counting(*arguments: Any) -> Any:
        counted.append(len(arguments[3]))
        return compute(*arguments)

    monkeypatch.setattr(bf16_linear._LinearFunction, "apply", counting)
    with bf16():
        layers(states())
        layers(states())
    assert counted == expected * 2


def test_another_input_is_another_product() -> None:
    layers, (first, second) = products_of(), (states(), 2 * states())
    with bf16(), torch.no_grad():
        found = layers.query(first), layers.query(second), layers.key(second), layers.key(first)
        alone = products_of()
        expected = [getattr(alone, name)(given) for name, given in
                    (("query", first), ("query", second), ("key", second), ("key", first))]  # fmt: skip
    assert all(map(torch.equal, found, expected))


def test_in_fp32_nothing_differs() -> None:
    assert torch.equal(products_of()(states()), Layers()(states()))


def test_gradients_of_several_batches_add_up_and_begin_anew() -> None:
    layers = products_of()
    result_and_gradients(layers, states())
    once = {name: weight.grad.clone() for name, weight in layers.named_parameters() if weight.grad is not None}
    places = {name: weight.grad.data_ptr() for name, weight in layers.named_parameters() if weight.grad is not None}
    result_and_gradients(layers, states())
    for name, weight in layers.named_parameters():
        assert weight.grad is not None and torch.allclose(weight.grad, 2 * once[name])
    optimizer = torch.optim.SGD(layers.parameters(), 0.0)
    optimizer.zero_grad()
    result_and_gradients(layers, states())
    for name, weight in layers.named_parameters():
        assert weight.grad is not None and torch.equal(weight.grad, once[name])
        assert weight.grad.data_ptr() == places[name]


def test_a_frozen_weight_gets_no_gradient() -> None:
    layers = products_of()
    layers.key.requires_grad_(False)
    assert not {"key.weight", "key.bias"} & result_and_gradients(layers, states())[1].keys()
    assert "query.weight" in result_and_gradients(layers, states())[1]


def test_casts_are_kept_as_long_as_is_said_and_no_longer() -> None:
    layers, given = products_of(), states()
    with bf16(), torch.no_grad():
        before = layers(given)
        with weights_cast_once(layers):
            assert torch.equal(layers(given), before)
            layers.last.weight.zero_()
            assert torch.equal(layers(given), before)
        assert float(layers(given).std(0).max()) < float(before.std(0).max())


def test_a_copy_computes_with_its_own_weights() -> None:
    layers, given = products_of(), states()
    with bf16(), torch.no_grad():
        before, copied = layers(given), copy.deepcopy(layers)
        assert torch.equal(copied(given), before)
        for weight in copied.parameters():
            weight.zero_()
        assert copied(given).count_nonzero() == 0
        assert torch.equal(layers(given), before)


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_a_model_is_saved_as_it_was_and_computes_the_same(family: str, tmp_path: Path) -> None:
    model, batch = model_of(family, "text").eval(), batch_of((7, 3, 20))
    model.save_pretrained(tmp_path / "before")
    with bf16(), torch.no_grad():
        expected = logits_of(model, batch)
        use_bf16_linear(model.base_model)
        assert near(logits_of(model, batch), expected)
    model.save_pretrained(tmp_path / "after")
    name = "model.safetensors"
    assert (tmp_path / "after" / name).read_bytes() == (tmp_path / "before" / name).read_bytes()
    joined = [each for each in model.modules() if isinstance(each, Bf16Linear) and len(each.product._layers) == 3]
    assert len(joined) == 9, "query, key and value of three layers"


def test_a_gradient_stays_in_its_place() -> None:
    weight, kept = torch.nn.Parameter(torch.zeros(3, 2)), GradientBuffer()
    kept.add(weight, torch.ones(3, 2, dtype=torch.bfloat16))
    first = weight.grad
    kept.add(weight, torch.ones(3, 2))
    assert first is not None and weight.grad is first and first.unique().tolist() == [2]
    weight.grad = None
    kept.add(weight, torch.full((3, 2), 5.0))
    assert weight.grad is not None and torch.equal(weight.grad, torch.full((3, 2), 5.0))
    assert torch.as_tensor(weight.grad).data_ptr() == first.data_ptr()


def test_rows_of_earlier_steps_are_zeroed() -> None:
    weight, kept = torch.nn.Parameter(torch.zeros(5, 2)), RowGradientBuffer()
    kept.add(weight, torch.tensor([1, 3]), torch.ones(2, 2))
    kept.add(weight, torch.tensor([3, 4]), torch.ones(2, 2))
    assert weight.grad is not None and weight.grad[:, 0].tolist() == [0, 1, 0, 2, 1]
    weight.grad = None
    kept.add(weight, torch.tensor([0]), torch.ones(1, 2))
    assert torch.as_tensor(weight.grad)[:, 0].tolist() == [1, 0, 0, 0, 0]
