"""The exported folder: ONNX with torch's logits and no trace of this machine, a card with the scores, a folder that loads."""

import json
import os
import re
import shutil
import site
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from datasets import Dataset, DatasetDict
from huggingface_hub import ModelCard
from onnx.helper import make_empty_tensor_value_info
from tokenizers import Tokenizer
from transformers import PreTrainedModel, pipeline

from stages.configuration.compose import write_params
from stages.configuration.composition import compose_params
from stages.configuration.schema import ExportConfig, ExportStage, Kind, TaskConfig, TokenizeConfig
from stages.export import export
from stages.exporting.model_card import CardFacts, model_card
from stages.exporting.onnx_model import largest_difference, write_onnx
from stages.exporting.onnx_scores import spread
from stages.exporting.quantization import write_int8
from stages.exporting.quantization_cost import QuantizationCost
from stages.modeling.batch_format import BatchFormat, read_batch_format, write_batch_format
from stages.modeling.batches import PaddingCollator, Row
from stages.modeling.load import new_model, trained_model
from stages.pipeline.arrow import load_split
from stages.pipeline.errors import ModelError
from stages.pipeline.escaping import code
from stages.training.trained import write_tokenizer
from tests.support.imports import ROOT
from tests.support.saved_splits import save_splits
from tests.support.tiny import write_tiny_model
from tests.support.tokenized import task_of, tokenized_rows

