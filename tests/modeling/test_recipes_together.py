"""Every option of a recipe alone, and any two together, in several families and for both kinds of task.

A model trains, goes on from its trained state to the same weights, leaves what is frozen as it was, and is saved as an ordinary
one that predicts the same.
"""

import copy
from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from stages.configuration.contradictions import contradictions
from stages.configuration.schema import LoraConfig, TrainConfig
from stages.modeling.frozen import load_trained_state, trained_state
from stages.modeling.preparation import Use, prepare, undo_for_saving
from stages.training.layer_rates import decay_rates
from tests.support.recipes import recipe
from tests.support.tiny_batches import HEADS, PAD, batch_of, logits_of, model_of

OPTIONS: dict[str, dict[str, Any]] = {
    "lora": {"adapter": "lora", "lora": LoraConfig(2, 8, 0.1)},
    "embeddings": {"freeze": "embeddings"},
    "freeze": {"freeze": 2},
    "bf16": {"frozen_precision": "bf16"},
    "decay": {"layer_decay": 0.8},
    "checkpointing": {"gradient_checkpointing": True},
    "8bit": {"optimizer": "adamw_8bit"},
}
FAMILIES = ("bert", "distilbert", "modernbert", "gpt2", "llama")
CODES = torch.arange(70).numpy()[PAD:]

pytestmark = pytest.mark.usefixtures("one_thread")


def alone_and_in_pairs() -> Iterator[tuple[str, TrainConfig]]:
    names = [(name,) for name in OPTIONS] + [*combinations(OPTIONS, 2)]
    for chosen in names:
        train = recipe(**{key: value for name in chosen for key, value in OPTIONS[name].items()})
        if not contradictions({"train": train}) and set(chosen) != {"embeddings", "freeze"}:
            yield "-".join(chosen), train


RECIPES = {**dict(alone_and_in_pairs()), "all": recipe(**{k: v for each in OPTIONS.values() for k, v in each.items()})}


def cases() -> Iterator[tuple[str, str, str]]:
    """Alone for both kinds in every family; two together for one kind in a family, and for the other in the next."""
    for (number, name), (place, family) in product(enumerate(RECIPES), enumerate(FAMILIES)):
        kinds = [*HEADS]
        yield from ((family, kind, name) for kind in (kinds[(number + place) % 2 :][:1] if "-" in name else kinds))


class Training:
    """A few steps of a model, as the trainer takes them."""

    def __init__(self, family: str, kind: str, train: TrainConfig) -> None:
        base = model_of(family, kind, rate=0.1)
        with torch.no_grad():
            for weight in base.parameters():
                weight.div_(4 if weight.dim() > 1 else 1)
        use = Use("training", torch.device("cpu"), occurring=CODES, recipe=train)
        self.model: PreTrainedModel = prepare(base, use)
        trained = [weight for weight in self.model.parameters() if weight.requires_grad]
        if train.optimizer == "adamw_8bit":
            bitsandbytes = pytest.importorskip("bitsandbytes")
            self.optimizer = bitsandbytes.optim.AdamW8bit(trained, lr=1e-2, min_8bit_size=1)
        else:
            self.optimizer = torch.optim.AdamW(trained, lr=1e-2, fused=True)
        if train.layer_decay < 1:
            decay_rates(self.optimizer, self.model, train.layer_decay)

    def step(self, number: int) -> None:
        torch.manual_seed(number)
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            logits = logits_of(self.model, batch_of((5, 9, 2))).float()
        torch.nn.functional.cross_entropy(logits, torch.arange(len(logits)) % 3).backward()
        self.optimizer.step()


def frozen_bits(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in model.named_parameters() if not weight.requires_grad}


def test_most_pairs_are_allowed() -> None:
    assert len(RECIPES) == 7 - 1 + 21 - 4 + 1, "bf16 asks for something frozen"


@pytest.mark.parametrize(("family", "kind", "name"), [*cases()])
def test_it_trains_goes_on_and_is_saved_as_an_ordinary_model(family: str, kind: str, name: str) -> None:
    train = RECIPES[name]
    training, stopped = Training(family, kind, train), Training(family, kind, train)
    frozen = frozen_bits(training.model)
    before = {key: tensor.clone() for key, tensor in trained_state(training.model).items()}
    training.step(1)
    load_trained_state(stopped.model, trained_state(training.model))
    stopped.optimizer.load_state_dict(copy.deepcopy(training.optimizer.state_dict()))
    training.step(2)
    stopped.step(2)
    state = trained_state(training.model)
    assert all(torch.equal(tensor, state[key]) for key, tensor in trained_state(stopped.model).items())
    assert all(torch.equal(weight, frozen[key]) for key, weight in frozen_bits(training.model).items())
    assert bool(frozen) == (train.freeze != "none" or train.adapter == "lora")
    moved = [
        key for key, tensor in state.items() if tensor.is_floating_point() and not torch.equal(tensor, before[key])
    ]
    assert len(moved) > len(state) // 2

    model = training.model.eval()
    with torch.no_grad():
        expected = logits_of(model, batch_of((5, 9, 2)))
    ordinary = model_of(family, kind).eval()
    ordinary.load_state_dict(undo_for_saving(model).state_dict())
    with torch.no_grad():
        found = logits_of(ordinary, batch_of((5, 9, 2)))
    assert torch.allclose(found, expected, atol=1e-5, rtol=1e-5)
