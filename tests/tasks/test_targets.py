"""What a text can be labelled with: scores and losses against reference libraries, then each target through the stages."""

import json
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn import metrics
from transformers import pipeline
from transformers.utils.generic import ModelOutput

from stages.columns.names import EXAMPLE, IGNORED, LABELS
from stages.comparison.comparing import compare
from stages.comparison.loaded_runs import Run
from stages.configuration.composition import compose_params
from stages.configuration.schema import EvaluateStage, ExportStage, Params, Pooling, Target, TokenizeStage, TrainStage
from stages.configuration.validation import select, validate
from stages.evaluate import evaluate
from stages.export import export
from stages.modeling.batch_format import BatchFormat, write_batch_format
from stages.modeling.batches import PaddingCollator
from stages.modeling.load import new_model
from stages.pipeline.arrow import load_splits
from stages.pipeline.errors import DataError
from stages.pipeline.escaping import code
from stages.reporting.summary import summary
from stages.scoring.evaluation.plots import number_confusion
from stages.scoring.evaluation.scoring import ScoringOptions, score_predictions
from stages.tasks.predictions_table import Predicted, predictions
from stages.tasks.task import Gold, Units
from stages.tokenize import tokenize
from stages.train import train
from stages.training.loss import loss_function
from tests.support.saved_splits import save_splits
from tests.support.scored import score_label_sets, score_numbers
from tests.support.tiny import write_tiny_model
from tests.support.tokenized import task_of, tokenized_rows
from tests.support.workspace import ROOT

NAMES = ["city", "team", "order"]
TARGETS: tuple[Target, ...] = ("label", "labels", "number")

pytestmark = pytest.mark.usefixtures("one_thread")


def units_of(logits: Sequence[Sequence[float]]) -> Units:
    array = np.array(logits, np.float32)
    return Units(np.arange(len(array)), np.zeros(len(array), np.int64), array)


# Any number of labels


@given(st.data())
def test_scores_of_label_sets_are_scikit_learns(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 8), st.integers(2, 5)))
    predicted, gold = (data.draw(arrays(bool, shape)) for _ in range(2))
    names = [f"label {code}" for code in range(shape[1])]
    scores = score_label_sets(predicted, gold, names, loss=0.25)
    assert scores.metrics["accuracy"] == pytest.approx(metrics.accuracy_score(gold, predicted))
    present = np.flatnonzero(predicted.any(axis=0) | gold.any(axis=0)).tolist()
    assert list(scores.per_label) == [names[code] for code in present]
    if not present:
        assert {*vars(scores.averages["micro"]).values(), *vars(scores.averages["macro"]).values()} == {0.0}
        return
    for average in ("micro", "macro", "weighted"):
        expected = metrics.precision_recall_fscore_support(
            gold, predicted, labels=range(len(names)), average=average, zero_division=0
        )
        assert list(vars(scores.averages[average]).values()) == pytest.approx(expected[:3]), average
    rows = metrics.precision_recall_fscore_support(gold, predicted, labels=present, zero_division=0)
    for score, *expected_row in zip(scores.per_label.values(), *rows, strict=True):
        assert list(vars(score).values()) == pytest.approx(expected_row)


def test_a_single_label_that_texts_may_have_is_scored_as_one_label() -> None:
    """Scikit-learn takes a matrix of one column for labels 0 and 1 and averages over both."""
    scores = score_label_sets(np.array([[True], [False], [True]]), np.array([[True], [True], [False]]), ["x"], loss=0.0)
    assert (scores.averages["macro"].precision, scores.averages["macro"].recall) == (0.5, 0.5)
    assert scores.per_label["x"].support == 2


