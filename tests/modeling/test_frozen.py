"""Frozen weights: which they are, and the state of a training without them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from stages.modeling.frozen import load_trained_state, parameter_counts, require_gradients, trained_state
from stages.modeling.layers import layers_of
from stages.modeling.occurring_embeddings import OccurringEmbeddings
from stages.modeling.preparation import Use, prepare, undo_for_saving
from stages.pipeline.errors import TrainingError
from tests.architectures.families import write_family
from tests.modeling.test_layers import skeleton_of
from tests.support.recipes import recipe, with_lora
from tests.support.tiny_batches import PAD, model_of

CODES = np.array([PAD, 6, 7])


@pytest.mark.parametrize(("freeze", "highest"), [("none", -1), ("embeddings", 0), (1, 1), (3, 3)])
@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert", "gpt2", "llama"])
def test_what_is_frozen_are_the_embeddings_and_layers_from_the_bottom(family: str, freeze: Any, highest: int) -> None:
    model = prepare(model_of(family, "text"), Use("training", recipe=recipe(freeze=freeze)))
    layers = layers_of(model)
    for name, weight in model.named_parameters():
        assert weight.requires_grad == (layers.depths[name] > highest), name


def test_frozen_embeddings_are_not_put_aside_and_others_are() -> None:
    whole = sum(weight.numel() for weight in model_of("bert", "text").parameters())
    for train, is_put_aside in ((recipe(freeze="embeddings"), False), (with_lora(), False), (recipe(), True)):
        model = prepare(model_of("bert", "text"), Use("training", occurring=CODES, recipe=train))
        assert isinstance(model.get_input_embeddings(), OccurringEmbeddings) == is_put_aside
        counts, adapters = parameter_counts(model), [w for name, w in model.named_parameters() if "lora_" in name]
        assert counts.all == whole + sum(weight.numel() for weight in adapters)
        assert (counts.trained == counts.all) == is_put_aside


@pytest.mark.parametrize("train", [recipe(), recipe(freeze=2), with_lora()], ids=["all", "freeze", "lora"])
def test_the_trained_state_and_the_base_model_make_the_model(train: Any) -> None:
    def new() -> torch.nn.Module:
        return prepare(model_of("bert", "text"), Use("training", occurring=CODES, recipe=train))

    model = new()
    with torch.no_grad():
        for weight in filter(lambda weight: weight.requires_grad, model.parameters()):
            weight.normal_()
    state = {name: tensor.clone() for name, tensor in trained_state(model).items()}
    assert sum(tensor.numel() for tensor in state.values()) <= parameter_counts(model).trained
    load_trained_state(other := new(), state)
    assert other.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in other.state_dict().items())
    with pytest.raises(AssertionError):
        load_trained_state(other, {**state, "another": torch.zeros(1)})


@pytest.mark.parametrize("train", [recipe(), recipe(freeze="embeddings"), with_lora()], ids=["all", "freeze", "lora"])
@pytest.mark.parametrize("family", ["bert", "reformer"])
def test_layers_that_can_not_learn_are_told(family: str, train: Any, tmp_path: Path) -> None:
    """Reversible layers get no gradient where what they read needs none."""
    write_family(family, tmp_path)
    config = AutoConfig.from_pretrained(tmp_path, num_labels=3)
    model = prepare(AutoModelForSequenceClassification.from_config(config), Use("training", recipe=train)).train()
    codes = torch.arange(6, 38).repeat(1, 4)
    model(input_ids=codes, attention_mask=torch.ones_like(codes)).logits.sum().backward()
    if family == "bert" or train == recipe():
        require_gradients(model)
    else:
        with pytest.raises(TrainingError, match="no layer of reformer gets a gradient while its embeddings are frozen"):
            require_gradients(model)


def test_shared_weights_are_in_the_state_once() -> None:
    model = skeleton_of("t5")
    names = [name for name in trained_state(model) if "shared" in name or "embed_tokens" in name]
    assert names == ["transformer.shared.weight"]
    assert len(trained_state(model)) < len(model.state_dict())


def test_nothing_asked_for_is_as_no_recipe() -> None:
    states = [
        undo_for_saving(prepare(model_of("bert", "text"), Use("training", recipe=each))).state_dict()
        for each in (None, recipe())
    ]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(weight, states[1][name]) for name, weight in states[0].items())
