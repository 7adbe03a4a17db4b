"""Training without the embeddings of sub-words that do not occur: the weights are those of training with all."""

import copy

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from stages.modeling.cpu.packing import PACKED_FAMILIES, is_packed
from stages.modeling.occurring_embeddings import OccurringEmbeddings, keep_occurring, restore_all
from stages.modeling.preparation import Use, prepare
from tests.support.tiny_batches import PAD, batch_of, model_of

pytestmark = pytest.mark.usefixtures("one_thread")

OCCURRING = np.array([PAD, 6, 7, 11, 30, 68])
ABSENT = np.setdiff1d(np.arange(70), OCCURRING)
DECAY, RATES = 0.1, (0.01, 0.03, 0.02)


def batches() -> list[dict[str, torch.Tensor]]:
    found = []
    for lengths in ((7, 3, 20), (4, 1), (9, 9, 2)):
        batch = batch_of(lengths)
        ids = torch.from_numpy(OCCURRING[1:])[batch["input_ids"] % (len(OCCURRING) - 1)]
        found.append({**batch, "input_ids": ids.masked_fill(batch["attention_mask"] == 0, PAD)})
    return found


def train(model: PreTrainedModel) -> None:
    """Some steps as the Trainer does them."""
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=DECAY, fused=True)
    for rate, batch in zip(RATES, batches(), strict=True):
        optimizer.param_groups[0]["lr"] = rate
        model(**batch).logits.square().mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("kind", ["text", "tokens"])
@pytest.mark.parametrize("family", [*PACKED_FAMILIES, "mpnet"])
def test_the_weights_are_those_of_training_with_all_embeddings(family: str, kind: str) -> None:
    expected = model_of(family, kind)
    start = copy.deepcopy(expected.get_input_embeddings().weight.detach())
    model = keep_occurring(copy.deepcopy(expected), OCCURRING)
    assert len(model.get_input_embeddings().weight) == len(OCCURRING) + 1
    train(expected)
    train(model)
    restore_all(model)
    found, wanted = model.state_dict(), expected.state_dict()
    assert found.keys() == wanted.keys()
    for name, weight in wanted.items():
        torch.testing.assert_close(
            found[name], weight, rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
        )
    embeddings = model.get_input_embeddings().weight
    shrunk = np.prod([1 - rate * DECAY for rate in RATES])
    torch.testing.assert_close(embeddings[ABSENT], start[ABSENT] * shrunk)
    assert (embeddings[OCCURRING[1:]] - start[OCCURRING[1:]]).abs().max() > 0.01


@pytest.mark.parametrize("kind", ["text", "tokens"])
@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_a_pack_needs_no_sub_word_that_does_not_occur(family: str, kind: str) -> None:
    """A pack has a filler, and code 0, which a tensor of zeros would fill it with, has no embedding here."""
    assert 0 in ABSENT
    expected = model_of(family, kind)
    model = prepare(copy.deepcopy(expected), Use("training", torch.device("cpu"), occurring=OCCURRING))
    assert is_packed(model)
    with pytest.raises(IndexError):
        model(input_ids=torch.zeros(1, 5, dtype=torch.long), attention_mask=torch.ones(1, 5))
    for batch in batches():
        logits = []
        for each in (expected, model):
            each.zero_grad()
            found = each(**batch).logits
            logits.append(found if kind == "text" else found[batch["attention_mask"].bool()])
            logits[-1].square().mean().backward()
        scale = float(logits[0].detach().abs().max())
        torch.testing.assert_close(logits[1], logits[0], rtol=1e-4, atol=1e-4 * scale)
        gradients = {name: weight.grad for name, weight in expected.named_parameters() if weight.grad is not None}
        name, of_all = next((name, gradient) for name, gradient in gradients.items() if len(gradient) == 70)
        gradients[name] = torch.cat([of_all[OCCURRING], torch.zeros_like(of_all[:1])])
        largest = max(float(gradient.abs().max()) for gradient in gradients.values())
        for name, weight in model.named_parameters():
            if name in gradients:
                torch.testing.assert_close(weight.grad, gradients[name], rtol=1e-3, atol=1e-5 * largest)


def test_before_training_nothing_differs() -> None:
    model = model_of("bert", "text").eval()
    state = copy.deepcopy(model.state_dict())
    logits = [model(**batch).logits for batch in batches()]
    keep_occurring(model, OCCURRING)
    for batch, before in zip(batches(), logits, strict=True):
        torch.testing.assert_close(model(**batch).logits, before, rtol=0, atol=0)
    restore_all(model)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_padding_is_kept_though_it_never_occurs() -> None:
    embeddings = torch.nn.Embedding(10, 4, padding_idx=3)
    kept = OccurringEmbeddings(embeddings, np.array([5, 7]))
    assert torch.equal(kept(torch.tensor([3, 5, 7])), embeddings(torch.tensor([3, 5, 7])))
    kept(torch.tensor([3, 5])).sum().backward()
    assert kept.weight.grad is not None
    assert kept.weight.grad.abs().sum(1).tolist() == [0.0, 4.0, 0.0, 0.0]
    assert torch.equal(kept.all().weight, embeddings.weight)


def test_what_was_put_aside_can_not_be_looked_up() -> None:
    model = keep_occurring(model_of("bert", "text"), OCCURRING)
    with pytest.raises(IndexError):
        model(input_ids=torch.tensor([[int(ABSENT[0])]]))