@given(
    arrays(np.float32, (4, 3), elements=st.floats(-1e4, 1e4, width=32)),
    arrays(np.int64, (4, 3), elements=st.integers(0, 1)),
)
def test_the_loss_and_probabilities_of_labels_are_torchs_however_large_the_logits(
    logits: np.ndarray, gold: np.ndarray
) -> None:
    task, units = task_of("text", "labels"), units_of(logits.tolist())
    exact = torch.tensor(logits, dtype=torch.float64)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(exact, torch.tensor(gold, dtype=torch.float64))
    assert task.score(units, gold_of(gold), NAMES).headline_json()["loss"] == pytest.approx(float(expected))
    columns = label_set_columns(units, gold)
    scores = np.array([list(row.values()) for row in columns["score"].to_pylist()])
    assert scores == pytest.approx(torch.sigmoid(exact).numpy(), abs=1e-6)


def gold_of(labels: np.ndarray) -> Gold:
    return Gold(np.arange(len(labels)), labels)


def label_set_columns(units: Units, gold: np.ndarray) -> pa.Table:
    raw, task = Dataset.from_dict({"id": [str(row) for row in range(len(gold))]}), task_of("text", "labels")
    known = task.labelled(gold_of(gold))
    return predictions(raw, task, Predicted(units, gold_of(gold), known), NAMES)


def test_label_sets_are_written_by_name_and_not_known_is_not_none() -> None:
    gold = np.array([[1, 0, 1], [0, 0, 0], [-1, -1, -1]])
    units = units_of([[5, -5, 5], [-5, -5, -5], [-5, 5, 0]])
    columns = label_set_columns(units, gold)
    assert columns["gold"].to_pylist() == [["city", "order"], [], None]
    assert columns["predicted"].to_pylist() == [["city", "order"], [], ["team", "order"]]  # 0.5 is enough
    assert list(columns["score"].to_pylist()[2]) == NAMES
    assert task_of("text", "labels").labelled(gold_of(gold)).tolist() == [True, True, False]


def test_an_empty_list_of_labels_says_that_there_are_none_and_null_that_they_are_not_known() -> None:
    features = Features({"label": List(ClassLabel(names=NAMES))})
    split = Dataset(pa.table({"label": [[2, 0], [], None, [1, 1]]}, schema=features.arrow_schema))
    gold = task_of("text", "labels").raw_gold(split).label
    assert gold.tolist() == [[1, 0, 1], [0, 0, 0], [-1, -1, -1], [0, 1, 0]]


# Numbers

numbers = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=20))
def test_errors_of_numbers_are_scikit_learns_and_correlations_scipys(pairs: list[tuple[float, float]]) -> None:
    predicted, gold = (np.array(column) for column in zip(*pairs, strict=True))
    scores = score_numbers(predicted, gold)
    assert scores.metrics["mse"] == pytest.approx(metrics.mean_squared_error(gold, predicted))
    assert scores.metrics["mae"] == pytest.approx(metrics.mean_absolute_error(gold, predicted))
    assert scores.headline_json()["loss"] == scores.metrics["mse"]
    if np.ptp(predicted) == 0 or np.ptp(gold) == 0:
        assert scores.metrics["pearson"] is None and scores.metrics["spearman"] is None
        return
    assert scores.metrics["spearman"] == pytest.approx(stats.spearmanr(predicted, gold).statistic, abs=1e-9)
    if min(np.ptp(values) / np.abs(values).max() for values in (predicted, gold)) > 1e-6:
        assert scores.metrics["pearson"] == pytest.approx(stats.pearsonr(predicted, gold).statistic, abs=1e-6)


@pytest.mark.parametrize("constant", [0.0, 0.1, -7e5])
def test_a_constant_has_no_correlation_rather_than_one_that_is_no_number(constant: float) -> None:
    various = np.array([1.0, 2.0, 3.0])
    for predicted, gold in ((np.full(3, constant), various), (various, np.full(3, constant))):
        found = score_numbers(predicted, gold).to_json()
        assert found["pearson"] is None and found["spearman"] is None


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=30))
def test_the_confusion_of_numbers_counts_each_once_in_the_bins_it_lies_in(pairs: list[tuple[float, float]]) -> None:
    gold, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    table = number_confusion(gold, predicted)
    assert table["count"].sum() == len(pairs)
    assert table["gold"].nunique() <= 10
    if gold.tolist() == predicted.tolist():
        assert (table[table["count"] > 0]["gold"] == table[table["count"] > 0]["predicted"]).all()


