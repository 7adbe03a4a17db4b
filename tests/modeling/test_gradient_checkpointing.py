"""Gradient checkpointing: the gradients of the same step to the last bit, with dropout too, for less that is kept."""

from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

from stages.configuration.schema import TrainConfig
from stages.modeling.gradient_checkpointing import without_gradient_checkpointing
from stages.modeling.preparation import Use, prepare, undo_for_saving
from stages.pipeline.errors import ModelError
from stages.training.memory import _StepMemory
from tests.support.recipes import recipe, with_lora
from tests.support.tiny_batches import HEADS, batch_of, logits_of, model_of

FAMILIES = ("bert", "modernbert", "gpt2", "llama")
RECIPES = {
    "plain": (recipe(), False),
    "plain-bf16": (recipe(), True),
    "lora-bf16": (with_lora(dropout=0.2), True),
    "freeze": (recipe(freeze=1, frozen_precision="bf16"), False),
}
"""Recipes, and whether the step is in bf16."""

pytestmark = pytest.mark.usefixtures("one_thread")


def prepared(family: str, kind: str, train: TrainConfig) -> PreTrainedModel:
    return prepare(model_of(family, kind, rate=0.2), Use("training", torch.device("cpu"), recipe=train)).train()


def step(model: PreTrainedModel, *, bf16: bool) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The gradients of a step, and the state of the generator after it."""
    torch.manual_seed(2)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        logits = logits_of(model, batch_of((7, 3, 20, 1))).float()
    torch.nn.functional.cross_entropy(logits, torch.arange(len(logits)) % 3).backward()
    return {
        name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None
    }, torch.get_rng_state()


@pytest.mark.parametrize(("train", "bf16"), RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_equal_with_dropout_too(family: str, kind: str, train: TrainConfig, bf16: bool) -> None:
    expected, state = step(prepared(family, kind, train), bf16=bf16)
    model = prepared(family, kind, replace(train, gradient_checkpointing=True))
    assert model.is_activation_checkpointing
    found, state_after = step(model, bf16=bf16)
    assert found.keys() == expected.keys() != set()
    assert all(torch.equal(found[name], gradient) for name, gradient in expected.items())
    assert any(gradient.abs().max() > 0 for gradient in expected.values())
    assert torch.equal(state_after, state)


def test_a_layer_that_is_computed_anew_leaves_no_layout_behind() -> None:
    """On a GPU, a thread of its own computes it, and no later forward pass would take the place of what it leaves."""
    model = prepared("bert", "text", recipe(gradient_checkpointing=True))
    step(model, bf16=False)
    layouts = [
        hook.__self__._layouts
        for module in model.modules()
        for hook in module._forward_pre_hooks.values()
        if hasattr(getattr(hook, "__self__", None), "_layouts")
    ]
    assert len(layouts) == 2 and not any(layouts)


def test_less_is_kept_and_the_search_for_what_fits_counts_on_it() -> None:
    model = prepared("bert", "tokens", recipe(gradient_checkpointing=True))
    trial = _StepMemory(model, "fp32", 7)
    at_most = trial._of_one_more_row(64)
    outside = trial._saved_bytes([64] * 2) - trial._saved_bytes([64])
    with without_gradient_checkpointing(model):
        assert not model.is_activation_checkpointing
        everything = trial._of_one_more_row(64)
    assert model.is_activation_checkpointing
    assert outside < at_most < everything
    assert at_most >= outside + (everything - outside) / 3 + 3 * 64 * 32 * 4, (
        "one of three layers, and the states between"
    )


def test_a_family_without_it_is_refused_and_a_saved_model_shows_nothing_of_it() -> None:
    with pytest.raises(ModelError, match="transformers has none for albert; set it to false"):
        prepared("albert", "text", recipe(gradient_checkpointing=True))
    model = undo_for_saving(prepared("bert", "text", recipe(gradient_checkpointing=True)))
    assert not model.is_activation_checkpointing
    assert model.config.to_dict() == undo_for_saving(prepared("bert", "text", recipe())).config.to_dict()