FAMILIES = ("bert", "distilbert", "roberta")
TASKS = {
    "text": TaskConfig(kind="text", target="label", metric="accuracy", pooling="mean"),
    "tokens": TaskConfig(kind="tokens", target="label", metric="f1", pooling="mean"),
}
KINDS: tuple[Kind, ...] = ("text", "tokens")
TAGS = ["O", *(f"{prefix}-{kind}" for kind in ("event", "group", "person", "place", "product") for prefix in "BI")]
NAMES = {"text": ["no", "yes", "perhaps"], "tokens": TAGS}
LENGTHS = (31, 2, 14, 9, 3, 126)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of each family a model whose logits depend on what it reads (a fresh one's hardly do), and its tokenizer."""
    root = tmp_path_factory.mktemp("models")
    return {family: write_tiny_model(root / family, family=family) for family in FAMILIES}


def lively_model(kind: Kind, folder: Path, seed: int = 0) -> PreTrainedModel:
    torch.manual_seed(seed)
    model = new_model(task_of(kind), folder, NAMES[kind]).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(5)
    return model


def sample(*lengths: int) -> list[Row]:
    numbers = np.random.default_rng(0)
    return [{"input_ids": [2, *numbers.integers(5, 60, size=length).tolist(), 3]} for length in lengths]


# ONNX


@pytest.fixture(scope="module", params=[(family, kind) for family in FAMILIES for kind in KINDS], ids="-".join)
def exported(
    request: pytest.FixtureRequest, folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[PreTrainedModel, Path]:
    family, kind = request.param
    model = lively_model(kind, folders[family])
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    write_onnx(model, PaddingCollator(BatchFormat(0))(sample(7, 4)), path)
    return model, path


@pytest.mark.slow
@pytest.mark.parametrize("lengths", [(5,), (1, 1), (30, 1, 12), LENGTHS], ids=str)
def test_onnx_gives_torchs_logits_for_batches_of_any_shape(
    lengths: tuple[int, ...], exported: tuple[PreTrainedModel, Path]
) -> None:
    model, path = exported
    assert largest_difference(model, path, sample(*lengths), PaddingCollator(BatchFormat(0)), 1e-4) <= 1e-4


@pytest.mark.slow
def test_onnx_takes_ids_and_mask_and_reads_no_padding(exported: tuple[PreTrainedModel, Path]) -> None:
    model, path = exported
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_inputs()] == ["input_ids", "attention_mask"]
    assert [entry.name for entry in session.get_outputs()] == ["logits"]
    batch = PaddingCollator(BatchFormat(0))(sample(4, 20))
    (padded,) = session.run(None, {name: tensor.numpy() for name, tensor in batch.items()})
    with torch.inference_mode():
        alone = model(input_ids=batch["input_ids"][:1, :6]).logits.numpy()[0]
    assert (padded[0] if padded.ndim == 2 else padded[0, :6]) == pytest.approx(alone, abs=1e-4)


@pytest.mark.slow
def test_another_models_weights_are_noticed(exported: tuple[PreTrainedModel, Path], folders: dict[str, Path]) -> None:
    model, path = exported
    kind: Kind = "text" if model.config.num_labels == 3 else "tokens"
    other = lively_model(kind, folders[model.config.model_type], seed=1)
    with pytest.raises(
        ModelError, match=r"ONNX and torch logits differ by .* more than export\.onnx_tolerance=0\.0001;"
    ):
        largest_difference(other, path, sample(*LENGTHS), PaddingCollator(BatchFormat(0)), 1e-4)


@pytest.mark.slow
def test_logits_that_are_no_numbers_are_noticed(
    exported: tuple[PreTrainedModel, Path], folders: dict[str, Path]
) -> None:
    model, path = exported
    kind: Kind = "text" if model.config.num_labels == 3 else "tokens"
    broken = lively_model(kind, folders[model.config.model_type])
    with torch.no_grad():
        next(broken.parameters())[:] = float("nan")
    with pytest.raises(ModelError, match="differ by nan"):
        largest_difference(broken, path, sample(3, 4), PaddingCollator(BatchFormat(0)), 1e-4)


@pytest.mark.slow
def test_the_onnx_file_is_valid_and_holds_no_path_of_this_machine(exported: tuple[PreTrainedModel, Path]) -> None:
    _, path = exported
    onnx.checker.check_model(onnx.load(path), full_check=True)
    content = path.read_bytes()
    for place in (
        str(ROOT),
        sys.prefix,
        *site.getsitepackages(),
        str(Path.home()),
        str(path.parent),
        ".py",
        "site-packages",
    ):
        assert place == "/" or place.encode() not in content, place


@pytest.mark.slow
def test_exporting_twice_gives_the_same_bytes(exported: tuple[PreTrainedModel, Path], tmp_path: Path) -> None:
    model, path = exported
    write_onnx(model, PaddingCollator(BatchFormat(0))(sample(7, 4)), tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == path.read_bytes()


ANOTHER_PROCESS = """
import sys
from pathlib import Path
from stages.exporting.onnx_model import write_onnx
from stages.exporting.quantization import write_int8
from stages.modeling.batch_format import BatchFormat
from stages.modeling.batches import PaddingCollator
from stages.modeling.load import trained_model
from tests.support.tokenized import task_of
rows = [{"input_ids": [2, 9, 9, 3]}, {"input_ids": [2, 3]}]
model, batch = trained_model(task_of("text"), Path("trained")), PaddingCollator(BatchFormat(0))(rows)
write_onnx(model, batch, Path("model.onnx"))
write_onnx(model, batch, Path("packed.onnx"), packed=True)
write_int8(Path("packed.onnx"), Path("model_int8.onnx"))
"""


@pytest.mark.slow
def test_exporting_in_another_process_and_place_gives_the_same_bytes(folders: dict[str, Path], tmp_path: Path) -> None:
    elsewhere = tmp_path / "over there"
    lively_model("text", folders["distilbert"]).save_pretrained(elsewhere / "trained")
    subprocess.run(
        [sys.executable, "-c", ANOTHER_PROCESS],
        cwd=elsewhere, env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "5"}, check=True, capture_output=True,
    )  # fmt: skip
    model = trained_model(task_of("text"), Path(shutil.copytree(elsewhere / "trained", tmp_path / "trained")))
    write_onnx(model, PaddingCollator(BatchFormat(0))(sample(7, 4)), tmp_path / "model.onnx")
    write_onnx(model, PaddingCollator(BatchFormat(0))(sample(7, 4)), tmp_path / "packed.onnx", packed=True)
    write_int8(tmp_path / "packed.onnx", tmp_path / "model_int8.onnx")
    for name in ("model.onnx", "model_int8.onnx"):
        assert (tmp_path / name).read_bytes() == (elsewhere / name).read_bytes()


# int8


def nodes_of(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Those of its branches too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from nodes_of(attribute.g)


def run_onnx(path: Path, rows: list[Row]) -> np.ndarray[Any, Any]:
    batch = PaddingCollator(BatchFormat(0))(rows)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {name: tensor.numpy() for name, tensor in batch.items()})
    return np.asarray(logits if logits.ndim == 2 else logits[batch["attention_mask"].bool().numpy()])


@pytest.fixture(scope="module")
def int8(exported: tuple[PreTrainedModel, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    model, _ = exported
    folder = tmp_path_factory.mktemp("int8")
    write_onnx(model, PaddingCollator(BatchFormat(0))(sample(7, 4)), folder / "packed.onnx", packed=True)
    write_int8(folder / "packed.onnx", folder / "int8.onnx")
    return folder / "int8.onnx"


@pytest.mark.slow
def test_int8_is_near_to_fp32_and_is_int8(exported: tuple[PreTrainedModel, Path], int8: Path) -> None:
    fp32, found = (run_onnx(each, sample(*LENGTHS)) for each in (exported[1], int8))
    assert 0 < np.abs(found - fp32).max() < 0.1 * np.ptp(fp32)
    nodes = {node.op_type for node in nodes_of(onnx.load(int8).graph)}
    assert {"MatMulIntegerToFloat", "MultiHeadAttention"} <= nodes and "MatMul" not in nodes


@pytest.mark.slow
def test_a_packed_graph_gives_torchs_logits_however_many_rows_it_groups(
    exported: tuple[PreTrainedModel, Path], int8: Path
) -> None:
    draw = np.random.default_rng(1)
    batches = [draw.integers(0, 40, size=rows) for rows in range(1, 12)]
    for lengths in [*batches, np.full(5, 7)]:
        packed, rows = int8.with_name("packed.onnx"), sample(*lengths)
        assert largest_difference(exported[0], packed, rows, PaddingCollator(BatchFormat(0)), 1e-4) <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("empty", [1, 3, 9])
def test_rows_without_sub_words_change_nothing_beside_them(empty: int, int8: Path) -> None:
    session = onnxruntime.InferenceSession(str(int8), providers=["CPUExecutionProvider"])
    batch = {name: tensor.numpy() for name, tensor in PaddingCollator(BatchFormat(0))(sample(6, 14)).items()}
    filled = {name: np.concatenate([np.zeros((empty, 16), np.int64), rows]) for name, rows in batch.items()}
    alone, beside = (np.asarray(session.run(None, inputs)[0])[-2:] for inputs in (batch, filled))
    real = batch["attention_mask"].astype(bool) if alone.ndim == 3 else slice(None)
    assert np.abs(beside - alone)[real].max() < 1e-3 * np.ptp(alone)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "asks_for_one"), [("text", True), ("tokens", False)])
def test_the_last_layer_of_a_text_asks_for_first_sub_words_alone(
    kind: Kind, asks_for_one: bool, folders: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "packed.onnx"
    write_onnx(
        lively_model(kind, folders["distilbert"]), PaddingCollator(BatchFormat(0))(sample(7, 4)), path, packed=True
    )
    model = onnx.load(path)
    attended = [node.output[0] for node in model.graph.node if node.op_type == "If"]
    model.graph.output.extend(map(make_empty_tensor_value_info, attended))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    batch = PaddingCollator(BatchFormat(0))(sample(*LENGTHS))
    *before, last = session.run(attended, {name: tensor.numpy() for name, tensor in batch.items()})
    subwords = int(batch["attention_mask"].sum())
    assert {len(np.asarray(each)) for each in before} == {subwords}
    assert len(np.asarray(last)) == (len(LENGTHS) if asks_for_one else subwords)


@pytest.mark.slow
def test_only_the_int8_file_needs_onnx_runtimes_own_operators(
    exported: tuple[PreTrainedModel, Path], int8: Path
) -> None:
    def domains(path: Path) -> set[str]:
        return {node.domain for node in nodes_of(onnx.load(path).graph)}

    assert domains(exported[1]) <= {"", "ai.onnx"} and "com.microsoft" in domains(int8)


@pytest.mark.slow
def test_a_row_in_int8_has_the_same_logits_whatever_is_beside_it(int8: Path) -> None:
    rows = sample(*LENGTHS)
    together = run_onnx(int8, rows)
    alone = np.concatenate([run_onnx(int8, [row]) for row in rows])
    assert np.abs(together - alone).max() < 1e-3 * np.ptp(together)


def test_a_loss_of_just_the_limit_is_accepted() -> None:
    assert QuantizationCost("accuracy", {"accuracy": 0.84}, {"accuracy": 0.835}, 0.005).is_accepted
    assert not QuantizationCost("accuracy", {"accuracy": 0.84}, {"accuracy": 0.8349}, 0.005).is_accepted


def test_a_loss_counts_by_the_share_that_it_grows_by() -> None:
    assert QuantizationCost("loss", {"loss": 2.0}, {"loss": 2.01}, 0.005).is_accepted
    assert not QuantizationCost("loss", {"loss": 0.2}, {"loss": 0.21}, 0.005).is_accepted


def test_a_score_that_is_no_longer_defined_is_not_accepted() -> None:
    cost = QuantizationCost("pearson", {"pearson": 0.5}, {"pearson": None}, 1.0)
    assert not cost.is_accepted and "pearson=undefined on validation, fp32 0.5000" in cost.refusal()
    assert QuantizationCost("pearson", {"pearson": None}, {"pearson": None}, 0.0).is_accepted


# The model card

ROW = {"precision": 0.5, "recall": 0.25, "f1": 1 / 3, "support": 4}
SCORES = {"accuracy": 0.912345, "precision": 0.5, "recall": 0.25, "f1": 0.333333, "loss": 0.7}


def facts(**changes: Any) -> CardFacts:
    usual = CardFacts(
        task=task_of("text"), data="demo-text", base_model="minilm", labels=("no", "yes"), scores=SCORES,
        intervals={"accuracy": (0.81, 0.93), "loss": None}, threshold=None,
        per_label={"no": ROW, "yes": ROW},
    )  # fmt: skip
    return CardFacts(**{**vars(usual), **changes})


@pytest.mark.parametrize(("kind", "task"), [("text", "text-classification"), ("tokens", "token-classification")])
def test_the_cards_metadata_hold_task_data_and_scores(kind: Kind, task: str) -> None:
    card = ModelCard(model_card(facts(task=task_of(kind))))
    assert card.data.pipeline_tag == task
    assert card.data.library_name == "transformers"
    assert card.data.datasets is None and card.data.base_model is None  # neither came from the Hub
    assert card.data.language is None and card.data.license is None
    assert card.data.model_name == "minilm fine-tuned on demo-text"
    results = {result.metric_type: result for result in card.data.eval_results}
    assert {name: result.metric_value for name, result in results.items()} == {
        name: value for name, value in SCORES.items() if name != "loss"
    }
    assert {(result.task_type, result.dataset_name, result.dataset_split) for result in results.values()} == {
        (task, "demo-text", "test")
    }


def test_the_card_tells_scores_and_labels_in_words() -> None:
    text = ModelCard(model_card(facts())).text
    assert "Labels: `no`, `yes`." in text
    assert "| accuracy | 0.9123 | [0.8100, 0.9300] |" in text
    assert "| loss | 0.7000 |  |" in text
    assert "probability" not in text
    assert "| `yes` | 0.5000 | 0.2500 | 0.3333 | 4 |" in text
    assert 'pipeline("text-classification", model="path/to/this/folder")' in text


def test_the_card_of_several_labels_tells_their_threshold() -> None:
    assert "the labels whose probability is at least 0.25, chosen on validation" in model_card(facts(threshold=0.25))


@pytest.mark.parametrize("name", ["a|b", "<script>alert(1)</script>", "two\nlines"])
def test_labels_do_not_break_the_cards_tables(name: str) -> None:
    text = ModelCard(model_card(facts(labels=(name, "yes"), per_label={name: ROW, "yes": ROW}))).text
    assert f"Labels: {code(name)}, `yes`." in text
    rows = [line for line in text.splitlines() if line.endswith("| 4 |")]
    assert len(rows) == 2
    assert all(row.replace(r"\|", "").count("|") == 6 for row in rows)


@pytest.mark.parametrize("name", ["a|b", "<script>alert(1)</script>", "two\nlines"])
def test_names_of_data_and_model_are_escaped_as_labels_are(name: str) -> None:
    text = ModelCard(model_card(facts(data=name, base_model=name))).text
    assert f"# {code(name)} fine-tuned on {code(name)}\n" in text


def test_the_card_of_numbers_has_the_hubs_names_in_its_metadata_and_no_labels() -> None:
    scores = {"mse": 1.5, "mae": 1.0, "pearson": 0.25, "spearman": None, "loss": 1.5}
    card = ModelCard(model_card(facts(labels=(), scores=scores, per_label={})))
    assert {result.metric_type: result.metric_value for result in card.data.eval_results} == {
        "mse": 1.5, "mae": 1.0, "pearsonr": 0.25,
    }  # fmt: skip
    assert card.data.metrics == ["mse", "mae", "pearsonr"]
    assert "| spearman | not defined |" in card.text
    assert "Labels:" not in card.text and "| support |" not in card.text


def test_the_card_of_a_model_that_is_not_scored_has_no_scores() -> None:
    card = ModelCard(model_card(facts(scores={}, per_label={})))
    assert card.data.eval_results is None and card.data.metrics is None
    assert "is not scored" in card.text and "|---" not in card.text


@pytest.mark.parametrize("name", ["yes: no", "- a", "#1", "'quoted'", "é|<", "[x]"])
def test_names_that_mean_something_to_yaml_do_not_break_the_metadata(name: str) -> None:
    card = ModelCard(model_card(facts(data=name, base_model=name)))
    assert card.data.model_name == f"{name} fine-tuned on {name}"
    assert {result.dataset_name for result in card.data.eval_results} == {name}
    assert all(re.fullmatch("[A-Za-z0-9_.-]+", result.dataset_type) for result in card.data.eval_results)


@pytest.mark.parametrize("language", ["en", ["de", "en"], "multilingual"])
def test_the_card_names_what_the_configuration_names(language: str | list[str]) -> None:
    repos = {"data_repo": "acme/reviews", "base_model_repo": "acme/tiny"}
    card = ModelCard(model_card(facts(language=language, license="apache-2.0", **repos)))
    assert (card.data.language, card.data.license) == (language, "apache-2.0")
    assert (card.data.datasets, card.data.base_model) == (["acme/reviews"], "acme/tiny")
    assert {result.dataset_type for result in card.data.eval_results} == {"acme/reviews"}


# The folder


def tokenized(kind: Kind, model: PreTrainedModel) -> Dataset:
    """A split whose labels are those that the model gives: any change of its answers costs score."""
    rows = sample(*LENGTHS)
    columns: dict[str, Any] = {"example": list(range(len(rows))), "input_ids": [row["input_ids"] for row in rows]}
    columns["subwords"] = [len(ids) for ids in columns["input_ids"]]
    with torch.inference_mode():
        answers = [model(input_ids=torch.tensor([ids])).logits[0].argmax(-1) for ids in columns["input_ids"]]
    columns["labels"] = [answer.tolist() for answer in answers]
    if kind == "tokens":
        columns["words"] = [list(range(len(ids))) for ids in columns["input_ids"]]
    return tokenized_rows(kind, NAMES[kind], columns)


def write_trained(root: Path, kind: Kind, folder: Path) -> None:
    """What the stages before leave behind: the trained model, tokenized splits, two metrics files."""
    model = lively_model(kind, folder)
    model.save_pretrained(root / "models/trained")
    format = BatchFormat(0, token_types=model.config.model_type != "distilbert")
    tokenizer = root / "models/base/tokenizer"
    tokenizer.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(folder / name, tokenizer / name)
    write_tokenizer(tokenizer, root / "models/trained", format)
    write_batch_format(root / "models/trained", format)
    split = tokenized(kind, model)
    save_splits(DatasetDict({"validation": split, "test": split}), root / "data/tokenized")
    (root / "metrics").mkdir()
    described = {"data": {"name": "demo", "kind": kind}, "model": {"name": "tiny"}}
    (root / "metrics/download.json").write_text(json.dumps(described), encoding="utf-8")
    scores = SCORES | {"per_label": dict.fromkeys(NAMES[kind], ROW)}
    (root / "metrics/evaluate.json").write_text(json.dumps(scores), encoding="utf-8")


@pytest.fixture(params=[(family, kind) for family in FAMILIES for kind in KINDS], ids="-".join)
def run(
    request: pytest.FixtureRequest, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Kind, Path]:
    family, kind = request.param
    write_trained(tmp_path, kind, folders[family])
    monkeypatch.chdir(tmp_path)
    return kind, tmp_path


def run_export(kind: Kind, **changes: Any) -> Path:
    usual = ExportConfig(
        onnx=True,
        onnx_timeout=600,
        onnx_tolerance=1e-4,
        onnx_check_rows=4,
        quantize="int8",
        max_loss=0.5,
        max_loss_examples=6,
    )
    tokenize = TokenizeConfig(None, "windows", None, "first")
    export(ExportStage(TASKS[kind], tokenize, replace(usual, **changes), mode="conll", scheme="auto", threads=1))
    return Path("models/export")


def export_without_onnx() -> Path:
    return run_export("text", onnx=False)


def test_the_folder_is_a_transformers_pipeline_that_gives_label_names_and_the_models_scores(
    run: tuple[Kind, Path],
) -> None:
    kind, root = run
    folder, text = str(export_without_onnx()), "the order never was great"
    if kind == "text":
        classify = pipeline("text-classification", model=folder, device="cpu")
        (found,) = classify([text], top_k=None)
    else:
        classify = pipeline("token-classification", model=folder, device="cpu", ignore_labels=[])
        found = classify(text)
    ids = torch.tensor([classify.tokenizer(text)["input_ids"]])
    with torch.inference_mode():
        expected = trained_model(task_of(kind), root / "models/trained")(input_ids=ids).logits[0].softmax(-1)
    if kind == "text":
        scores = {result["label"]: result["score"] for result in found}
        assert [scores[name] for name in NAMES[kind]] == pytest.approx(expected.tolist(), abs=1e-6)
    else:
        values, codes = expected[1:-1].max(dim=-1)
        assert [result["entity"] for result in found] == [NAMES[kind][code] for code in codes]
        assert [result["score"] for result in found] == pytest.approx(values.tolist(), abs=1e-6)


WITHOUT_PYTORCH = """
import runpy, sys
sys.modules["torch"] = None  # an import of it raises ImportError
sys.argv[1:] = ["export.onnx=false"]
runpy.run_module("stages.export", run_name="__main__")
"""


def test_a_copy_of_the_model_is_exported_without_pytorch_and_with_the_models_number_of_parameters(
    run: tuple[Kind, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, root = run
    monkeypatch.chdir(ROOT)
    write_params(compose_params([{"text": "task=text", "tokens": "experiment=wnut17"}[kind]]), root / "params.yaml")
    subprocess.run(
        [sys.executable, "-c", WITHOUT_PYTORCH], cwd=root, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True
    )
    metrics = json.loads((root / "metrics/export.json").read_text(encoding="utf-8"))
    trained, exported = (trained_model(task_of(kind), root / "models" / name) for name in ("trained", "export"))
    assert metrics["parameters"] == trained.num_parameters()
    assert all(
        torch.equal(weight, other) for weight, other in zip(trained.parameters(), exported.parameters(), strict=True)
    )


def test_the_folders_card_has_the_repositories_that_download_tells_and_the_languages_of_the_configuration(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_trained(tmp_path, "text", folders["bert"])
    monkeypatch.chdir(tmp_path)
    described = {"data": {"name": "demo", "repo": "acme/reviews"}, "model": {"name": "tiny", "repo": "acme/tiny"}}
    Path("metrics/download.json").write_text(json.dumps(described), encoding="utf-8")
    folder = run_export("text", onnx=False, language=["de", "en"], license="mit")
    card = ModelCard((folder / "README.md").read_text(encoding="utf-8"))
    assert (card.data.base_model, card.data.datasets) == ("acme/tiny", ["acme/reviews"])
    assert (card.data.language, card.data.license) == (["de", "en"], "mit")
    assert "| accuracy | 0.9123 |" in card.text


def test_the_folders_tokenizer_gives_what_the_model_takes(run: tuple[Kind, Path]) -> None:
    _, root = run
    settings = json.loads((export_without_onnx() / "tokenizer_config.json").read_text(encoding="utf-8"))
    family = json.loads((root / "models/trained/config.json").read_text(encoding="utf-8"))["model_type"]
    types = [] if family == "distilbert" else ["token_type_ids"]
    assert settings["model_input_names"] == ["input_ids", *types, "attention_mask"]


def test_the_pipeline_gives_a_text_the_same_scores_in_a_batch_as_alone(run: tuple[Kind, Path]) -> None:
    """Without `attention_mask` among the tokenizer's outputs, the model reads the padding."""
    kind, _ = run
    task = "text-classification" if kind == "text" else "token-classification"
    settings: dict[str, Any] = {"top_k": None} if kind == "text" else {"ignore_labels": []}
    classify = pipeline(task, model=str(export_without_onnx()), device="cpu", **settings)
    texts = ["the order", "the order never was great in paris"]
    alone, together = (
        [[result["score"] for result in found] for found in classify(texts, batch_size=size)] for size in (1, 2)
    )
    for first, second in zip(alone, together, strict=True):
        assert second == pytest.approx(first, abs=1e-5)


def test_the_card_names_the_labels_in_the_order_of_their_codes(run: tuple[Kind, Path]) -> None:
    kind, _ = run
    card = (export_without_onnx() / "README.md").read_text(encoding="utf-8")
    assert f"Labels: {', '.join(map(code, NAMES[kind]))}." in card


@pytest.mark.slow
@pytest.mark.parametrize("run", [("distilbert", "text"), ("bert", "tokens")], ids="-".join, indirect=True)
def test_the_stage_exports_onnx_and_says_how_near_it_is(run: tuple[Kind, Path]) -> None:
    kind, root = run
    folder = run_export(kind)
    metrics = json.loads((root / "metrics/export.json").read_text(encoding="utf-8"))
    assert 0 <= metrics["onnx_largest_difference"] <= 1e-4
    sizes = {file.name: file.stat().st_size for file in folder.iterdir()}
    assert metrics["bytes"] == sizes
    assert {"model.onnx", "model_int8.onnx", "model.safetensors", "config.json", "README.md"} <= set(sizes)
    assert read_batch_format(folder).padding_id == 0
    assert metrics["int8"]["exported"] is True
    assert metrics["int8"]["validation"]["fp32"]["accuracy"] == 1.0
    labels = np.concatenate([np.ravel(row) for row in load_split(root / "data/tokenized", "validation")["labels"]])
    answers = np.concatenate([run_onnx(folder / "model_int8.onnx", [row]).argmax(-1) for row in sample(*LENGTHS)])
    found = metrics["int8"]["validation"]["int8"]["accuracy"]
    assert found == pytest.approx(float((answers == labels).mean()))
    check_the_cards_code(kind, folder, root)


def check_the_cards_code(kind: Kind, folder: Path, root: Path) -> None:
    """The ONNX code of the card runs as it stands and gives what the int8 model gives."""
    code_block = (folder / "README.md").read_text(encoding="utf-8").split("```python\n")[2].split("```")[0]
    assert "model_int8.onnx" in code_block
    printed = StringIO()
    with redirect_stdout(printed):
        exec(code_block.replace("path/to/this/folder", str(folder)), {})  # noqa: S102 (ours)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = [{"input_ids": tokenizer.encode(text).ids} for text in ("one text", "another one")]
    answers = run_onnx(folder / "model_int8.onnx", rows).argmax(-1)
    said = re.findall("|".join(sorted(map(re.escape, NAMES[kind]), key=len, reverse=True)), printed.getvalue())
    if kind == "text":
        assert said == [NAMES["text"][answer] for answer in answers]
    else:
        assert (
            printed.getvalue().count("[CLS]") == 2
            and f"('[CLS]', '{NAMES['tokens'][answers[0]]}')" in printed.getvalue()
        )


@pytest.mark.slow
@pytest.mark.parametrize("run", [("distilbert", "text"), ("bert", "tokens")], ids="-".join, indirect=True)
def test_an_int8_model_that_costs_too_much_is_not_exported(
    run: tuple[Kind, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kind, root = run

    def without_weights(source: Path, path: Path) -> None:
        proto = onnx.load(source)
        for weight in proto.graph.initializer:
            if weight.data_type == onnx.TensorProto.FLOAT:
                weight.CopyFrom(onnx.numpy_helper.from_array(np.zeros(tuple(weight.dims), np.float32), weight.name))
        onnx.save(proto, path)

    monkeypatch.setattr("stages.exporting.quantization.write_int8", without_weights)
    folder = run_export(kind, max_loss=0.005)
    assert not (folder / "model_int8.onnx").exists() and (folder / "model.onnx").exists()
    metrics = json.loads((root / "metrics/export.json").read_text(encoding="utf-8"))
    assert metrics["int8"]["exported"] is False and "model_int8.onnx" not in metrics["bytes"]
    assert "more than export.max_loss=0.005 is lost, so no int8 model is written" in caplog.text
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "int8" not in card and "model.onnx" in card


@pytest.mark.parametrize(
    ("count", "expected"), [(2, [0, 5]), (3, [0, 2, 5]), (6, [0, 1, 2, 3, 4, 5]), (99, [0, 1, 2, 3, 4, 5])]
)
def test_examples_are_taken_evenly_and_whole(count: int, expected: list[int]) -> None:
    columns = {
        "example": [0, 1, 1, 2, 3, 4, 5], "input_ids": [[2, 3]] * 7, "subwords": [2] * 7, "labels": [0] * 7,
    }  # fmt: skip
    found = spread(tokenized_rows("text", NAMES["text"], columns), count)
    assert sorted(set(found["example"])) == expected
    assert len(found) == len(expected) + (1 in expected)


@pytest.mark.slow
@pytest.mark.parametrize("run", [("bert", "text")], ids="-".join, indirect=True)
def test_an_export_that_takes_too_long_is_ended(
    run: tuple[Kind, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the exporter takes the interruption for an error of its own, and is asked to go on in another way."""
    kind, _ = run

    def endless(*_: object) -> None:
        try:
            time.sleep(60)
        except Exception as error:
            raise RuntimeError("step 1 of 3 failed") from error

    monkeypatch.setattr("stages.exporting.onnx_model._exported", endless)
    monkeypatch.setattr("stages.exporting.onnx_export._AGAIN", 1)
    started = time.monotonic()
    folder = run_export(kind, onnx="auto", onnx_timeout=1)
    assert time.monotonic() - started < 20
    assert "the ONNX export did not finish within export.onnx_timeout=1 seconds" in caplog.text
    assert not list(folder.glob("*.onnx"))
    with pytest.raises(ModelError, match="onnx_timeout=1 seconds"):
        run_export(kind, onnx=True, onnx_timeout=1)
