"""The leaderboard: its numbers against references, what is ranked with what, and that the test split chooses nothing."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, spearmanr

from stages.pipeline.errors import ConfigError
from stages.pipeline.escaping import width
from stages.scoring.core.metrics import METRICS
from stages.scoring.core.predicted import LabelPredictions
from stages.scoring.evaluation.measured import Measured, measured
from stages.scoring.evaluation.predictions_file import Description, described
from stages.sweep import __main__ as command
from stages.sweep.leaderboard.best_set import p_of_being_best
from stages.sweep.leaderboard.charts import Axis
from stages.sweep.leaderboard.command import ReportOptions, as_json, current_leaderboard, report
from stages.sweep.leaderboard.keys import key_effects, short_names, swept_keys
from stages.sweep.leaderboard.markdown import as_markdown
from stages.sweep.leaderboard.page import as_html
from stages.sweep.leaderboard.results import Board, Leaderboard
from stages.sweep.leaderboard.text import as_text
from stages.sweep.record import SWEEPS, SweepOptions, SweepRecord, TrialRecord
from tests.support.browser import opened
from tests.support.imports import ROOT
from tests.support.made_experiments import LABELS, Made, MadeExperiments, accuracy, digest, rights, texts

EXAMPLES = 300
RATES, EPOCHS, SEEDS = (1e-5, 3e-5, 1e-4), (2, 3), (1, 2)


def grid(seed: int = 0) -> dict[str, Made]:
    """Six configurations under two seeds each; the best is the last learning rate."""
    generator = np.random.default_rng(seed)
    hard = {split: generator.normal(0, 1, EXAMPLES) for split in ("validation", "test")}
    return {
        f"grid-{digest([rate, epochs, number])[:8]}": Made(
            {"train.learning_rate": rate, "train.epochs": epochs, "seed": number},
            *(texts(rights(generator, hard[split], 0.4 + 0.4 * place), split) for split in hard),
            seconds=10.0 * epochs,
        )
        for place, rate in enumerate(RATES)
        for epochs in EPOCHS
        for number in SEEDS
    }


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> MadeExperiments:
    """The grid, in a repository."""
    repository = MadeExperiments(tmp_path_factory.mktemp("swept") / "repository")
    repository.add(grid())
    return repository


@pytest.fixture
def here(swept: MadeExperiments, monkeypatch: pytest.MonkeyPatch) -> MadeExperiments:
    monkeypatch.chdir(swept.root)
    return swept


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, Made]], MadeExperiments]:
    """Make a repository of experiments the current one."""

    def made(experiments: Mapping[str, Made]) -> MadeExperiments:
        repository = MadeExperiments(tmp_path / "made")
        repository.add(experiments)
        monkeypatch.chdir(repository.root)
        return repository

    return made


def only_board(found: Leaderboard) -> Board:
    [board] = found.boards
    return board


def one(skill: float, draw: int = 0, /, **params: Any) -> Made:
    """An experiment that is right on a share of its examples."""
    right = np.random.default_rng(draw).permutation(np.arange(100) < 100 * skill)
    keys = {key.replace("__", "."): value for key, value in params.items()}
    return Made(keys, texts(right), texts(right, "test"))


# Numbers


def test_scores_and_their_order_are_those_of_pandas(here: MadeExperiments) -> None:
    board = only_board(current_leaderboard())
    expected = {}
    for rate in RATES:
        for epochs in EPOCHS:
            of_seeds = [
                accuracy(made.validation)
                for made in here.made.values()
                if (made.params["train.learning_rate"], made.params["train.epochs"]) == (rate, epochs)
            ]
            expected[rate, epochs] = np.mean(of_seeds), np.std(of_seeds, ddof=1)
    found = {tuple(row.settings[key] for key in ("train.learning_rate", "train.epochs")): row for row in board.rows}
    assert {key: (row.score, row.deviation) for key, row in found.items()} == {
        key: pytest.approx(numbers) for key, numbers in expected.items()
    }
    assert [row.score for row in board.rows] == sorted((row.score for row in board.rows), reverse=True)
    assert [row.rank for row in board.rows] == [
        1 + sum(other.score > row.score for other in board.rows) for row in board.rows
    ]
    assert (board.examples, board.trials, board.keys) == (EXAMPLES, 12, ["train.epochs", "train.learning_rate"])
    assert {row.seconds for row in board.rows} == {20.0, 30.0} and {row.device for row in board.rows} == {"cpu"}


def test_each_trial_has_its_own_score_by_seed(here: MadeExperiments) -> None:
    for row in only_board(current_leaderboard()).rows:
        assert [trial.seed for trial in row.trials] == [1, 2]
        for trial in row.trials:
            made = here.made[trial.experiment]
            assert trial.score == pytest.approx(accuracy(made.validation))
            assert made.params["train.epochs"] == row.settings["train.epochs"]
            assert (trial.seconds, trial.device) == (made.seconds, made.device)


def test_intervals_are_those_of_a_bootstrap_of_the_mean_over_seeds(here: MadeExperiments) -> None:
    generator = np.random.default_rng(1)
    for row in only_board(current_leaderboard()).rows:
        right = np.mean([_right(here.made[trial.experiment].validation) for trial in row.trials], axis=0)
        drawn = right[generator.integers(0, EXAMPLES, (4000, EXAMPLES))].mean(axis=1)
        assert row.interval is not None
        assert [row.interval.low, row.interval.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.006)


def test_the_interval_of_one_seed_is_wilsons(make: Callable[..., MadeExperiments]) -> None:
    make({"first": one(0.8, train__epochs=1), "second": one(0.5, train__epochs=2)})
    row = only_board(current_leaderboard()).rows[0]
    assert row.interval is not None
    expected = binomtest(80, 100).proportion_ci(method="wilson")
    assert (row.interval.low, row.interval.high) == pytest.approx((expected.low, expected.high))


def test_p_is_that_of_mcnemar_one_sided_and_corrected(make: Callable[..., MadeExperiments]) -> None:
    skills = {"a": 0.9, "b": 0.85, "c": 0.7, "d": 0.88}
    made = {name: one(skill, seed, train__epochs=seed + 1) for seed, (name, skill) in enumerate(skills.items())}
    make(made)
    rows = only_board(current_leaderboard()).rows
    leader = _right(made["a"].validation)
    for row in rows[1:]:
        other = _right(made[row.trials[0].experiment].validation)
        ahead, behind = int((leader & ~other).sum()), int((other & ~leader).sum())
        expected = min(1.0, binomtest(ahead, ahead + behind, alternative="greater").pvalue * 3)
        assert row.p == pytest.approx(expected)
        assert row.is_among_best == (expected > 0.05)
    assert (rows[0].trials[0].experiment, rows[0].p, rows[0].is_among_best) == ("a", 1.0, True)
    assert {row.is_among_best for row in rows} == {True, False}


def test_the_test_score_is_that_of_the_leader_over_its_seeds(here: MadeExperiments) -> None:
    board = only_board(current_leaderboard())
    chosen = board.chosen
    assert list(chosen.experiments) == [trial.experiment for trial in board.rows[0].trials]
    scores = [accuracy(here.made[name].test) for name in chosen.experiments]
    assert chosen.test == pytest.approx(np.mean(scores)) and chosen.deviation == pytest.approx(np.std(scores, ddof=1))
    assert chosen.interval is not None and chosen.interval.low < np.mean(scores) < chosen.interval.high
    assert (chosen.examples, chosen.validation) == (EXAMPLES, board.rows[0].score)


def test_a_metric_of_which_less_is_better_turns_the_order_round(make: Callable[..., MadeExperiments]) -> None:
    made = {name: one(0.8, seed, train__epochs=seed) for seed, name in enumerate("abc")}
    losses = {"a": 0.7, "b": 0.2, "c": 0.4}
    with_losses = {
        name: replace(
            each, validation=_with_loss(each.validation, losses[name]), test=_with_loss(each.test, losses[name])
        )
        for name, each in made.items()
    }
    make(with_losses)
    board = only_board(current_leaderboard(metric="loss"))
    assert not board.higher_is_better
    assert [(row.trials[0].experiment, row.score) for row in board.rows] == [
        ("b", pytest.approx(0.2)), ("c", pytest.approx(0.4)), ("a", pytest.approx(0.7))
    ]  # fmt: skip
    assert [row.is_among_best for row in board.rows] == [True, False, False]
    assert board.chosen.test == pytest.approx(0.2)


def _right(table: pa.Table | None) -> Any:
    assert table is not None
    frame = table.to_pandas()
    return (frame.gold == frame.predicted).to_numpy()


def _with_loss(table: pa.Table | None, loss: float) -> pa.Table:
    assert table is not None
    return table.append_column("loss", pa.array(np.full(table.num_rows, loss)))


# The set


@pytest.mark.parametrize(
    ("metric", "examples", "skills", "shared", "rounds"),
    [
        ("accuracy", 40, [0.8] * 30, 0.0, 150),
        ("accuracy", 200, [0.8] * 30, 0.0, 150),
        ("accuracy", 200, [0.8] * 2, 0.6, 400),
        ("accuracy", 200, [0.97] * 8, 0.6, 200),
        ("accuracy", 200, [0.85] + [0.84] * 12 + [0.5] * 3, 0.6, 150),
        ("f1", 40, [0.8] * 3, 0.3, 60),
    ],
)
def test_the_set_holds_the_truly_best_one(
    metric: str, examples: int, skills: Sequence[float], shared: float, rounds: int
) -> None:
    """Also where all are alike, so that the leader leads by chance alone. Others may be missing more often."""
    generator, level, missing = np.random.default_rng(0), 0.05, 0
    for _ in range(rounds):
        scores = _drawn(generator, METRICS[metric].name, examples, skills, shared)
        order = sorted(range(len(skills)), key=lambda place: -scores[place].statistic.observed())
        found = p_of_being_best([scores[place] for place in order], level)
        p = found[order.index(int(np.argmax(skills)))]
        assert p is not None
        missing += p <= level
    # as often as the level, and what 1 of 1,000 such simulations would go beyond
    assert binomtest(missing, rounds, level, alternative="greater").pvalue > 0.001, missing / rounds


def test_the_set_leaves_out_what_is_clearly_worse() -> None:
    generator = np.random.default_rng(0)
    scores = _drawn(generator, "accuracy", 400, [0.9] + [0.7] * 20, 0.5)
    found = p_of_being_best(scores, 0.05)
    assert found[0] == 1.0 and all(p is not None and p < 0.05 for p in found[1:])


def _drawn(
    generator: np.random.Generator, metric: str, examples: int, skills: Sequence[float], shared: float
) -> list[Measured]:
    """Scores of models that are right with these probabilities; a share of examples is equally hard for all."""
    gold = generator.integers(0, len(LABELS), examples)
    common = generator.random((examples, 1))
    own = generator.random((examples, len(skills)))
    right = np.where(generator.random((examples, len(skills))) < shared, common, own) < np.array(skills)
    wrong = (gold + generator.integers(1, len(LABELS), examples)) % len(LABELS)
    return [
        next(measured(LabelPredictions(gold, np.where(column, gold, wrong), LABELS), [METRICS[metric]]))
        for column in right.T
    ]


def test_equal_predictions_are_not_told_apart(make: Callable[..., MadeExperiments]) -> None:
    same = one(0.8)
    make({name: replace(same, params={"train.epochs": place}) for place, name in enumerate("abc")})
    board = only_board(current_leaderboard())
    assert [row.rank for row in board.rows] == [1, 1, 1] and len(board.best) == 3
    assert "3 configurations share the best score" in board.notes[0]
    assert list(board.chosen.experiments) == ["a"]


def test_few_examples_have_no_interval_and_tell_nothing_apart(make: Callable[..., MadeExperiments]) -> None:
    right = np.array([True] * 8)
    make({
        "a": Made({"train.epochs": 1}, texts(right), texts(right, "test")),
        "b": Made({"train.epochs": 2}, texts(~right), texts(~right, "test")),
    })  # fmt: skip
    board = only_board(current_leaderboard())
    assert [(row.score, row.interval, row.is_among_best) for row in board.rows] == [(1, None, True), (0, None, True)]
    assert "8 validation examples are too few" in board.notes[0]


# The test split


def test_test_predictions_change_no_rank(make: Callable[..., MadeExperiments]) -> None:
    """Nor are those of another configuration than the leader read: they are not even in the cache."""
    made = grid()
    repository = make(made)
    before = current_leaderboard()
    generator = np.random.default_rng(5)
    others = {
        name: replace(each, test=texts(generator.random(EXAMPLES) < generator.random(), "test"))
        for name, each in made.items()
    }
    repository.add(others)
    after = current_leaderboard()
    assert only_board(after).rows == only_board(before).rows
    assert only_board(after).chosen.experiments == only_board(before).chosen.experiments
    assert only_board(after).chosen.test != only_board(before).chosen.test
    assert only_board(after).effects == only_board(before).effects
    leaders = set(only_board(after).chosen.experiments)
    repository.add({name: replace(each, test=texts(np.ones(7, bool), "test"), uncached_test=name not in leaders)
                    for name, each in others.items()})  # fmt: skip
    assert only_board(current_leaderboard()).chosen.test == 1.0
    assert not only_board(current_leaderboard()).chosen.missing


def test_a_leader_without_test_predictions_is_said_to_have_none(make: Callable[..., MadeExperiments]) -> None:
    made = {"a": replace(one(0.9, train__epochs=1), uncached_test=True), "b": one(0.5, train__epochs=2)}
    make(made)
    board = only_board(current_leaderboard())
    assert board.chosen.test is None and "data/predictions/test.parquet" in str(board.chosen.missing)
    assert "No test score: " in as_text(current_leaderboard())


def test_a_test_split_without_gold_has_no_score(make: Callable[..., MadeExperiments]) -> None:
    made = one(0.9, train__epochs=1)
    assert made.test is not None
    unknown = made.test.set_column(1, "gold", pa.nulls(made.test.num_rows, pa.string()))
    make({"a": replace(made, test=unknown)})
    chosen = only_board(current_leaderboard()).chosen
    assert chosen.test is None and "gold is not known" in str(chosen.missing)


# What is ranked with what


def test_another_task_has_a_table_of_its_own(make: Callable[..., MadeExperiments]) -> None:
    names = ("B-X", "O")
    words = described(
        pa.table({
            "id": [f"s{place // 2}" for place in range(60)], "word": [place % 2 for place in range(60)],
            "token": ["w"] * 60, "gold": ["B-X", "O"] * 30, "predicted": ["B-X"] * 30 + ["B-X", "O"] * 15,
        }),
        Description("tokens", "label", names),
    )  # fmt: skip
    tagged = Made({"task.kind": "tokens", "task.metric": "f1", "data.name": "tagged"}, words, words, scores={"f1": 0.5})
    make({"text": one(0.8), "tokens": tagged})
    found = current_leaderboard()
    assert [(board.title, board.metric, board.trials) for board in found.boards] == [
        ("made (text, label)", "accuracy", 1),
        ("tagged (tokens, label)", "f1", 1),
    ]  # fmt: skip
    right, predicted, gold = 30, 45, 30
    assert found.boards[1].rows[0].score == pytest.approx(2 * right / (predicted + gold))


def test_a_task_without_the_metric_is_left_out(make: Callable[..., MadeExperiments]) -> None:
    numbers = described(
        pa.table({"id": list("abcdefghijkl"), "gold": np.arange(12.0), "predicted": np.arange(12.0) + 1}),
        Description("text", "number", ()),
    )
    number = Made({"task.target": "number", "task.metric": "mse"}, numbers, numbers, scores={"mse": 1})
    make({"label": one(0.8), "number": number})
    assert [board.metric for board in current_leaderboard().boards] == ["accuracy", "mse"]
    found = current_leaderboard(metric="mse")
    assert only_board(found).rows[0].score == pytest.approx(1)
    assert "metric mse: can't be computed" in found.left_out[0].reason


def test_other_labels_of_the_same_examples_are_another_board(make: Callable[..., MadeExperiments]) -> None:
    first = one(0.8)
    assert first.validation is not None
    gold = first.validation.set_column(1, "gold", first.validation["gold"].take(pa.array(np.arange(100)[::-1])))
    make({"first": first, "second": replace(first, params={"data.seed": 2}, validation=gold)})
    assert [board.title for board in current_leaderboard().boards] == [
        "made (text, label), split 1",
        "made (text, label), split 2",
    ]


def test_less_training_data_are_ranked_together(make: Callable[..., MadeExperiments]) -> None:
    make({"all": one(0.8, data__train=1000), "half": one(0.7, data__train=500)})
    board = only_board(current_leaderboard())
    assert board.keys == ["data.train"] and len(board.rows) == 2


def test_a_run_with_equal_configuration_and_seed_counts_once(make: Callable[..., MadeExperiments]) -> None:
    make({"again": one(0.9, 1), "first": one(0.8, 2), "other": one(0.7, 3, seed=7)})
    found = current_leaderboard()
    assert [trial.experiment for trial in only_board(found).rows[0].trials] == ["again", "other"]
    assert [(each.name, each.reason) for each in found.left_out] == [
        ("first", "has the configuration and seed of again")
    ]


def test_an_older_experiment_is_ranked_by_its_training_and_marked(make: Callable[..., MadeExperiments]) -> None:
    old = replace(one(0.9, 4, train__epochs=9), validation=None, scores={"accuracy": 0.95})
    make({"new": one(0.8, train__epochs=1), "newer": one(0.5, train__epochs=2), "old": old})
    found = current_leaderboard()
    board = only_board(found)
    assert [row.trials[0].experiment for row in board.rows] == ["old", "new", "newer"]
    first = board.rows[0]
    assert (first.score, first.interval, first.p, first.is_among_best) == (0.95, None, None, None)
    assert "was not written by the evaluate stage of this commit" in str(first.note)
    assert [row.is_among_best for row in board.rows[1:]] == [True, False]
    assert board.chosen.test == pytest.approx(0.9)
    assert "1 of 3 configurations (marked ?)" in board.notes[0] and "1 ?" in as_text(found)
    assert "Nothing is known of the 1 marked ?" in " ".join(as_text(found).split())


def test_a_score_of_training_that_reads_tags_otherwise_is_not_ranked(make: Callable[..., MadeExperiments]) -> None:
    params, test = {"task.kind": "tokens", "task.metric": "f1"}, texts(np.ones(9, bool), "test")

    def old(epochs: int, f1: float, mode: str = "conll") -> Made:
        keys = {**params, "train.epochs": epochs, "evaluate.mode": mode}
        return Made(keys, None, test, scores={"f1": f1, "loss": epochs}, uncached_test=True)

    lenient, strict, more = old(1, 0.5), old(2, 0.4, "strict"), old(3, 0.3)
    make({"lenient": lenient, "more": more, "strict": strict})
    found = current_leaderboard()
    assert [row.score for row in only_board(found).rows] == [0.5, 0.3]
    [left_out] = found.left_out
    assert left_out.name == "strict" and "scored with evaluate.mode=strict evaluate.scheme=auto" in left_out.reason
    assert [row.score for row in only_board(current_leaderboard(metric="loss")).rows] == [1, 2, 3]


def test_scores_of_training_alone_make_a_board_without_a_set(make: Callable[..., MadeExperiments]) -> None:
    made = [replace(one(0.9, train__epochs=place), validation=None, scores={"accuracy": place / 9}) for place in (1, 2)]
    make(dict(zip("ab", made, strict=True)))
    found = current_leaderboard()
    assert (only_board(found).examples, only_board(found).best) == (0, [])
    assert "There are no validation predictions here" in " ".join(as_text(found).split())


def test_a_cache_that_lacks_a_file_or_has_another_one_is_told(make: Callable[..., MadeExperiments]) -> None:
    repository = make({"a": one(0.8, train__epochs=1), "gone": replace(one(0.7, 3, train__epochs=2), uncached=True)})
    files = [file for file in (repository.root / ".dvc/cache/files/md5").rglob("*") if file.is_file()]
    other = one(0.1, 5).validation
    for file in files:
        pq.write_table(other, file)  # whole, but not what the experiment has predicted
    board = only_board(current_leaderboard())
    assert [(row.score, row.interval) for row in board.rows] == [(0.8, None), (0.7, None)]
    assert "damaged in DVC's cache" in str(board.rows[0].note) and "damaged" in str(board.chosen.missing)
    assert "neither in DVC's cache nor in a remote" in str(board.rows[1].note)
    assert all("\n" not in str(row.note) for row in board.rows)


def test_what_the_cache_lacks_is_read_from_a_remote(make: Callable[..., MadeExperiments], tmp_path: Path) -> None:
    repository = make({"a": one(0.8, train__epochs=1)})
    (repository.root / ".dvc/cache/files").rename(tmp_path / "files")
    (repository.root / ".dvc/config.local").write_text(
        f"[core]\n    remote = there\n['remote \"there\"']\n    url = {tmp_path}\n"
    )
    board = only_board(current_leaderboard())
    assert board.rows[0].note is None and board.rows[0].interval is not None
    assert board.chosen.test == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"is_trained_anew": True},
            "evaluate read another models/trained than train wrote; run `dvc repro evaluate` there",
        ),
        (
            {"evaluated_with": {"evaluate.mode": "strict"}},
            "evaluate was run with another evaluate.mode than params.yaml says",
        ),
        ({"test": None, "validation": None, "scores": {"accuracy": 1}}, "evaluate has not run"),
        ({"without": ["metrics/train.json"]}, "metrics/train.json: is not the one that dvc.lock records"),
        ({"without": ["dvc.lock"]}, "dvc.lock: is missing or incomplete"),
        ({"without": ["params.yaml"]}, "params.yaml: is missing"),
        ({"scores": {"f1": 0.5}, "validation": None}, "its accuracy on validation is not defined"),
        ({"scores": {"accuracy": None}, "validation": None}, "its accuracy on validation is not defined"),
    ],
)
def test_what_has_no_score_of_its_own_is_not_ranked(
    make: Callable[..., MadeExperiments], wrong: Mapping[str, Any], words: str
) -> None:
    make({"good": one(0.8, train__epochs=1), "wrong": replace(one(0.99, 2, train__epochs=2), **wrong)})
    found = current_leaderboard()
    assert [row.trials[0].experiment for row in only_board(found).rows] == ["good"]
    [left] = found.left_out
    assert left.name == "wrong" and words in left.reason
    assert f"  wrong: {left.reason}" in as_text(found).splitlines()


def test_a_record_of_stages_of_another_version_leaves_seconds_out(make: Callable[..., MadeExperiments]) -> None:
    make({"a": replace(one(0.8), without=["metrics/runs.json"])})
    row = only_board(current_leaderboard()).rows[0]
    assert (row.seconds, row.device) == (None, None)


# Sweeps, and the command


def test_one_sweep_alone_and_its_failed_trials(make: Callable[..., MadeExperiments]) -> None:
    repository = make({
        "mine-00000001": one(0.8, train__epochs=1), "mine-00000002": one(0.7, 1, train__epochs=2),
        "mine-old-00000003": one(0.9, 2, train__epochs=3), "other": one(0.6, 3, train__epochs=4),
    })  # fmt: skip
    trials = [
        TrialRecord("mine-00000001", ("train.epochs=1",), "done"),
        TrialRecord("mine-00000009", ("train.epochs=9",), "failed", error="train: the loss is no longer a number"),
    ]
    for base in (repository.base, "0" * 40):
        SweepRecord("mine" if base == repository.base else "older", base, SweepOptions(()), trials).write()
    found = current_leaderboard(sweep="mine")
    assert [row.trials[0].experiment for row in only_board(found).rows] == ["mine-00000001", "mine-00000002"]
    [left] = found.left_out
    assert left.reason == "failed: train: the loss is no longer a number (train.epochs=9)"
    assert len(only_board(current_leaderboard()).rows) == 4
    with pytest.raises(ConfigError, match="sweep none has no experiment on this commit"):
        current_leaderboard(sweep="none")
    assert SWEEPS.is_dir()


def test_the_command_line_as_a_user_runs_it(here: MadeExperiments, tmp_path: Path) -> None:
    files = [part for kind in ("markdown", "json", "html") for part in (f"--{kind}", str(tmp_path / f"found.{kind}"))]
    done = subprocess.run(
        [sys.executable, "-m", "stages.sweep", "report", *files],
        cwd=here.root, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = current_leaderboard()
    assert done.stdout == as_text(found)
    assert json.loads((tmp_path / "found.json").read_text()) == json.loads(as_json(found))
    assert (tmp_path / "found.markdown").read_text() == as_markdown(found)
    again = "stagewright sweep report --html leaderboard.html"
    assert (tmp_path / "found.html").read_text() == as_html(found, again)
    assert f"dvc exp apply {only_board(found).chosen.experiments[0]}" in done.stdout
    assert max(map(width, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--metric", "bleu"], "--metric bleu: there is no such metric; choose from mse"),
        (
            ["--metric", "mse"],
            "metric mse: can't be computed from these predictions; choose another with --metric from acc",
        ),
        (["--level", "2"], "--level 2: is not a probability"),
        (["--markdown", "-", "--json", "-"], "both write to standard output"),
        (["--sweep", "nothing"], "sweep nothing has no experiment on this commit"),
    ],
)
def test_what_can_not_be_reported_is_one_line(
    here: MadeExperiments,
    arguments: Sequence[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["sweep", "report", *arguments])
    with pytest.raises(SystemExit) as caught:
        command.main()
    out, err = capsys.readouterr()
    assert (caught.value.code, out) == (1, "") and words in err and err.count("\n") == 1


def test_nothing_to_rank_says_what_to_do(make: Callable[..., MadeExperiments]) -> None:
    make({})
    with pytest.raises(ConfigError, match="there is no experiment on this commit; make some with"):
        report(ReportOptions())


def test_a_level_of_ones_own(here: MadeExperiments) -> None:
    strict, lenient = (only_board(current_leaderboard(level=level)) for level in (0.0001, 0.5))
    assert len(lenient.best) < len(strict.best)
    widths = [row.interval.high - row.interval.low for board in (strict, lenient) if (row := board.rows[0]).interval]
    assert widths[0] > widths[1]


# Numbers and ranks of other kinds


def test_ranks_with_unequal_seeds_can_not_be_tested_and_are_marked(make: Callable[..., MadeExperiments]) -> None:
    generator = np.random.default_rng(0)
    gold = generator.normal(0, 1, 60)

    def numbers(noise: float, **params: Any) -> Made:
        tables = [
            described(
                pa.table({"id": [f"t{place}" for place in range(60)], "gold": gold,
                          "predicted": gold + generator.normal(0, noise, 60)}),
                Description("text", "number", ()),
            )
            for _ in range(2)
        ]  # fmt: skip
        keys = {"task.target": "number", "task.metric": "spearman", **params}
        return Made(keys, *tables, scores={"spearman": 0.5})

    made = {
        "best": numbers(0.1, **{"train.epochs": 1}),
        "best-2": numbers(0.1, **{"train.epochs": 1, "seed": 2}),
        "other": numbers(2.0, **{"train.epochs": 2}),
        "like": numbers(2.5, **{"train.epochs": 3, "seed": 1}),
        "like-2": numbers(2.5, **{"train.epochs": 3, "seed": 2}),
    }
    make(made)
    board = only_board(current_leaderboard())
    by_name = {row.trials[0].experiment: row for row in board.rows}
    for name, row in by_name.items():
        of_seeds = [
            spearmanr(*(made[trial.experiment].validation[key].to_numpy() for key in ("gold", "predicted"))).statistic  # type: ignore[index]
            for trial in row.trials
        ]
        assert row.score == pytest.approx(np.mean(of_seeds)), name
    assert by_name["best"].is_among_best is True and by_name["like"].is_among_best is False
    assert by_name["other"].is_among_best is None


# Keys


def test_swept_keys_are_those_that_differ_and_do_not_follow_from_a_name() -> None:
    first = {"model.name": "a", "model.path": "x", "model.pooling": "mean", "train.epochs": 1, "threads": 2}
    second = {**first, "model.name": "b", "model.path": "y"}
    third = {**second, "model.pooling": "cls", "train.epochs": 2}
    assert swept_keys([first, second]) == ["model.name"]
    assert swept_keys([first, second, third]) == ["model.name", "model.pooling", "train.epochs"]
    assert swept_keys([first, {**first, "model.path": "z"}]) == ["model.path"]
    assert swept_keys([first]) == []
    assert swept_keys([first, {key: value for key, value in first.items() if key != "threads"}]) == ["threads"]


def test_names_are_as_short_as_they_can_be_told_apart() -> None:
    keys = ["train.epochs", "train.precision", "evaluate.precision", "model.name", "threads"]
    assert short_names(keys) == {
        "train.epochs": "epochs", "train.precision": "train.precision", "evaluate.precision": "evaluate.precision",
        "model.name": "model", "threads": "threads",
    }  # fmt: skip


_VALUES = st.one_of(st.booleans(), st.none(), st.integers(0, 9), st.floats(0, 1), st.sampled_from(["a", "b|c"]))


@settings(max_examples=60)
@given(st.lists(st.tuples(_VALUES, st.floats(0, 1)), min_size=1, max_size=40))
def test_effects_are_means_over_all_trials(trials: list[tuple[Any, float]]) -> None:
    [effect] = key_effects(["key"], [{"key": value} for value, _ in trials], [score for _, score in trials])
    assert sum(each.trials for each in effect.values) == len(trials)
    mean = sum(each.score * each.trials for each in effect.values) / len(trials)
    assert mean == pytest.approx(np.mean([score for _, score in trials]))
    Axis.of([value for value, _ in trials])


def test_many_numbers_are_shown_in_quarters_with_their_rank_correlation() -> None:
    generator = np.random.default_rng(0)
    values, scores = generator.permutation(np.arange(1, 41) / 10), generator.random(40)
    [effect] = key_effects(["rate"], [{"rate": float(value)} for value in values], scores.tolist())
    assert [each.value for each in effect.values] == ["0.1 to 1", "1.1 to 2", "2.1 to 3", "3.1 to 4"]
    quarters = [scores[(values > low) & (values <= low + 1)] for low in range(4)]
    assert [each.score for each in effect.values] == pytest.approx([quarter.mean() for quarter in quarters])
    assert effect.rank_correlation == pytest.approx(spearmanr(values, scores).statistic)


def test_the_effects_of_the_grid_are_those_of_pandas(here: MadeExperiments) -> None:
    effects = {effect.key: effect for effect in only_board(current_leaderboard()).effects}
    for key, shown in (("train.learning_rate", ["1e-05", "3e-05", "0.0001"]), ("train.epochs", ["2", "3"])):
        assert [each.value for each in effects[key].values] == shown
        for each in effects[key].values:
            scores = [accuracy(made.validation) for made in here.made.values() if made.params[key] == float(each.value)]
            assert (each.trials, each.score) == (len(scores), pytest.approx(np.mean(scores)))


@pytest.mark.parametrize("low", [1e-6, 0.0, -3.0])
def test_every_value_and_label_of_an_axis_lies_on_it(low: float) -> None:
    axis = Axis.of([low + value for value in np.logspace(-5, 0, 30)])
    places = [*axis.places.values(), *(place for place, _ in axis.labels)]
    assert not axis.has_places and len(axis.labels) >= 2
    assert all(0 <= place <= 1 for place in places)
    assert list(axis.places.values()) == sorted(axis.places.values())


# What is shown

HOSTILE = "<script>alert(1)</script>|`\"'&\x1b[31m\u202e\n# x"


@pytest.fixture
def hostile(make: Callable[..., MadeExperiments]) -> Leaderboard:
    """Names and values that would break out of a page, a table or a terminal's line."""
    name = "x<script>alert('&\"|`)</script".replace("/", "")
    make({
        name: one(0.8, train__schedule=HOSTILE, data__name=f"</title>{HOSTILE}"),
        f"{name}2": one(0.7, 1, train__schedule="](javascript:alert(1))", data__name=f"</title>{HOSTILE}"),
        f"{name}3": replace(one(0.7, 1, train__schedule="b"), without=["dvc.lock"]),
    })  # fmt: skip
    return current_leaderboard()


