"""A model is asked how it takes a batch, and told off before anything is trained if it can't be."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, processors
from transformers import AutoModelForSequenceClassification

from stages.configuration.schema import FilesModel
from stages.modeling.batch_format import BatchFormat, write_batch_format
from stages.modeling.batches import Batch, PaddingCollator, Row, padded
from stages.modeling.load import new_model
from stages.modeling.model_probe import ModelProbe, probe_model
from stages.modeling.precision import usable_precision
from stages.modeling.prediction import predict, predict_splits
from stages.pipeline.errors import DataError, ModelError
from stages.sources.base_model import limit_rows, write_base_model
from stages.tasks.encoding.subwords import SubwordEncoder
from tests.architectures.families import write_family
from tests.support.tiny import write_tiny_model
from tests.support.tokenized import task_of, tokenized_rows
from tests.support.told import told

pytestmark = pytest.mark.usefixtures("one_thread")


def tried(model: Path, target: Path, kind: str = "text") -> ModelProbe:
    """What download finds out about a model."""
    write_base_model(FilesModel(name="m", source="files", path=str(model)), target / "weights", target / "tokenizer")
    return probe_model(task_of(kind), target / "weights", target / "tokenizer", "model=m")  # type: ignore[arg-type]


def family(name: str, folder: Path, **changed: object) -> Path:
    write_family(name, folder)
    for file, settings in (("config.json", changed), ("tokenizer_config.json", changed)):
        content = json.loads((folder / file).read_text())
        content |= {key: value for key, value in settings.items() if (key == "padding_side") == ("token" in file)}
        (folder / file).write_text(json.dumps(content))
    return folder


def test_a_bert_takes_types_and_padding_on_either_side_but_its_own_is_right(tmp_path: Path) -> None:
    assert tried(write_tiny_model(tmp_path / "model"), tmp_path / "base") == ModelProbe(BatchFormat(0), 128)


def test_padding_on_a_side_that_changes_logits_is_not_kept(tmp_path: Path) -> None:
    """BERT's positions begin at its rows' first place, so rows that are padded on the left get others."""
    assert (
        tried(family("bert", tmp_path / "model", padding_side="left"), tmp_path / "base").format.padding_side == "right"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt2", {"token_types": False}),
        ("roberta", {"token_types": False}),
        ("xlnet", {"token_types": True, "padding_side": "left"}),
        ("gemma", {"token_types": False, "padding_side": "left"}),
        ("reformer", {"token_types": False, "length_multiple": 128}),
        ("convbert", {"equal_lengths": True}),
    ],
)
def test_a_model_shows_how_it_takes_a_batch(name: str, expected: dict[str, object], tmp_path: Path) -> None:
    found = tried(family(name, tmp_path / "model"), tmp_path / "base").format
    assert {key: getattr(found, key) for key in expected} == expected


def test_a_row_is_no_longer_than_the_models_positions_whatever_they_are_called(tmp_path: Path) -> None:
    """The tokenizer states more, and the configuration's key is one that nobody knows."""
    model = family("gpt2", tmp_path / "model")
    settings = json.loads((model / "tokenizer_config.json").read_text()) | {"model_max_length": 1024}
    (model / "tokenizer_config.json").write_text(json.dumps(settings))
    base = tmp_path / "base"
    assert tried(model, base).longest == 128
    limited = json.loads((base / "tokenizer/tokenizer_config.json").read_text()) | {"model_max_length": 1024}
    (base / "tokenizer/tokenizer_config.json").write_text(json.dumps(limited))
    found = probe_model(task_of("text"), base / "weights", base / "tokenizer", "m")
    assert found.longest == 128
    limit_rows(base / "tokenizer", found.longest)
    assert SubwordEncoder(base / "tokenizer", None).max_length == 128


def test_trying_draws_nothing_from_the_global_generator(tmp_path: Path) -> None:
    model, before = write_tiny_model(tmp_path / "model"), torch.get_rng_state()
    tried(model, tmp_path / "base")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_that_needs_a_language_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        tried(family("xmod", tmp_path / "model", default_language=None), tmp_path / "base")
    assert told(error).startswith("model=m: can't compute a batch of rows from sub-words alone (Input language unknown")


