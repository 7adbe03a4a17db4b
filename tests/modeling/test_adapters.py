"""Adapters: which layers get one, what is trained, and what becomes of them when they are merged."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from transformers import AutoConfig, PreTrainedModel

from stages.configuration.schema import TrainConfig
from stages.modeling.adapters import add_adapters, require_readable, targets_of, write_adapters
from stages.modeling.frozen import parameter_counts
from stages.modeling.preparation import Use, prepare, undo_for_saving
from stages.pipeline.errors import ModelError
from tests.architectures.families import write_family
from tests.support.recipes import recipe, with_lora
from tests.support.tiny_batches import HEADS, PAD, batch_of, logits_of, model_of

FAMILIES = ("bert", "distilbert", "roberta", "modernbert", "gpt2", "llama")
LENGTHS = (7, 3, 20, 1)

pytestmark = pytest.mark.usefixtures("one_thread")


def small(family: str, kind: str, rate: float = 0.0) -> PreTrainedModel:
    """With weights as small as a real one's: with steep scores any rounding error grows."""
    model = model_of(family, kind, rate)
    with torch.no_grad():
        for weight in model.parameters():
            weight.div_(4 if weight.dim() > 1 else 1)
    return model


def prepared(model: PreTrainedModel, train: TrainConfig) -> PreTrainedModel:
    return prepare(model, Use("training", torch.device("cpu"), recipe=train))


def draw_adapters(model: PreTrainedModel) -> None:
    """A new adapter changes nothing: half of it is 0."""
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.normal_(std=0.2)


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_merged_model_has_the_names_of_an_ordinary_one_and_the_logits_of_the_unmerged(
    family: str, kind: str, tmp_path: Path
) -> None:
    ordinary = small(family, kind).eval()
    model = prepared(small(family, kind), with_lora()).eval()
    draw_adapters(model)
    with torch.no_grad():
        expected, before = logits_of(model, batch_of(LENGTHS)), logits_of(ordinary, batch_of(LENGTHS))
        undo_for_saving(model).save_pretrained(tmp_path)
        merged = type(model).from_pretrained(tmp_path).eval()
        found = logits_of(merged, batch_of(LENGTHS))
    assert merged.state_dict().keys() == ordinary.state_dict().keys()
    assert merged.config.to_dict().keys() == ordinary.config.to_dict().keys()
    assert torch.allclose(found, expected, atol=1e-5, rtol=1e-5)
    assert (found - before).abs().max() > 1e-3


@pytest.mark.parametrize("family", ["deepseek_v3", "qwen2_moe", "zamba"])
def test_layers_of_unusual_families_are_merged_into_what_was_trained(family: str, tmp_path: Path) -> None:
    """Experts, whose targets peft would replace; gates with a single output; layers that have their weights in common."""
    write_family(family, tmp_path)

    def new() -> PreTrainedModel:
        torch.manual_seed(0)
        model = HEADS["text"].from_config(AutoConfig.from_pretrained(tmp_path, num_labels=3, pad_token_id=PAD)).eval()
        assert isinstance(model, PreTrainedModel)
        return model

    targets = targets_of(new(), with_lora().lora, frozen=-1)
    model = prepared(new(), with_lora())
    found = {name.partition(".lora_A")[0] for name, _ in model.named_parameters() if ".lora_A" in name}
    assert found == set(targets)
    draw_adapters(model)
    codes = {"input_ids": torch.arange(6, 22).reshape(2, 8)}
    with torch.no_grad():
        expected, before = model(**codes).logits, new()(**codes).logits
        (merged := new()).load_state_dict(undo_for_saving(model).state_dict())
        after = merged(**codes).logits
    assert torch.allclose(after, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-4)
    assert (after - before).abs().max() > 1e-4 * before.abs().max()


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_what_is_merged_is_the_scaled_product_of_both_halves(family: str) -> None:
    before = small(family, "text").state_dict()
    model = prepared(small(family, "text"), with_lora(rank=3))
    draw_adapters(model)
    halves = {name: weight.detach().clone() for name, weight in model.named_parameters() if "lora_" in name}
    after = undo_for_saving(model).state_dict()
    names = {name.partition(".lora_")[0] for name in halves}
    assert len(names) == 3 * (6 if family == "bert" else 4)
    for name in names:
        product = halves[f"{name}.lora_B.default.weight"] @ halves[f"{name}.lora_A.default.weight"]
        expected = before[f"{name}.weight"] + 3 * (product.t() if family == "gpt2" else product)
        assert torch.allclose(after[f"{name}.weight"], expected, atol=1e-6)
    assert all(
        torch.equal(after[name], weight) for name, weight in before.items() if name[: -len(".weight")] not in names
    )


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # peft asks for it
@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_kept_is_loaded_by_peft_on_the_base_model(family: str, kind: str, tmp_path: Path) -> None:
    train = with_lora(rank=2, freeze=1)
    base = small(family, kind).eval()
    torch.manual_seed(5)
    model = prepared(small(family, kind), train).eval()
    draw_adapters(model)
    with torch.no_grad():
        for weight in filter(lambda weight: weight.requires_grad, model.parameters()):
            weight.add_(0.05)  # the head is trained too
        expected = logits_of(model, batch_of(LENGTHS))
        for name in ("first", "second"):
            write_adapters(model, train.lora, tmp_path / name)
        found = logits_of(peft.PeftModel.from_pretrained(base, tmp_path / "first").eval(), batch_of(LENGTHS))
    assert torch.allclose(found, expected, atol=1e-5, rtol=1e-5)
    first, second = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("first", "second")
    )
    assert first == second and first.keys() == {"adapter_config.json", "adapter_model.safetensors"}
    trained = parameter_counts(model).trained
    assert 4 * trained < len(first["adapter_model.safetensors"]) < 4 * trained + 10_000