def test_hostile_names_are_shown_and_nothing_more(hostile: Leaderboard, tmp_path: Path) -> None:
    html, text, markdown = as_html(hostile), as_text(hostile), as_markdown(hostile)
    assert html.count("<script") == 2 and "alert(1)</script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    for shown in (text, markdown):
        assert "\x1b" not in shown and "\u202e" not in shown
    rows = [line for line in markdown.splitlines() if line.startswith("| 1 ")]
    assert len(rows) == 1
    assert json.loads(as_json(hostile))["boards"][0]["rows"][0]["settings"]["train.schedule"] == HOSTILE


def test_the_command_that_gets_the_leader_is_safe_to_paste(make: Callable[..., MadeExperiments]) -> None:
    make({"x;touch$IFS'gone'": one(0.8)})
    found = current_leaderboard()
    [line] = [line for line in as_text(found).splitlines() if line.startswith("  dvc exp apply ")]
    assert shlex.split(line) == ["dvc", "exp", "apply", "x;touch$IFS'gone'"]


@pytest.mark.slow
def test_the_page_runs_in_a_browser_and_loads_nothing(hostile: Leaderboard, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(as_html(hostile), encoding="utf-8")
    document, logged = opened(page)
    assert logged == ""
    assert "default-src 'none'" in document and 'class="path leader"' in document


def test_every_line_fits_a_terminal_and_tables_are_whole(here: MadeExperiments) -> None:
    found = current_leaderboard()
    for line in as_text(found).splitlines():
        assert width(line) <= 80 and line == line.rstrip()
    text = " ".join(as_text(found).split())
    assert "6 configurations from 12 trials, ranked by accuracy on 300 validation examples" in text
    assert "is the best of 6, and therefore optimistic. Its test score is not" in text
    for row in only_board(found).rows:
        assert f"{row.score:.4f}" in text and row.trials[0].experiment in text


def test_many_configurations_are_cut_in_the_terminal_alone(make: Callable[..., MadeExperiments]) -> None:
    make({f"run-{place:02}": one(0.5 + place / 100, place, train__epochs=place) for place in range(40)})
    found = current_leaderboard()
    assert "… and 10 more" in as_text(found) and "run-00" not in as_text(found)
    assert all(f"| `run-{place:02}` |" in as_markdown(found) for place in range(40))
    assert all(f"run-{place:02}" in as_html(found) for place in range(40))


def test_repeats_give_the_same_bytes(here: MadeExperiments) -> None:
    first, second = current_leaderboard(), current_leaderboard()
    for written in (as_text, as_markdown, as_json, as_html):
        assert written(first) == written(second)
