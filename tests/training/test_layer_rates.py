"""Layer-wise learning rates: base times decay, once for each layer above."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.modeling.layers import layers_of
from stages.modeling.preparation import Use, prepare
from stages.training.layer_rates import decay_rates
from tests.support.recipes import recipe, with_lora
from tests.support.tiny_batches import model_of


@settings(max_examples=15)
@given(st.floats(0.1, 0.99), st.sampled_from(["bert", "distilbert", "modernbert", "gpt2", "llama"]), st.booleans())
def test_the_rate_of_a_layer_is_that_of_the_head_times_a_power_of_decay(decay: float, family: str, lora: bool) -> None:
    model = prepare(model_of(family, "text"), Use("training", recipe=with_lora() if lora else recipe()))
    named = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    decayed = {"weight_decay": 0.01, "params": [weight for weight in named.values() if weight.dim() > 1]}
    others = {"weight_decay": 0.0, "params": [weight for weight in named.values() if weight.dim() == 1]}
    optimizer = torch.optim.AdamW([decayed, others], lr=2e-3)
    decay_rates(optimizer, model, decay)
    groups = {weight: group for group in optimizer.param_groups for weight in group["params"]}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(groups) == len(named)
    above = layers_of(model).top
    for name, weight in named.items():
        depth = layers_of(model).depths[name]
        assert groups[weight]["lr"] == pytest.approx(2e-3 * decay ** (above - depth))
        assert groups[weight]["weight_decay"] == (0.01 if weight.dim() > 1 else 0.0)
    assert optimizer.param_groups[0]["lr"] == 2e-3, "the log shows the first group's"
    assert len({group["lr"] for group in optimizer.param_groups}) == (4 if lora else 5)


def test_a_step_moves_each_layer_by_its_rate() -> None:
    """AdamW's first step moves every weight by its rate."""
    model = prepare(model_of("bert", "text"), Use("training", recipe=recipe()))
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0)
    decay_rates(optimizer, model, 0.5)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    for name, weight in model.named_parameters():
        moved = (weight.detach() - before[name]).abs()
        rate = 1e-2 * 0.5 ** (4 - layers_of(model).depths[name])
        assert torch.allclose(moved, torch.full_like(moved, rate), rtol=1e-2, atol=1e-6), name
