"""A sharded model computes what a whole one does, gives and takes the same state, and is refused where its code can't."""

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import distributed
from transformers import AutoConfig, PreTrainedModel

from stages.modeling.frozen import gathered_trained_state, load_trained_state, trained_state
from stages.modeling.preparation import Use, prepare
from stages.modeling.sharding import forget_failed_pass, is_share, require_shardable, shard, whole
from stages.pipeline.errors import ModelError
from tests.architectures.families import write_family
from tests.support.recipes import recipe, with_lora
from tests.support.tiny_batches import HEADS, PAD, batch_of, logits_of, model_of

pytestmark = pytest.mark.usefixtures("one_thread", "alone")

RECIPES = {"full": recipe(), "lora": with_lora(2, frozen_precision="bf16", gradient_checkpointing=True)}
CODES = torch.arange(70).numpy()[PAD:]


@pytest.fixture(scope="module")
def alone() -> Iterator[None]:
    """A group of this process alone: weights are shares, and hooks gather them, as among several."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def prepared(family: str, name: str) -> PreTrainedModel:
    model = prepare(model_of(family, "text"), Use("training", torch.device("cpu"), CODES, RECIPES[name]))
    shares = [weight for weight in model.parameters() if is_share(weight)]
    assert not shares
    return model


def logits_and_gradients(model: PreTrainedModel) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    logits = logits_of(model, batch_of((5, 9, 2)))
    torch.nn.functional.cross_entropy(logits, torch.arange(3)).backward()
    gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    return logits.detach(), {name: whole(gradient) for name, gradient in gradients.items()}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert", "gpt2", "llama"])
def test_logits_gradients_and_state_are_those_of_the_whole_model(family: str, name: str) -> None:
    model, sharded = prepared(family, name), prepared(family, name)
    shard(sharded)
    expected, of_whole = logits_and_gradients(model)
    found, of_shares = logits_and_gradients(sharded)
    assert torch.allclose(found, expected, atol=1e-6) and of_shares.keys() == of_whole.keys() != set()
    assert all(torch.allclose(of_shares[key], gradient, atol=1e-6) for key, gradient in of_whole.items())
    assert all(is_share(weight) for weight in sharded.parameters()), "between passes nothing is kept whole"
    halves = {key: weight.dtype for key, weight in model.named_parameters() if weight.dtype == torch.bfloat16}
    assert halves == {key: weight.dtype for key, weight in sharded.named_parameters() if weight.dtype == torch.bfloat16}

    state = {key: tensor.clone() for key, tensor in trained_state(model).items()}
    gathered = dict(gathered_trained_state(sharded))
    assert [*gathered] == [*state] and all(torch.equal(gathered[key], tensor) for key, tensor in state.items())
    load_trained_state(sharded, {key: tensor + 1 for key, tensor in state.items()})
    assert all(torch.equal(tensor, state[key] + 1) for key, tensor in gathered_trained_state(sharded))


def test_layers_are_gathered_by_themselves() -> None:
    model = prepared("bert", "full")
    shard(model)
    seen: list[tuple[bool, bool]] = []
    layers = model.base_model.encoder.layer
    layers[1].register_forward_pre_hook(
        lambda *_: seen.append((is_share(layers[0].output.dense.weight), is_share(model.get_input_embeddings().weight)))
    )
    logits_of(model, batch_of((5, 9)))
    assert seen == [(True, True)]


def test_after_a_pass_that_fails_the_next_one_is_right() -> None:
    """As where it is found out whether a model can be computed in bf16."""
    model = prepared("bert", "full")
    shard(model)
    expected, _ = logits_and_gradients(model)
    failing = model.base_model.encoder.layer[1].output.dense.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        logits_and_gradients(model)
    failing.remove()
    forget_failed_pass(model)
    assert torch.equal(logits_and_gradients(model)[0], expected)


@pytest.mark.parametrize("family", ["albert", "funnel", "perceiver", "deberta-v2"])
def test_families_whose_layers_or_embeddings_are_unusual(family: str, tmp_path: Path) -> None:
    write_family(family, tmp_path)
    config = AutoConfig.from_pretrained(tmp_path, num_labels=3)
    torch.manual_seed(0)
    model = HEADS["text"].from_config(config).eval()
    codes, sharded = {"input_ids": torch.tensor([[8, 9, 10, 11, 12, 13, 14, 7]])}, copy.deepcopy(model)
    shard(sharded)
    with torch.no_grad():
        assert torch.allclose(sharded(**codes).logits, model(**codes).logits, atol=1e-6)


@pytest.mark.parametrize(
    ("family", "changed", "told"),
    [
        ("squeezebert", {}, "the code of squeezebert calls its layers past what gathers them"),
        ("bart", {"decoder_layerdrop": 0.1}, r"bart leaves out layers at random \(decoder_layerdrop=0.1\)"),
    ],
)
def test_what_can_not_be_sharded_is_told(family: str, changed: dict[str, float], told: str) -> None:
    with torch.device("meta"):
        model = HEADS["text"].from_config(AutoConfig.for_model(family, **changed))
    with pytest.raises(ModelError, match=f"train.sharding=full: {told}.*; set train.sharding=none"):
        require_shardable(model)