def test_numbers_that_hardly_differ_are_binned_all_the_same() -> None:
    for other in (1e6, np.nextafter(1e6, 2e6)):
        assert number_confusion(np.array([1e6]), np.array([other]))["count"].sum() == 1


def test_bins_are_named_by_their_edges_in_order() -> None:
    table = number_confusion(np.array([0.0, 10.0]), np.array([0.5, 10.0]))
    named = {(row.gold, row.predicted): row.count_ for row in table.rename(columns={"count": "count_"}).itertuples()}
    assert named[("0 to 1", "0 to 1")] == named[("9 to 10", "9 to 10")] == 1
    assert list(dict.fromkeys(table["predicted"])) == [f"{low} to {low + 1}" for low in range(10)]


# Pooling


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=6),
    st.sampled_from(["mean", "max", "first"]),
    st.randoms(use_true_random=False),
)
def test_windows_are_pooled_text_by_text(windows: list[int], pooling: Pooling, random: Any) -> None:
    example = np.repeat(np.arange(len(windows)) * 3, windows)  # examples need not be consecutive
    readings = np.array([[random.uniform(-9, 9) for _ in NAMES] for _ in example], np.float32)
    rows = len(example)
    columns = {EXAMPLE: example, "subwords": [1] * rows, "input_ids": [[1]] * rows, LABELS: [0] * rows}
    found = task_of("text", "label", pooling).decode(tokenized_rows("text", NAMES, columns), readings)
    pool = {"mean": lambda rows: rows.mean(axis=0), "max": lambda rows: rows.max(axis=0), "first": lambda rows: rows[0]}
    expected = [pool[pooling](readings[example == each]) for each in np.unique(example)]
    assert found.logits == pytest.approx(np.array(expected), abs=1e-5)
    assert found.example.tolist() == np.unique(example).tolist()
    if max(windows) == 1:
        assert np.array_equal(found.logits, readings)


# Training


