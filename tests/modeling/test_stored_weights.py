"""Frozen weights in bf16: half the memory, and the products of the rounded weights in any precision."""

import copy
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig
from transformers.pytorch_utils import Conv1D

from stages.modeling.preparation import Use, prepare, undo_for_saving
from stages.modeling.stored_weights import StoredConv1D, StoredEmbedding, StoredLinear, store_frozen_in_bf16
from tests.architectures.families import write_family
from tests.support.recipes import recipe, with_lora
from tests.support.tiny_batches import HEADS, PAD, batch_of, logits_of, model_of

pytestmark = pytest.mark.usefixtures("one_thread")


def frozen(layer: torch.nn.Module) -> torch.nn.Sequential:
    return torch.nn.Sequential(layer).requires_grad_(False)


@pytest.mark.parametrize("layer", [torch.nn.Linear(5, 3), torch.nn.Linear(5, 3, bias=False), Conv1D(3, 5)], ids=str)
def test_a_product_and_its_gradient_are_those_of_the_rounded_weight(layer: torch.nn.Module) -> None:
    states = torch.randn(2, 4, 5, requires_grad=True)
    stored = frozen(layer)
    rounded = layer.weight.bfloat16().float()
    rounded = rounded.t() if isinstance(layer, Conv1D) else rounded
    expected = torch.nn.functional.linear(states, rounded, layer.bias)
    (of_expected,) = torch.autograd.grad(expected.square().sum(), states)
    store_frozen_in_bf16(stored)
    assert isinstance(stored[0], StoredLinear | StoredConv1D) and stored[0].stored.dtype == torch.bfloat16
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        found = stored(states)
    (of_found,) = torch.autograd.grad(found.square().sum(), states)
    assert found.dtype == torch.float32 and torch.allclose(found, expected, atol=1e-6)
    assert torch.allclose(of_found, of_expected, atol=1e-5)
    assert [tensor.dtype for tensor in kept] == [torch.bfloat16], "the weight, not what it was cast to"


@pytest.mark.parametrize("layer", [torch.nn.Linear(64, 32), Conv1D(32, 64)], ids=str)
def test_under_autocast_a_product_is_that_of_the_weight_in_bf16(layer: torch.nn.Module) -> None:
    stored, states = frozen(layer), torch.randn(4, 64)
    with torch.autocast("cpu", torch.bfloat16):
        expected = layer(states)
        store_frozen_in_bf16(stored)
        assert torch.equal(stored(states), expected) and expected.dtype == torch.bfloat16


def test_embeddings_give_the_rounded_ones_in_fp32() -> None:
    embeddings = torch.nn.Embedding(7, 4, padding_idx=2)
    stored, codes = frozen(embeddings), torch.tensor([[0, 2, 6]])
    expected = embeddings(codes).bfloat16().float()
    store_frozen_in_bf16(stored)
    assert isinstance(stored[0], StoredEmbedding) and stored[0].padding_idx == 2
    assert stored(codes).dtype == torch.float32 and torch.equal(stored(codes), expected)


def test_only_frozen_matrices_of_known_kinds_are_rounded() -> None:
    class Other(torch.nn.Linear):
        pass

    layers = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.LayerNorm(3), Other(3, 3), torch.nn.Linear(3, 3))
    layers[1:].requires_grad_(False)
    store_frozen_in_bf16(layers)
    assert [type(layer) for layer in layers] == [torch.nn.Linear, torch.nn.LayerNorm, Other, StoredLinear]
    of_bf16 = {name for name, weight in layers.named_parameters() if weight.dtype == torch.bfloat16}
    assert of_bf16 == {"3.weight"}


@pytest.mark.parametrize("family", ["deberta-v2", "t5", "jamba", "layoutlm"])
def test_families_that_read_weights_themselves_compute_with_the_rounded_ones(family: str, tmp_path: Path) -> None:
    """DeBERTa takes embeddings as states, T5 casts its states to a weight's dtype, Jamba multiplies with a weight itself,
    LayoutLM makes its mask in the dtype of its first weight."""
    write_family(family, tmp_path)
    config = AutoConfig.from_pretrained(tmp_path, num_labels=3, pad_token_id=PAD, eos_token_id=7)
    torch.manual_seed(0)
    model = HEADS["text"].from_config(config).eval()
    rounded = copy.deepcopy(model)
    prepare(model, Use("training", torch.device("cpu"), recipe=with_lora(frozen_precision="bf16")))
    stored = {
        name.replace(".base_layer.", ".") for name, weight in model.named_parameters() if weight.dtype == torch.bfloat16
    }
    codes = {"input_ids": torch.tensor([[8, 9, 10, 11, 12, 13, 14, 7]])}
    with torch.no_grad():
        for name, weight in rounded.named_parameters():
            weight.copy_(weight.bfloat16() if name in stored else weight)
        expected = rounded(**codes).logits
        found = model(**codes).logits
    assert stored and found.dtype == torch.float32
    assert torch.allclose(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-5)


@pytest.mark.parametrize("bf16", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize(
    "train", [with_lora(frozen_precision="bf16"), recipe(freeze=2, frozen_precision="bf16")], ids=str
)
@pytest.mark.parametrize("family", ["bert", "modernbert", "gpt2", "llama"])
def test_what_is_saved_are_the_rounded_weights_in_fp32_with_which_was_trained(
    family: str, train: object, bf16: bool
) -> None:
    plain = model_of(family, "tokens")
    before = {name: weight.clone() for name, weight in plain.state_dict().items()}
    model = prepare(model_of(family, "tokens"), Use("training", torch.device("cpu"), recipe=train)).eval()  # type: ignore[arg-type]
    stored = sum(weight.nbytes for weight in model.parameters() if not weight.requires_grad)
    numbers = sum(weight.numel() for weight in model.parameters() if not weight.requires_grad)
    assert stored < 2.2 * numbers
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        expected = logits_of(model, batch_of((5, 9)))
    rounded = {name for name, weight in model.named_parameters() if weight.dtype == torch.bfloat16}
    after = undo_for_saving(model).state_dict()
    for name, weight in before.items():
        named = {name, name.replace(".weight", ".base_layer.weight")}
        assert after[name].dtype == torch.float32
        assert torch.equal(after[name], weight.bfloat16().float() if named & rounded else weight)
    plain.load_state_dict(after)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        found = logits_of(plain.eval(), batch_of((5, 9)))
    tolerance = 0.1 if bf16 else 1e-4
    assert torch.allclose(found.float(), expected.float(), atol=tolerance * float(expected.abs().max()))
