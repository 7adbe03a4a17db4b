"""Heads, encoders and precisions of checkpoints, as people have them."""

import json
import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoModelForTokenClassification

from stages.modeling.load import new_model, trained_model
from stages.pipeline.errors import ModelError
from tests.architectures.families import write_family
from tests.support.tiny import write_tiny_model
from tests.support.tokenized import task_of
from tests.support.told import told

NAMES = ("neg", "pos", "neutral")


def write_with_head(
    folder: Path, names: tuple[str, ...], kind: str = "text", family: str = "bert"
) -> dict[str, torch.Tensor]:
    """A model that somebody has fine-tuned. Returns its weights."""
    base = write_tiny_model(folder / "base", family=family)
    labels = dict(enumerate(names))
    config = AutoConfig.from_pretrained(base, id2label=labels, label2id={name: code for code, name in labels.items()})
    classes = {"text": AutoModelForSequenceClassification, "tokens": AutoModelForTokenClassification}
    torch.manual_seed(7)
    model = classes[kind].from_pretrained(base, config=config)
    model.save_pretrained(folder / "tuned")
    weights: dict[str, torch.Tensor] = model.state_dict()
    return weights


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_a_head_for_the_same_labels_is_kept_and_the_log_says_so(
    family: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "stages")
    weights = write_with_head(tmp_path, NAMES, family=family)
    caplog.clear()
    found = new_model(task_of("text"), tmp_path / "tuned", NAMES).state_dict()
    assert all(torch.equal(weight, found[name]) for name, weight in weights.items())
    assert caplog.messages == ["the model has a head for these labels already, which is kept"]


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
@pytest.mark.parametrize(
    "names", [("pos", "neg", "neutral"), ("a", "b", "c"), ("neg", "pos"), tuple("abcdefgh")], ids=str
)
def test_a_head_for_other_labels_is_dropped_whole_and_the_log_says_so(
    names: tuple[str, ...], family: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of RoBERTa's head one layer has the same size for any labels: it goes as well."""
    caplog.set_level(logging.INFO, "stages")
    weights = write_with_head(tmp_path, NAMES, family=family)
    caplog.clear()
    model = new_model(task_of("text"), tmp_path / "tuned", names)
    found = model.state_dict()
    head = {name for name in found if not name.startswith(model.base_model_prefix)}
    assert all(torch.equal(weight, found[name]) for name, weight in weights.items() if name not in head)
    matrices = [name for name in head if found[name].dim() > 1]
    same = [
        name
        for name in matrices
        if found[name].shape == weights[name].shape and torch.equal(found[name], weights[name])
    ]
    assert matrices and not same
    assert all(0 < found[name].std() < 0.1 for name in matrices), "drawn as the family draws it"
    assert caplog.messages == ["the model's head is for other labels: it is dropped, and a new one is drawn"]
    assert list(model.config.id2label.values()) == list(names)


def test_a_head_of_another_task_is_dropped(tmp_path: Path) -> None:
    weights = write_with_head(tmp_path, NAMES, kind="tokens")
    found = new_model(task_of("text"), tmp_path / "tuned", NAMES).state_dict()
    assert not torch.equal(found["classifier.weight"], weights["classifier.weight"])


def test_the_seed_draws_the_head_that_takes_anothers_place(tmp_path: Path) -> None:
    write_with_head(tmp_path, NAMES)
    heads = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        heads.append(new_model(task_of("text"), tmp_path / "tuned", ("a", "b")).state_dict()["classifier.weight"])
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_in_half_precision_are_loaded_as_fp32(dtype: torch.dtype, tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model")
    stored = {name: weight.to(dtype) for name, weight in load_file(folder / "model.safetensors").items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text()) | {"dtype": str(dtype).removeprefix("torch.")}
    (folder / "config.json").write_text(json.dumps(config))
    model = new_model(task_of("text"), folder, NAMES)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert torch.equal(
        model.bert.embeddings.word_embeddings.weight, stored["embeddings.word_embeddings.weight"].float()
    )


def test_weights_of_another_encoder_are_refused(tmp_path: Path) -> None:
    """transformers would draw what is missing, and train from random weights without a word."""
    folder = write_tiny_model(tmp_path / "model")
    weights = {f"other.{name}": weight for name, weight in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError) as error:
        new_model(task_of("text"), folder, NAMES, called="model=mine")
    assert told(error).startswith("model=mine: the weights are incomplete, or belong to another model: ")


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text()) | {"hidden_size": 64}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"the weights don't have the sizes that config.json states \(bert\."):
        new_model(task_of("text"), folder, NAMES)