def loss_labels(target: Target, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    if target == "number":
        return torch.randn(rows, 1, generator=generator), torch.randn(rows, generator=generator)
    logits = torch.randn(rows, 3, generator=generator)
    return logits, torch.randint(0, 2, (rows, 3), generator=generator).float()


@pytest.mark.parametrize("target", ["labels", "number"])
def test_a_batch_computed_in_parts_has_the_loss_of_the_whole(target: Target) -> None:
    loss, (logits, labels) = loss_function(task_of("text", target), 0.0, None), loss_labels(target, 12)
    whole = loss(ModelOutput(logits=logits), labels, None)
    items = (labels != IGNORED).sum()  # as the Trainer counts them
    parts = [loss(ModelOutput(logits=logits[part]), labels[part], items) for part in (slice(0, 5), slice(5, 12))]
    assert float(sum(parts)) == pytest.approx(float(whole), rel=1e-6)
    rough = loss(ModelOutput(logits=logits.bfloat16()), labels, None)
    assert rough.dtype == torch.float32


@pytest.mark.parametrize("target", ["labels", "number"])
def test_the_loss_is_the_models_own(target: Target, tiny_model: Path) -> None:
    names = NAMES if target == "labels" else ["number"]
    torch.manual_seed(0)
    task = task_of("text", target)
    model = new_model(task, tiny_model, names).eval()
    labels: list[object] = [[0, 2], [], [1]] if target == "labels" else [0.5, -3.25, 100.0]
    rows = [{"input_ids": [2, 7, 3], "labels": each} for each in labels]
    batch = PaddingCollator(BatchFormat(0), partial(task.label_tensor, labels=len(names)))(rows)
    with torch.inference_mode():
        outputs = model(**batch)
    assert float(loss_function(task, 0.0, None)(outputs, batch["labels"], None)) == pytest.approx(float(outputs.loss))


def test_label_tensors_hold_what_the_rows_say() -> None:
    sets = task_of("text", "labels")
    assert sets.label_tensor([[0, 2], [], [1, 1]], 3).tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert sets.label_tensor([[], []], 2).tolist() == [[0, 0], [0, 0]]
    assert task_of("text", "number").label_tensor([1, 2.5], 1).tolist() == [1.0, 2.5]
    assert task_of("text", "label").label_tensor([1, 0], 2).tolist() == [1, 0]


def test_a_number_that_looks_like_no_label_counts_all_the_same() -> None:
    tensor = task_of("text", "number").label_tensor([float(IGNORED), 1.0], 1)
    assert (tensor != IGNORED).all()
    assert tensor.tolist() == pytest.approx([IGNORED, 1.0], rel=1e-6)


def test_balanced_labels_weigh_as_much_when_they_are_there_as_when_they_are_not() -> None:
    labels = [[0], [0, 1], [0], [0]]
    columns = {EXAMPLE: range(4), "subwords": [1] * 4, "input_ids": [[1]] * 4, LABELS: labels}
    train_split = tokenized_rows("text", NAMES, columns, "labels")
    task = task_of("text", "labels")
    weights = task.class_weights(train_split, NAMES)
    assert weights.tolist() == [1.0, 3.0, 1.0]  # in all texts; in one of four; in none
    gold = task.label_tensor(labels, 3)
    sums = loss_function(task, 0.0, weights)
    logits = torch.zeros(4, 3, requires_grad=True)
    sums(ModelOutput(logits=logits), gold, None).backward()
    assert logits.grad is not None
    assert logits.grad.sum(dim=0)[1] == pytest.approx(0, abs=1e-7)  # no pull to either side


# Through the stages

SENTENCES = [
    "the city is great",
    "my order was bad",
    "the team in paris",
    "never the city",
    "a great team",
    "order in the city",
]
TEXTS = [*SENTENCES, *(f"{sentence} never" for sentence in SENTENCES)]
"""As many as intervals need."""
LABEL_COLUMN = {
    "label": (ClassLabel(names=NAMES), [0, 2, 1, 0, 1, 2] * 2),
    "labels": (List(ClassLabel(names=NAMES)), [[0], [2], [1], [], [1], [0, 2]] * 2),
    "number": (Value("float64"), [1.5, -2.0, 0.25, 3.0, 0.0, 100.125] * 2),
}
UNKNOWN = {"label": -1, "labels": None, "number": None}
SMALL = ["model=files", "model.path=unused", "data.train=unused", "data.test=unused", "data=files"]
SMALL += ["tokenize.max_length=16", "tokenize.stride=4", "train.batch_size=4", "train.epochs=2", "train.precision=fp32"]
SMALL += ["train.learning_rate=1e-2", "evaluate.precision=fp32", "export.onnx_check_rows=4", "threads=1"]
TASKS = {"label": "text", "labels": "multilabel", "number": "regression"}


def params_for(target: Target, *overrides: str) -> Params:
    return validate(compose_params([f"task={TASKS[target]}", *SMALL, *overrides]), "test")


def write_inputs(
    root: Path,
    target: Target,
    *,
    pairs: bool = False,
    unknown: int = 0,
    family: str = "bert",
    kept: dict[str, list[str | None]] | None = None,
) -> None:
    """What download leaves behind: raw data, a base model, its metrics."""
    feature, labels = LABEL_COLUMN[target]
    pair = {"text_pair": Value("string")} if pairs else {}
    text = {"id": Value("string"), "text": Value("string"), **pair, "label": feature}
    features = Features({**text, **dict.fromkeys(kept or {}, Value("string"))})

    def split(known: list[object]) -> Dataset:
        columns: dict[str, Any] = {"id": [f"t{row}" for row in range(len(TEXTS))], "text": TEXTS, "label": known}
        columns |= {"text_pair": TEXTS[::-1]} if pairs else {}
        return Dataset(pa.table({**columns, **(kept or {})}, schema=features.arrow_schema))

    test = split([*labels[: len(TEXTS) - unknown], *[UNKNOWN[target]] * unknown])
    splits = {"train": split([*labels]), "validation": split([*labels]), "test": test}
    save_splits(DatasetDict(splits), root / "data/raw")
    model = write_tiny_model(root / "models/base/weights", family=family, dropout=0.0)
    write_batch_format(root / "models/base", BatchFormat(0, token_types=family != "distilbert"))
    (root / "models/base/tokenizer").mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (model / name).rename(root / "models/base/tokenizer" / name)
    described = {"data": {"name": "a|b", "kind": "text"}, "model": {"name": "tiny"}}
    (root / "metrics").mkdir()
    (root / "metrics/download.json").write_text(json.dumps(described), encoding="utf-8")


def run_stages(params: Params) -> None:
    tokenize(select(params, TokenizeStage))
    train(select(params, TrainStage))
    evaluate(select(params, EvaluateStage))
    export(select(params, ExportStage))


def read(path: str) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=pytest.fail)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("conf", "dvc.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


HEADLINES = {
    "label": ["accuracy", "precision", "recall", "f1", "loss"],
    "labels": ["accuracy", "precision", "recall", "f1", "loss"],
    "number": ["mse", "mae", "pearson", "spearman", "loss"],
}
AVERAGES = {
    "label": [
        *("macro", "weighted", "per_label", "balanced_accuracy", "mcc", "roc_auc", "average_precision"),
        *("calibration_error", "intervals"),
    ],
    "labels": [
        *("micro", "macro", "weighted", "per_label", "threshold", "micro_f1", "roc_auc", "average_precision"),
        "intervals",
    ],
    "number": ["intervals"],
}


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_every_target_goes_through_all_stages(target: Target, here: Path) -> None:
    write_inputs(here, target)
    run_stages(params_for(target, "export.max_loss=1.0"))
    assert read("metrics/export.json")["int8"]["exported"] is True
    assert list(read("metrics/train.json")["validation"]) == HEADLINES[target]
    measured = read("metrics/evaluate.json")
    assert list(measured) == ["examples", "units", "coverage", *HEADLINES[target], *AVERAGES[target]]
    assert measured["units"] == len(TEXTS)
    if target == "labels":
        assert measured["threshold"] == pytest.approx(read("models/trained/threshold.json")["threshold"], abs=1e-6)
    for name in HEADLINES[target]:
        assert name in summary()
        low, high = measured["intervals"][name] or (measured[name], measured[name])
        assert low <= measured[name] <= high
        assert low < high or measured[name] in (0.0, 1.0), name  # all resamples score alike
        assert f"| {name} |" in Path("models/export/README.md").read_text(encoding="utf-8")
        assert Path(f"metrics/plots/curves/plots/metrics/validation/{name}.tsv").is_file()
    validation = pq.read_table("data/predictions/validation.parquet")
    assert validation.schema == pq.read_schema("data/predictions/test.parquet")
    scored = score_predictions(validation, ScoringOptions(resamples=0))
    for name, value in read("metrics/train.json")["validation"].items():
        assert scored.scores.metrics[name] == pytest.approx(value, abs=2e-6), name  # of the weights that scored best
    predictions = pq.read_table("data/predictions/test.parquet").to_pydict()
    gold = LABEL_COLUMN[target][1]
    if target == "label":
        assert predictions["gold"] == [NAMES[code] for code in gold]
    elif target == "labels":
        assert predictions["gold"] == [[NAMES[code] for code in codes] for codes in gold]
    else:
        assert predictions["gold"] == gold
        assert "score" not in predictions
        assert measured["mse"] == pytest.approx(metrics.mean_squared_error(gold, predictions["predicted"]), abs=1e-3)
    rows = Path("metrics/plots/confusion.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "gold,predicted,count"
    assert (len(rows) == 1) == (target == "labels")
    assert (len(Path("metrics/plots/per_label.csv").read_text().splitlines()) == 1) == (target == "number")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "metric"),
    [
        ("label", "mcc"),
        ("label", "balanced_accuracy"),
        ("label", "roc_auc"),
        ("labels", "micro_f1"),
        ("number", "spearman"),
    ],
)
def test_every_metric_can_be_the_headline(target: Target, metric: str, here: Path) -> None:
    """It chooses the checkpoint, has a curve and an interval, is what int8 may cost, and comes first in comparisons."""
    write_inputs(here, target)
    run_stages(params_for(target, f"task.metric={metric}", "export.max_loss=1.0"))
    validation = read("metrics/train.json")["validation"]
    assert metric in validation
    assert Path(f"metrics/plots/curves/plots/metrics/validation/{metric}.tsv").is_file()
    measured = read("metrics/evaluate.json")
    assert metric in measured and metric in measured["intervals"]
    assert metric in read("metrics/export.json")["int8"]["validation"]["fp32"]
    table = pq.read_table("data/predictions/test.parquet")
    runs = [Run(name, table, params={"task.metric": metric}) for name in ("base", "other")]
    first = compare(runs, resamples=100).pairs[0].differences[0]
    assert (first.metric, first.difference, first.verdict) == (metric, 0.0, "no evidence")
    assert first.base == pytest.approx(measured[metric], abs=1e-6)