@pytest.mark.parametrize(("name", "expected"), [("deberta", "fp32"), ("bart", "bf16"), ("bert", "bf16")])
def test_bf16_is_chosen_where_the_model_can_compute_in_it(
    name: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.modeling.precision._is_device_fast_in_bf16", lambda: True)
    model = new_model(task_of("text"), family(name, tmp_path / "model"), ("a", "b"))
    batch = {"input_ids": torch.full((2, 9), model.config.eos_token_id or 7), "attention_mask": torch.ones(2, 9).long()}
    before = torch.get_rng_state()
    assert usable_precision("auto", model, batch, training=True) == expected
    assert usable_precision("fp32", model, batch, training=True) == "fp32"
    assert usable_precision("bf16", model, batch, training=True) == "bf16"
    assert torch.equal(torch.get_rng_state(), before)
    assert all(weight.grad is None for weight in model.parameters())


def test_what_a_prediction_was_computed_in_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the model can't compute in bf16, the record of the run must not say that it did."""
    monkeypatch.setattr("stages.modeling.precision._is_device_fast_in_bf16", lambda: True)
    folder, names = family("deberta", tmp_path / "model"), ["a", "b"]
    model = new_model(task_of("text"), folder, names)
    model.save_pretrained(tmp_path / "trained")
    write_batch_format(tmp_path / "trained", BatchFormat(0))
    columns = {"example": [0], "subwords": [3], "input_ids": [[5, 6, 7]], "labels": [0]}
    splits = {"test": tokenized_rows("text", names, columns)}
    found = predict_splits(task_of("text"), tmp_path / "trained", splits, batch_size=1, precision="auto")
    assert found.precision == "fp32" and found.packing is None and len(found.units["test"].logits) == 1


def test_the_format_is_true_of_the_whole_model_not_of_its_first_row(tmp_path: Path) -> None:
    """Padded as found, a batch has the logits of its rows one by one."""
    model_folder = family("xlnet", tmp_path / "model")
    found = tried(model_folder, tmp_path / "base").format
    model = AutoModelForSequenceClassification.from_pretrained(model_folder, num_labels=3).eval()
    rows = [torch.arange(10, 30), torch.arange(12, 17)]
    ids, mask = padded(found, rows, found.padding_id), padded(found, [torch.ones_like(row) for row in rows], 0)
    with torch.no_grad():
        together = model(input_ids=ids, attention_mask=mask).logits
        alone = torch.cat([model(input_ids=row[None]).logits for row in rows])
    assert torch.allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize("name", ["funnel", "canine"])
def test_a_row_that_pooling_would_leave_nothing_of_is_padded(name: str, tmp_path: Path) -> None:
    found = tried(family(name, tmp_path / "model"), tmp_path / "base").format
    encoder = SubwordEncoder(tmp_path / "base/tokenizer", None)
    model = new_model(task_of("text"), tmp_path / "base/weights", ("a", "b"), padding=found.padding_id).eval()
    assert found.shortest > 1
    for text in ("", "a"):
        (ids,) = encoder.encode_texts([text])
        batch = PaddingCollator(found)([{"input_ids": encoder.template.row(ids)}])
        assert batch["input_ids"].shape[1] >= found.shortest
        with torch.no_grad():
            assert model(**batch).logits.isfinite().all()


def test_a_fault_that_is_not_about_lengths_is_told_without_trying_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = set[int]()
    compute = PaddingCollator.__call__

    def counted(self: PaddingCollator, rows: Sequence[Row]) -> Batch:
        batch = compute(self, rows)
        lengths.add(batch["input_ids"].shape[1])
        return batch

    monkeypatch.setattr(PaddingCollator, "__call__", counted)
    with pytest.raises(ModelError, match="Input language unknown"):
        tried(family("xmod", tmp_path / "model", default_language=None), tmp_path / "base")
    assert len(lengths) == 3


@pytest.mark.parametrize("name", ["gpt2", "falcon", "phi3"])
def test_an_empty_text_has_a_row_where_there_are_no_special_sub_words(name: str, tmp_path: Path) -> None:
    tried(family(name, tmp_path / "model"), tmp_path / "base")
    encoder = SubwordEncoder(tmp_path / "base/tokenizer", None)
    assert encoder.template.specials == 0
    ids, types = encoder.row(encoder.template, np.zeros(0, np.int32))
    assert len(ids) == len(types) == 1
    ids, types = encoder.row(encoder.pair_template, np.zeros(0, np.int32), np.zeros(0, np.int32))
    assert len(ids) == len(types) == 1


@pytest.mark.parametrize("name", ["bart", "t5"])
def test_a_text_that_holds_the_end_of_a_text_is_told_with_its_example(name: str, tmp_path: Path) -> None:
    """The head looks for the end of each text, and fails where one row of a batch has two."""
    found = tried(family(name, tmp_path / "model"), tmp_path / "base").format
    encoder = SubwordEncoder(tmp_path / "base/tokenizer", None)
    model = new_model(task_of("text"), tmp_path / "base/weights", ("a", "b"), padding=found.padding_id)
    rows = [encoder.template.row(ids) for ids in encoder.encode_texts(["the order", "x </s> y"])]
    columns = {"example": [3, 7], "subwords": [5, 5], "input_ids": rows, "labels": [0, 1]}
    split = tokenized_rows("text", ("a", "b"), columns)
    with pytest.raises(DataError) as error:
        predict(model, split, PaddingCollator(found), batch_size=2, precision="fp32")
    assert "one of the examples" in told(error) and "7" in told(error)


def test_a_tokenizer_of_another_alphabet_is_asked_in_its_own(tmp_path: Path) -> None:
    """It gives nothing for the letter that tokenizers are usually asked about."""
    pieces = {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, **{letter: code for code, letter in enumerate("абвгд", 3)}}
    tokenizer = Tokenizer(models.BPE(pieces, []))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.add_special_tokens(["[PAD]", "[CLS]", "[SEP]"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 64, "pad_token": "[PAD]"}')
    template = SubwordEncoder(tmp_path, None).template
    assert [part.tolist() for part in template.special] == [[1], [2]]
