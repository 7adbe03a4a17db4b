"""The whole pipeline through DVC, as a user runs it, with a tiny model: both kinds of task."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from datasets import load_from_disk
from transformers import pipeline

from tests.support.tiny import write_tiny_model
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow

SMALL = [
    "model=files", "data.train=64", "data.validation=24", "data.test=32", "threads=1",
    "train.epochs=2", "train.learning_rate=1e-3",
]  # fmt: skip


def small(model: Path, *overrides: str) -> list[str]:
    return [*SMALL, f"model.path={model}", *overrides]


def settings(overrides: list[str]) -> list[str]:
    """Overrides as `dvc exp run` takes them."""
    return [argument for override in overrides for argument in ("-S", override)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "first": write_tiny_model(folder / "first", seed=1),
        "second": write_tiny_model(folder / "second", seed=2),  # other weights, the same tokenizer
    }


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path]) -> Iterator[Workspace]:
    """A workspace in which the text task has run and was committed."""
    workspace = Workspace(tmp_path_factory.mktemp("text") / "a clone")
    workspace.python("stages.configuration.compose", *small(models["first"]))
    workspace.ok("dvc", "repro")
    workspace.commit("ran")
    yield workspace


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path]) -> Iterator[Workspace]:
    """A workspace in which the token task has run."""
    workspace = Workspace(tmp_path_factory.mktemp("tokens") / "clone")
    workspace.ok("dvc", "exp", "run", *settings(small(models["first"], "task=tokens")))
    yield workspace


def test_text_scores_every_example(text: Workspace) -> None:
    scores = text.metrics("evaluate")
    assert scores["examples"] == scores["units"] == 32
    assert scores["coverage"] == 1.0
    predictions = pd.read_parquet(text.root / "data/predictions/test.parquet")
    assert list(predictions) == ["id", "gold", "predicted", "score", "loss", "probabilities"]
    assert scores["accuracy"] == pytest.approx((predictions.gold == predictions.predicted).mean(), abs=1e-6)


def test_validation_is_predicted_like_test(text: Workspace) -> None:
    predictions = pd.read_parquet(text.root / "data/predictions/validation.parquet")
    assert list(predictions) == ["id", "gold", "predicted", "score", "loss", "probabilities"]
    assert list(predictions.id) == load_from_disk(str(text.root / "data/raw"))["validation"]["id"][:]
    right = (predictions.gold == predictions.predicted).mean()
    assert text.metrics("train")["validation"]["accuracy"] == pytest.approx(right, abs=1e-6)


def test_tokens_words_in_are_words_out(tokens: Workspace) -> None:
    raw = load_from_disk(str(tokens.root / "data/raw"))["test"]
    predictions = pd.read_parquet(tokens.root / "data/predictions/test.parquet")
    assert list(predictions.token) == [token for sentence in raw["tokens"] for token in sentence]
    names = raw.features["tags"].feature.names
    assert list(predictions.gold) == [names[tag] for tags in raw["tags"] for tag in tags]
    assert tokens.metrics("evaluate")["coverage"] == 1.0
    assert set(tokens.metrics("evaluate")["per_label"]) <= {name[2:] for name in names if name != "O"}


@pytest.mark.parametrize("kind", ["text", "tokens"])
def test_the_export_loads_as_a_transformers_pipeline(kind: str, request: pytest.FixtureRequest) -> None:
    workspace: Workspace = request.getfixturevalue(kind)
    task = "text-classification" if kind == "text" else "token-classification"
    classify = pipeline(task, model=str(workspace.root / "models/export"))
    found = classify("My order never came to Paris.")
    labels = {result["label" if kind == "text" else "entity"] for result in found}
    names = set(json.loads((workspace.root / "models/export/config.json").read_text())["id2label"].values())
    assert labels <= names
    assert not any(name.startswith("LABEL_") for name in names)
    assert workspace.metrics("export")["onnx_largest_difference"] <= 1e-4
    card = (workspace.root / "models/export/README.md").read_text(encoding="utf-8")
    assert f"value: {workspace.metrics('evaluate')['accuracy']}" in card


def test_dvc_draws_every_plot_that_a_stage_writes(text: Workspace) -> None:
    shown = text.ok("dvc", "plots", "show")
    assert "index.html" in shown and "WARNING" not in shown and "failed to load" not in shown
    shutil.rmtree(text.root / "dvc_plots")
    drawn = set(json.loads(text.run("dvc", "plots", "show", "--json").stdout)["data"])
    assert {"Loss", "metrics/plots/confusion.csv", "metrics/plots/per_label.csv"} < drawn
    assert "metrics/plots/curves/plots/metrics/validation/f1.tsv" in drawn


def test_nothing_runs_a_second_time(text: Workspace) -> None:
    assert text.ok("dvc", "repro").count("didn't change, skipping") == 5


def test_a_training_setting_reruns_neither_download_nor_tokenize(text: Workspace) -> None:
    shown = text.ok("dvc", "exp", "run", *settings(small(_model_of(text), "train.learning_rate=2e-3")))
    assert "Stage 'download' didn't change" in shown
    assert "Stage 'tokenize' didn't change" in shown
    assert "Running stage 'train'" in shown


def test_two_models_with_one_tokenizer_share_the_tokenized_data(text: Workspace, models: dict[str, Path]) -> None:
    shown = text.ok("dvc", "exp", "run", *settings(small(models["second"])))
    assert "Running stage 'download'" in shown
    assert "Stage 'tokenize' didn't change" in shown
    assert "Running stage 'train'" in shown


def test_a_queued_run_repeats_no_stage_that_has_run(text: Workspace) -> None:
    """It starts in a folder without outputs: DVC restores them if its cache has all of them, plots and metrics too."""
    for ran, cached in ((["train", "evaluate"], []), ([], ["train", "evaluate"])):
        text.ok("dvc", "exp", "run", "--queue", *settings(small(_model_of(text), "seed=43")), "evaluate")
        text.ok("dvc", "exp", "run", "--run-all", "--jobs", "1")
        (task,) = re.findall(r"(?m)^[0-9a-f]{7}", text.ok("dvc", "queue", "status"))
        log = text.ok("dvc", "queue", "logs", task)
        text.ok("dvc", "queue", "remove", "--all")
        assert re.findall(r"Running stage '(\w+)'", log) == ran, log
        assert re.findall(r"Stage '(\w+)' is cached", log) == cached


def test_a_queued_sweep_runs_and_compares(text: Workspace) -> None:
    sweep = small(_model_of(text), "task=text,tokens", "train.epochs=1")
    text.ok("dvc", "exp", "run", "--queue", *settings(sweep))
    text.ok("dvc", "exp", "run", "--run-all", "--jobs", "1")
    queued = text.ok("dvc", "queue", "status")
    assert queued.count("Success") == 2, queued
    table = pd.DataFrame(json.loads(text.run("dvc", "exp", "show", "--json").stdout))
    assert len(table) >= 1
    assert "| Metric" in text.ok("dvc", "exp", "diff", "--all", "--md", *_newest_experiments(text))
    assert "index.html" in text.ok("dvc", "plots", "diff", *_newest_experiments(text))


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["train.epochs=banana"], "train.epochs='banana'"),
        (["train.lerning_rate=1"], "train.lerning_rate"),
        (["data=nope"], "data/nope"),
        (["data=imdb", "task=tokens"], "data=imdb is data for task=text"),
        (["data=files", "data.train=missing.parquet", "data.test=missing.parquet"], "data.train=missing.parquet"),
        (["data=imdb"], "stanfordnlp/imdb"),  # the Hub can't be reached
        (["train.learning_rate=1e30", "train.max_grad_norm=1e30"], "lower train.learning_rate"),
    ],
)
def test_bad_input_leaves_the_lock_and_every_output_as_they_were(
    text: Workspace, overrides: list[str], told: str
) -> None:
    text.git("checkout", "--quiet", "--", ".")
    text.ok("dvc", "checkout")
    before = text.state()
    is_other_data = any(override.startswith("data=") for override in overrides)
    kept = [override for override in small(_model_of(text)) if not (is_other_data and override.startswith("data."))]
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(text.root.parent / "hub")}
    failed = text.run("dvc", "exp", "run", *settings([*kept, *overrides]), **nowhere)
    assert failed.returncode != 0
    assert told in failed.stdout + failed.stderr
    assert "Traceback" not in failed.stdout + failed.stderr
    assert text.state() == before
    text.git("checkout", "--quiet", "--", ".")
    assert "up to date" in text.ok("dvc", "repro")


def _model_of(workspace: Workspace) -> Path:
    params = (workspace.root / "params.yaml").read_text(encoding="utf-8")
    return Path(next(line.split("path:")[1].strip() for line in params.splitlines() if "path:" in line))


def _newest_experiments(workspace: Workspace) -> list[str]:
    names = workspace.ok("dvc", "exp", "list", "--name-only").split()
    return names[:2]