@pytest.mark.slow
def test_columns_that_came_along_are_in_the_predictions_and_slice_the_scores(here: Path) -> None:
    write_inputs(here, "label", kept={"domain": ["mail", "news", None] * 4})
    run_stages(params_for("label", "data.keep_columns=[domain]", "evaluate.slices=[domain]", "export.onnx=false"))
    table = pq.read_table("data/predictions/test.parquet")
    assert table["domain"].to_pylist() == ["mail", "news", None] * 4
    parts = read("metrics/evaluate.json")["slices"]["domain"]
    assert {name: part["support"] for name, part in parts.items()} == {"mail": 4, "news": 4, "(none)": 4}
    right = [
        gold == predicted
        for gold, predicted in zip(*(table[name].to_pylist() for name in ("gold", "predicted")), strict=True)
    ]
    assert [part["accuracy"] for part in parts.values()] == [sum(right[place::3]) / 4 for place in range(3)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [{"validation": ["x"], "test": ["y"]}, {"validation": ["x"]}, {"test": ["y", "z"]}], ids=str
)
@pytest.mark.parametrize("target", ["label", "labels"])
def test_labels_that_train_lacks_keep_their_names_in_the_predictions_of_each_split(
    target: Target, more: dict[str, list[str]], here: Path
) -> None:
    write_inputs(here, target)
    splits, known = load_splits(here / "data/raw"), LABEL_COLUMN[target][1]
    with_more, expected = DatasetDict(train=splits["train"]), {}
    for split in ("validation", "test"):
        names = [*NAMES, *more.get(split, [])]
        codes = [*known[:-1], len(names) - 1 if target == "label" else [0, len(names) - 1]]
        feature = ClassLabel(names=names) if target == "label" else List(ClassLabel(names=names))
        features = Features({**splits[split].features, "label": feature})
        columns = {**splits[split].to_dict(), "label": codes}
        with_more[split] = Dataset(pa.table(columns, schema=features.arrow_schema))
        expected[split] = [names[of] if target == "label" else [names[code] for code in of] for of in codes]
    shutil.rmtree(here / "data/raw")
    save_splits(with_more, here / "data/raw")
    params = params_for(target)
    tokenize(select(params, TokenizeStage))
    train(select(params, TrainStage))
    evaluate(select(params, EvaluateStage))
    for split, gold in expected.items():
        table = pq.read_table(f"data/predictions/{split}.parquet")
        assert table["gold"].to_pylist() == gold
        probabilities = table["score" if target == "labels" else "probabilities"]
        assert [field.name for field in probabilities.type] == [*NAMES, *more.get(split, [])]
    scored = score_predictions(pq.read_table("data/predictions/validation.parquet"), ScoringOptions(resamples=0))
    assert scored.scores.metrics["f1"] == pytest.approx(read("metrics/train.json")["validation"]["f1"], abs=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["labels", "number"])
