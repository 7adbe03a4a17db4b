"""`stagewright score`: any system's predictions, with the scores that conlleval and papers give."""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from seqeval.metrics import f1_score

from stages.pipeline.errors import ConfigError, DataError
from stages.pipeline.one_line import one_line_errors
from stages.scoring import score
from stages.systems.joining import Columns, read_pair
from stages.systems.reading_options import columns_of
from tests.support.imports import ROOT
from tests.support.told import told

GOLD = [
    [("Ada", "B-per"), ("Lovelace", "I-per"), ("in", "O")],
    [("#Paris", "B-loc"), ("#", "O"), ("#nlp", "O")],
    [("U.N.", "B-org")],
]
PREDICTED = [["I-per", "I-per", "O"], ["B-loc", "O", "B-per"], ["O"]]
TAGS = [tag for tags in PREDICTED for tag in tags]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("gold.conll").write_text(conll([[f"{word}\t{tag}" for word, tag in sentence] for sentence in GOLD]))
    pairs = zip(GOLD, PREDICTED, strict=True)
    both = [[f"{w} NN {g} {p}" for (w, g), p in zip(gold, tags, strict=True)] for gold, tags in pairs]
    Path("both.txt").write_text(conll(both))
    Path("pred.txt").write_text(conll([[line.split()[0] + " " + line.split()[-1] for line in lines] for lines in both]))
    return tmp_path


def conll(sentences: list[list[str]]) -> str:
    return "\n\n".join("\n".join(lines) for lines in sentences) + "\n"


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["score", *arguments])
    score.main()
    return capsys.readouterr().out


FORMS = [
    ("gold.conll", "pred.txt"),
    ("gold.conll", "both.txt"),  # the predictions' last column
    ("both.txt",),
    ("both.txt", "--columns", "0,2,3"),
    ("gold.conll", "pred.txt", "--columns", "0,1"),
]