def test_an_architecture_without_a_head_for_the_task_is_told_in_one_short_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(ModelError) as error:
        new_model(task_of("tokens"), tmp_path, NAMES, called="model=mine")
    assert told(error) == "model=mine: transformers has no head for token classification on vit; choose another model"


@pytest.mark.parametrize(
    "family", ["roberta", "xlm-roberta", "camembert", "longformer", "esm", "bert", "gpt2", "llama"]
)
def test_a_model_is_the_same_when_it_is_loaded_again_whatever_code_padding_has(family: str, tmp_path: Path) -> None:
    """RoBERTa's positions begin behind the configuration's code of padding: another would shift them on loading."""
    write_family(family, tmp_path / "base")
    model = new_model(task_of("text"), tmp_path / "base", NAMES, padding=5).eval()
    model.save_pretrained(tmp_path / "trained")
    again = trained_model(task_of("text"), tmp_path / "trained")
    batch = {
        "input_ids": torch.tensor([[9, 11, 12, 13], [9, 14, 5, 5]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]),
    }
    with torch.no_grad():
        assert torch.equal(model(**batch).logits, again(**batch).logits)


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_weights_without_a_layer_that_the_configuration_states_are_refused(family: str, tmp_path: Path) -> None:
    write_family(family, tmp_path / "base")
    config = json.loads((tmp_path / "base/config.json").read_text())
    for layers in (3, 1):
        (tmp_path / "base/config.json").write_text(
            json.dumps(config | {"num_hidden_layers": layers, "layer_types": None})
        )
        if layers == 1:
            new_model(task_of("text"), tmp_path / "base", NAMES)
            continue
        with pytest.raises(ModelError) as error:
            new_model(task_of("text"), tmp_path / "base", NAMES, called="model=m")
        assert told(error).startswith("model=m: the weights are incomplete, or belong to another model: ")


def test_layers_that_are_stored_and_not_used_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "stages")
    write_family("bert", tmp_path / "base")
    config = json.loads((tmp_path / "base/config.json").read_text()) | {"num_hidden_layers": 1}
    (tmp_path / "base/config.json").write_text(json.dumps(config))
    new_model(task_of("text"), tmp_path / "base", NAMES, called="model=m")
    assert any("weights that are stored, and not used: " in message for message in caplog.messages)


def test_half_of_an_encoder_and_decoder_is_not_enough(tmp_path: Path) -> None:
    write_family("bart", tmp_path / "base")
    weights = load_file(tmp_path / "base/model.safetensors")
    kept = {name: weight for name, weight in weights.items() if not name.startswith("encoder.")}
    save_file(kept, tmp_path / "base/model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"such as model\.encoder\.layers\.0"):
        new_model(task_of("text"), tmp_path / "base", NAMES)


def test_labels_are_compared_by_their_codes_not_by_their_order_in_a_file(tmp_path: Path) -> None:
    weights = write_with_head(tmp_path, ("good", "so-so", "bad"))
    config = json.loads((tmp_path / "tuned/config.json").read_text())
    config["id2label"] = {"2": "bad", "0": "good", "1": "so-so"}
    (tmp_path / "tuned/config.json").write_text(json.dumps(config))
    for names, is_kept in ((("bad", "good", "so-so"), False), (("good", "so-so", "bad"), True)):
        found = new_model(task_of("text"), tmp_path / "tuned", names).state_dict()
        assert torch.equal(found["classifier.weight"], weights["classifier.weight"]) is is_kept


@pytest.mark.parametrize(
    "changed",
    [
        {"return_dict": False, "output_hidden_states": True, "output_attentions": True},
        {"attn_implementation": "flash_attention_2"},
        {"_attn_implementation": "flash_attention_2"},
        {"pad_token_id": 10**6},
        {"problem_type": "multi_label_classification", "num_labels": 7},
    ],
    ids=str,
)  # fmt: skip
def test_what_the_last_owner_noted_in_a_configuration_does_not_matter(
    changed: dict[str, object], tmp_path: Path
) -> None:
    folder = write_tiny_model(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text()) | changed
    (folder / "config.json").write_text(json.dumps(config))
    model = new_model(task_of("text"), folder, NAMES, padding=0)
    found = model(input_ids=torch.tensor([[5, 6, 7]]), labels=torch.tensor([1]))
    assert found.logits.shape == (1, 3) and found.loss.isfinite()


def test_quantized_weights_are_refused(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text()) | {
        "quantization_config": {"quant_method": "bitsandbytes"}
    }
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="its weights are quantized, which is not supported"):
        new_model(task_of("text"), folder, NAMES)