def test_the_exported_pipeline_gives_what_the_predictions_file_says(target: Target, here: Path) -> None:
    write_inputs(here, target)
    run_stages(params_for(target, "export.onnx=false"))
    predictions = pq.read_table("data/predictions/test.parquet").to_pydict()
    found = pipeline("text-classification", model="models/export", device="cpu")(TEXTS, top_k=None)
    if target == "labels":
        by_name = [{result["label"]: result["score"] for result in results} for results in found]
        assert all(
            row == pytest.approx(said, abs=1e-5) for row, said in zip(by_name, predictions["score"], strict=True)
        )
    else:
        assert [results[0]["score"] for results in found] == pytest.approx(predictions["predicted"], abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_a_test_split_that_is_not_wholly_labelled_is_predicted_but_not_scored(target: Target, here: Path) -> None:
    write_inputs(here, target, unknown=2)
    params = params_for(target, "export.onnx=false")
    tokenize(select(params, TokenizeStage))
    train(select(params, TrainStage))
    with pytest.raises(DataError) as caught:
        evaluate(select(params, EvaluateStage))
    message = str(caught.value)
    assert "2 of 12 labels" in message and "example t10;" in message and "evaluate.score=false" in message
    assert "\n" not in message
    unscored = params_for(target, "export.onnx=false", "evaluate.score=false")
    evaluate(select(unscored, EvaluateStage))
    export(select(unscored, ExportStage))
    assert read("metrics/evaluate.json") == {"examples": 12, "units": 12, "coverage": 1.0}
    predictions = pq.read_table("data/predictions/test.parquet")
    assert predictions["gold"].is_null().to_pylist() == [False] * 10 + [True] * 2
    assert predictions["predicted"].null_count == 0
    assert Path("metrics/plots/confusion.csv").read_text() == "gold,predicted,count\n"
    assert Path("metrics/plots/per_label.csv").read_text() == "label,score,value\n"
    card = Path("models/export/README.md").read_text(encoding="utf-8")
    assert "The test split is not scored." in card and "model-index" not in card
    assert f"# {code('tiny')} fine-tuned on {code('a|b')}\n" in card
    assert "-" in summary().splitlines()[3].split()


@pytest.mark.slow
@pytest.mark.parametrize("target", ["labels", "number"])
def test_accumulating_a_batch_trains_the_same_model(target: Target, here: Path) -> None:
    write_inputs(here, target)
    tokenize(select(params_for(target), TokenizeStage))
    losses = []
    for parts in (1, 4):
        train(select(params_for(target, f"train.gradient_accumulation={parts}"), TrainStage))
        losses.append(read("metrics/train.json")["validation"]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "inputs"), [("bert", 3), ("distilbert", 2)])