@pytest.mark.parametrize("arguments", FORMS)
def test_one_file_or_two_give_the_same_scores(
    arguments: tuple[str, ...], here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(run(monkeypatch, capsys, *arguments, "--json", "--resamples", "50"))
    assert (found["precision"], found["recall"]) == pytest.approx((2 / 3, 2 / 3), abs=1e-6)
    assert found["strict"] == pytest.approx({"precision": 0.5, "recall": 1 / 3, "f1": 0.4}, abs=1e-6)
    assert found["errors"]["missed"] == found["errors"]["spurious"] == 1
    assert set(found["intervals"]) == {"accuracy", "precision", "recall", "f1"}


def test_sentence_boundaries_are_those_of_gold(here: Path) -> None:
    Path("unbroken.txt").write_text(Path("pred.txt").read_text().replace("\n\n", "\n"))
    assert read_pair(Path("gold.conll"), Path("unbroken.txt"), Columns()).table.column("word").to_pylist() == [
        *(0, 1, 2),
        *(0, 1, 2),
        0,
    ]


def test_a_metric_can_be_asked_for(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("labels.csv").write_text("gold,predicted\n" + "a,a\nb,a\nb,b\n" * 10)
    found = json.loads(run(monkeypatch, capsys, "labels.csv", "--metric", "weighted_f1", "--json", "--resamples", "50"))
    assert found["weighted_f1"] == pytest.approx(2 / 3, abs=1e-6) and "weighted_f1" in found["intervals"]
    for metric in ("spearman", "roc_auc", "bleu"):  # of numbers, of probabilities, of nothing
        with pytest.raises(SystemExit):
            run(monkeypatch, capsys, "labels.csv", "--metric", metric)
        assert (
            f"metric {metric}: can't be computed from these predictions; choose from accuracy"
            in capsys.readouterr().err
        )


def test_strict_mode_and_a_scheme_can_be_asked_for(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    strict = json.loads(run(monkeypatch, capsys, "both.txt", "--mode", "strict", "--json", "--resamples", "0"))
    assert strict["f1"] == pytest.approx(0.4, abs=1e-6) and strict["conll"]["f1"] == pytest.approx(2 / 3, abs=1e-6)
    plain = json.loads(run(monkeypatch, capsys, "both.txt", "--scheme", "plain", "--json", "--resamples", "0"))
    assert "B-per" in plain["per_label"] and "errors" not in plain


def test_the_table_fits_a_terminal(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "B-" + "x" * 60
    Path("both.txt").write_text(4 * (Path("both.txt").read_text() + f"\nword NN {long} {long}\n\n"))
    lines = run(monkeypatch, capsys, "both.txt").splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[3].split()[:2] == ["f1", "0.7500"] and lines[3].endswith("]")
    assert any(line.split() == ["spurious", "4"] for line in lines)


def test_the_scores_of_a_real_test_split_are_seqevals(wnut17: Path, tmp_path: Path) -> None:
    dice, lines, gold, predicted = random.Random(0), [], [[]], [[]]  # type: ignore[var-annotated]
    for line in (wnut17 / "emerging.test.annotated").read_text(encoding="utf-8").splitlines():
        if not line.strip():
            lines.append("")
            gold.append([])
            predicted.append([])
            continue
        word, tag = line.split("\t")
        guess = tag if dice.random() < 0.95 else dice.choice(["O", "B-person", "I-person", "I-group"])
        gold[-1].append(tag)
        predicted[-1].append(guess)
        lines.append(f"{word}\t{guess}")
    (tmp_path / "system.conll").write_text("\n".join(lines), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "stages.scoring.score", str(wnut17 / "emerging.test.annotated"),
         str(tmp_path / "system.conll"), "--json"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    kept = [(g, p) for g, p in zip(gold, predicted, strict=True) if g]
    assert found["f1"] == pytest.approx(f1_score([g for g, _ in kept], [p for _, p in kept]), abs=1e-6)
    assert sum(score["support"] for score in found["per_label"].values()) == 1079
    low, high = found["intervals"]["f1"]
    assert low < found["f1"] < high


# Parquet


def write(name: str, columns: dict[str, Any]) -> Path:
    pq.write_table(pa.table(columns), name)
    return Path(name)


def test_parquet_is_joined_by_id_in_any_order(here: Path) -> None:
    gold = write("gold.parquet", {"id": ["a", "b", "c"], "label": ["x", "y", "y"]})
    predictions = write("pred.parquet", {"id": ["c", "a", "b"], "label": ["y", "x", "x"]})
    table = read_pair(gold, predictions, Columns()).table
    assert table["gold"].to_pylist() == ["x", "y", "y"] and table["predicted"].to_pylist() == ["x", "x", "y"]


def test_words_in_parquet_are_joined_by_sentence_and_word(here: Path) -> None:
    columns = {"id": ["s", "s", "t"], "word": [0, 1, 0], "token": ["Ada", "L.", "x"], "gold": ["B-p", "I-p", "O"]}
    gold = write("gold.parquet", columns)
    predictions = write("pred.parquet", {"id": ["t", "s", "s"], "word": [0, 1, 0], "predicted": ["O", "I-p", "B-p"]})
    assert read_pair(gold, predictions, Columns()).table["predicted"].to_pylist() == ["B-p", "I-p", "O"]


def test_lists_of_tags_are_words_and_other_lists_label_sets(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("tags.parquet", {"gold": [["B-p", "I-p"], ["O"]], "predicted": [["B-p", "I-p"], ["B-p"]]})
    assert "errors" in json.loads(run(monkeypatch, capsys, "tags.parquet", "--json", "--resamples", "0"))
    write("sets.parquet", {"gold": [["p", "q"], []], "predicted": [["p", "q"], ["p"]]})
    assert json.loads(run(monkeypatch, capsys, "sets.parquet", "--json", "--resamples", "0"))["accuracy"] == 0.5


def test_numbers_are_scored_as_numbers(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("numbers.parquet", {"gold": [0.0, 1.0, 2.0], "predicted": [0.5, 1.0, 1.5]})
    found = run(monkeypatch, capsys, "numbers.parquet", "--resamples", "50")
    assert [line.split()[:2] for line in found.splitlines()][2:4] == [["pearson", "1.0000"], ["spearman", "1.0000"]]


# What is odd

FAULTS = [
    (("gold.conll", "other.txt"), "other.txt, line 5: has the word 'Rome' where gold.conll, line 5 has '#Paris'"),
    (("gold.conll", "short.txt"), "short.txt: ends before line 5 of gold.conll"),
    (("gold.conll", "none.txt"), "none.txt: there is no such file"),
    (("pred.txt",), "the same column of 2"),
    (("gold.conll", "a.parquet"), "a.parquet: has 2 rows where gold.conll has 7"),
    (("a.parquet", "b.parquet"), "b.parquet: has no prediction of a.parquet, row 2 (y)"),
    (("a.parquet", "twice.parquet"), "twice.parquet: id occur twice"),
    (("a.parquet", "more.parquet"), "more.parquet: has 3 rows where a.parquet has 2"),
    (("a.parquet", "ids.parquet"), "ids.parquet: has none of the columns predicted, prediction"),
    (("torn.parquet", "a.parquet"), "torn.parquet: is not a complete Parquet file"),
]


@pytest.mark.parametrize(("files", "message"), FAULTS)
def test_files_that_do_not_fit_are_told_in_one_line(files: tuple[str, ...], message: str, here: Path) -> None:
    Path("other.txt").write_text(Path("pred.txt").read_text().replace("#Paris", "Rome"))
    Path("short.txt").write_text(Path("pred.txt").read_text().split("\n\n")[0])
    write("a.parquet", {"id": ["x", "y"], "label": ["1", "2"]})
    write("b.parquet", {"id": ["x", "z"], "label": ["1", "2"]})
    write("twice.parquet", {"id": ["x", "x"], "label": ["1", "2"]})
    write("more.parquet", {"id": ["x", "y", "z"], "label": ["1", "2", "1"]})
    write("ids.parquet", {"id": ["x", "y"]})
    Path("torn.parquet").write_bytes(Path("a.parquet").read_bytes()[:50])
    gold, *predictions = map(Path, files)
    with pytest.raises(DataError) as error:
        read_pair(gold, predictions[0] if predictions else None, Columns())
    assert message in told(error)


def test_the_command_ends_with_one_line_and_status_one(here: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stages.scoring.score", str(here / "gold.conll"), str(here / "none.txt")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ") and not done.stdout


@pytest.mark.parametrize("text", ["1", "a,b", "0,1,2"])
def test_columns_that_are_no_places_are_told(text: str, here: Path) -> None:
    columns = columns_of(argparse.Namespace(columns=text, predicted_columns=None))
    with pytest.raises(ConfigError) as error:
        read_pair(Path("gold.conll"), Path("pred.txt"), columns)
    assert "give WORD,TAG as 2 positions" in told(error)


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_reader_that_goes_away_is_no_error(form: tuple[str, ...], here: Path) -> None:
    command = [sys.executable, "-m", "stages.scoring.score", "both.txt", *form]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(command, cwd=here, env=environment, stdout=writes, stderr=subprocess.PIPE, check=False)
    os.close(writes)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_another_broken_pipe_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BrokenPipeError), one_line_errors():
        raise BrokenPipeError


# Files of other systems


def test_what_was_scored_is_counted(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, capsys, "both.txt").endswith("\n3 sentences, 7 words\n")
    found = json.loads(run(monkeypatch, capsys, "both.txt", "--json", "--resamples", "0"))
    assert (found["rows"], found["sentences"], found["different_words"]) == (7, 3, 0)
    Path("one.jsonl").write_text('{"gold": "x", "predicted": "y"}\n')
    assert run(monkeypatch, capsys, "one.jsonl", "--resamples", "0").endswith("\n1 example\n")
    found = json.loads(run(monkeypatch, capsys, "one.jsonl", "--json", "--resamples", "0"))
    assert found["accuracy"] == 0 and found["sentences"] is None and set(found["per_label"]) == {"x", "y"}


def test_ignored_words_are_counted(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("lower.txt").write_text(Path("pred.txt").read_text().replace("Ada", "ada"))
    with pytest.raises(SystemExit):
        run(monkeypatch, capsys, "gold.conll", "lower.txt")
    assert "lower.txt, line 1: has the word 'ada' where gold.conll, line 1 has 'Ada'" in capsys.readouterr().err
    shown = run(monkeypatch, capsys, "gold.conll", "lower.txt", "--ignore-words", "--resamples", "0")
    assert shown.endswith("3 sentences, 7 words\n1 word differs from gold (--ignore-words)\n")
    alike = run(monkeypatch, capsys, "gold.conll", "pred.txt", "--resamples", "0")
    assert shown.splitlines()[:-1] == alike.splitlines()


def test_what_is_written_is_scored_alike(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = run(monkeypatch, capsys, "gold.conll", "pred.txt", "--out", "out.parquet", "--resamples", "50")
    assert run(monkeypatch, capsys, "out.parquet", "--resamples", "50") == shown
    table = pq.read_table("out.parquet")
    assert table.column_names == ["id", "word", "token", "gold", "predicted"]
    assert table["id"].to_pylist() == ["1", "1", "1", "2", "2", "2", "3"]
    assert table["predicted"].to_pylist() == TAGS


def test_the_column_of_the_predictions_is_chosen(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ("both.txt", "both.txt", "--columns", "0,2", "--predicted-columns", "0,2", "--json", "--resamples", "0")
    assert json.loads(run(monkeypatch, capsys, *chosen))["f1"] == 1