@pytest.mark.parametrize(
    ("family", "targets", "refused"),
    [
        ("bert", "auto", None),
        ("mixtral", "auto", None),
        ("deepseek_v3", ["q_a_proj", "o_proj"], None),
        ("deepseek_v3", "auto", "model.layers.0.mlp.gate_proj of deepseek_v3"),
        ("deepseek_v3", ["gate_proj"], "model.layers.0.mlp.gate_proj of deepseek_v3"),
    ],
)
def test_adapters_that_peft_would_load_into_other_layers_are_not_kept(
    family: str, targets: Any, refused: str | None, tmp_path: Path
) -> None:
    write_family(family, tmp_path)
    model = HEADS["text"].from_config(AutoConfig.from_pretrained(tmp_path))
    told = nullcontext() if refused is None else pytest.raises(ModelError, match=f"can't load an adapter on {refused}")
    with told:
        require_readable(model, with_lora(targets=targets).lora, frozen=-1)


@pytest.mark.parametrize("targets", [["query"], ["key"], ["value"], ["query", "value"], ["dense"], "auto"], ids=str)
@pytest.mark.parametrize("kind", HEADS)
def test_gradients_of_adapters_are_those_of_the_padded_batch(kind: str, targets: Any) -> None:
    """Only some of query, key and value then need a gradient, and the last layer of a text has fewer queries."""
    train = with_lora(targets=targets)

    def gradients_of(model: PreTrainedModel) -> dict[str, torch.Tensor]:
        draw_adapters(model)
        logits = logits_of(model, batch_of(LENGTHS))
        torch.nn.functional.cross_entropy(logits, torch.arange(len(logits)) % 3).backward()
        return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}

    plain = small("bert", kind)
    add_adapters(plain, train.lora, frozen=-1)
    expected = gradients_of(plain)
    found = gradients_of(prepared(small("bert", kind), train))
    assert found.keys() == expected.keys()
    largest = max(float(each.abs().max()) for each in expected.values())
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, rtol=1e-3, atol=1e-5 * largest), name


@pytest.mark.parametrize("family", FAMILIES)
def test_adapters_and_head_are_trained_and_all_else_is_frozen(family: str) -> None:
    model = prepared(small(family, "text"), with_lora(freeze=2))
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    in_layers = {name for name in trained if "lora_" in name}
    assert in_layers and all(".2." in name for name in in_layers), "the third layer of three"
    head = {name.split(".")[0] for name in trained - in_layers} | {name.split(".")[1] for name in trained - in_layers}
    assert not head & {"embeddings", "encoder", "transformer.h", "layers", "layer", "wte", "embed_tokens"}
    assert head & {"classifier", "score"}
    counts = parameter_counts(model)
    assert counts.trained == sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    assert counts.all == sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize(
    ("family", "targets", "ends"),
    [
        ("bert", ["query", "value"], {"query", "value"}),
        ("bert", ["attention.self.query"], {"query"}),
        ("bert", "auto", {"query", "key", "value", "dense"}),
        ("gpt2", ["c_attn"], {"c_attn"}),
        ("llama", "auto", {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}),
    ],
)
def test_targets_are_linear_layers_by_the_ends_of_their_names(family: str, targets: Any, ends: set[str]) -> None:
    found = targets_of(model_of(family, "text"), with_lora(targets=targets).lora, frozen=-1)
    assert {name.rpartition(".")[2] for name in found} == ends
    assert not [name for name in found if "pooler" in name or "classifier" in name]


@pytest.mark.parametrize(
    ("train", "told"),
    [
        (with_lora(targets=["query", "q_proj"]),
         "train.lora.targets has q_proj, which matches no layer of bert; choose from query, key, value, dense"),
        (with_lora(targets=["uery"]), "matches no layer"),
        (with_lora(targets=["pooler.dense"]), "matches no layer"),
        (with_lora(targets=["word_embeddings"]), "matches no layer"),
        (with_lora(rank=33), "train.lora.rank=33 is larger than bert.encoder.layer.0.attention.self.query of bert (32 x 32)"),
        (with_lora(freeze=3), "train.freeze=3 leaves no layer of bert's 3 that can get an adapter; lower it"),
        (with_lora(freeze=4), "train.freeze=4 is more than the 3 layers of bert; lower it"),
        (recipe(freeze=4), "train.freeze=4 is more than the 3 layers of bert; lower it"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_model_is_told(train: TrainConfig, told: str) -> None:
    with pytest.raises(ModelError) as caught:
        prepared(model_of("bert", "text"), train)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_a_rank_as_large_as_the_narrowest_target_is_taken() -> None:
    assert targets_of(model_of("bert", "text"), with_lora(rank=32).lora, frozen=-1)