def test_pairs_go_through_all_stages_with_the_types_that_the_model_knows(family: str, inputs: int, here: Path) -> None:
    write_inputs(here, "label", pairs=True, family=family)
    run_stages(params_for("label", "tokenize.max_length=64"))
    tokenized = load_splits(Path("data/tokenized"))["test"]
    assert set(tokenized["token_type_ids"][0]) == {0, 1}  # by the tokenizer's template, whatever the model
    session = onnxruntime.InferenceSession("models/export/model.onnx", providers=["CPUExecutionProvider"])
    assert len(session.get_inputs()) == inputs
    predictions = pq.read_table("data/predictions/test.parquet").to_pydict()
    classify = pipeline("text-classification", model="models/export", device="cpu")
    for first, second, score in zip(TEXTS, TEXTS[::-1], predictions["score"], strict=True):
        found = classify({"text": first, "text_pair": second})
        assert found["score"] == pytest.approx(score, abs=1e-5)


@pytest.mark.slow
def test_a_correlation_that_is_not_defined_ends_no_run_and_is_written_as_null(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LABEL_COLUMN, "number", (Value("float64"), [1.5] * len(TEXTS)))
    write_inputs(here, "number")
    run_stages(params_for("number", "task.metric=pearson", "export.onnx=false"))
    assert read("metrics/train.json")["validation"]["pearson"] is None
    assert read("metrics/evaluate.json")["spearman"] is None
    assert not Path("metrics/plots/curves/plots/metrics/validation/pearson.tsv").exists()
    assert summary().splitlines()[5].split() == ["pearson", "-", "-"]
    card = Path("models/export/README.md").read_text(encoding="utf-8")
    assert "| pearson | not defined |" in card and "pearsonr" not in card
