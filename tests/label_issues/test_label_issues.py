"""`stagewright label-issues` as a user runs it: on the predictions of every task, and where there is nothing to rank."""

import csv
import hashlib
import io
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict, load_from_disk

from stages.label_issues.__main__ import main
from stages.label_issues.seen_inputs import note_on_seen, note_on_seen_in_folds
from stages.label_issues.shown import COLUMNS, terminal_lines, write_table
from stages.pipeline.escaping import width
from stages.pipeline.paths import RAW_DATA
from stages.reporting.content import Report, RunContent
from stages.reporting.label_issues import BUDGET, MOST_EXAMPLES
from stages.reporting.page import render_report
from stages.scoring.core.predicted import ScoringRules
from stages.scoring.evaluation.predictions_file import Description, described, probability_structs, read_predictions
from stages.scoring.label_errors.issue_table import IssueTable, Source, issue_table
from tests.support.saved_splits import save_splits

pytestmark = [pytest.mark.usefixtures("one_thread")]

LABELLED = ("text", "pairs", "multilabel", "tokens")
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"' <!-- \u202egnp.exe \x1b[31m =1+1"


def called(root: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", ["label_issues", *arguments])
    main()


def refused(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that the command ends with."""
    with pytest.raises(SystemExit) as ended:
        called(root, monkeypatch, *arguments)
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 1 and line.startswith("error: ")
    return line


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def inputs_of(root: Path) -> dict[str, Any]:
    """The raw rows of test and validation, by their ids."""
    return {
        row["id"]: row for split in ("test", "validation") for row in load_from_disk(str(root / "data/raw" / split))
    }


@pytest.fixture(scope="module")
def runs(exported_runs: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """By the task, a folder with what the command reads of a run."""

    @cache
    def run_of(task: str) -> Path:
        root = tmp_path_factory.mktemp(task) / "run"
        for name in ("data/raw", "data/predictions"):
            shutil.copytree(exported_runs[task] / name, root / name)
        (root / "params.yaml").write_text("seed: 1\n")
        return root

    return run_of


@pytest.fixture
def run(runs: Callable[[str], Path], tmp_path: Path) -> Path:
    """One of texts, to damage."""
    return Path(shutil.copytree(runs("text"), tmp_path / "run"))


@pytest.mark.parametrize("task", LABELLED)
def test_the_labels_of_test_and_validation_are_ranked(
    task: str,
    runs: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, jsonl, table = runs(task), tmp_path / "found.jsonl", tmp_path / "found.csv"
    capsys.readouterr()  # what the training has printed
    called(root, monkeypatch, "--out", str(jsonl), "--out", str(table), "--top", "7")
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if width(line) > COLUMNS and str(tmp_path) not in line] == []
    assert "gold labels in test and validation wrong" in " ".join(printed.split())
    assert "Validation chose the checkpoint" in " ".join(printed.split())
    rows, inputs = lines_of(jsonl), inputs_of(root)
    assert [row["rank"] for row in rows] == [*range(1, 8)]
    keys = [(not row["is_error"], row["margin"]) for row in rows]
    assert keys == sorted(keys)
    for row in rows:
        raw = inputs[row["id"]]
        assert row["id"] in printed and row["id"].startswith(row["split"])
        assert row["given"] != row["suggested"] or row["kind"] == "wrong span"
        assert row["margin"] == pytest.approx(row["given_probability"] - row["suggested_probability"], abs=2e-6)
        assert row["tokens"] == raw["tokens"] if task == "tokens" else row["text"] == raw["text"]
        assert row.get("text_pair") == raw.get("text_pair")
    cells = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))))
    assert [(cell["rank"], cell["id"], cell["kind"]) for cell in cells] == [
        (str(row["rank"]), row["id"], row["kind"]) for row in rows
    ]


def test_all_labels_are_written_unless_fewer_are_asked_for(
    runs: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called(runs("text"), monkeypatch, "--out", str(tmp_path / "all.jsonl"))
    files = [pq.read_table(runs("text") / f"data/predictions/{split}.parquet") for split in ("test", "validation")]
    contradicted = sum((table["gold"].to_numpy() != table["predicted"].to_numpy()).sum() for table in files)
    assert len(lines_of(tmp_path / "all.jsonl")) == contradicted > 0


# --- what a reader sees ---------------------------------------------------------------------------------------------


def hostile_table(text: str = HOSTILE, rows: int = 4) -> IssueTable:
    """Every label is contradicted, and whatever can hold anything does."""
    names = [f"{HOSTILE} a", f"{HOSTILE} b"]
    columns = {
        "id": [f"{HOSTILE} {row}" for row in range(rows)],
        "gold": [names[0]] * rows,
        "predicted": [names[1]] * rows,
        "probabilities": probability_structs(
            pa.array([[0.25, 0.75]] * rows).flatten().to_numpy().reshape(rows, 2), names
        ),
    }
    file = read_predictions(described(pa.table(columns), Description("text", "label", names)))
    return issue_table([Source("test", file, [(text, HOSTILE)] * rows)], ScoringRules())


def test_nothing_in_the_data_breaks_out_of_page_terminal_or_table(tmp_path: Path) -> None:
    table = hostile_table()
    page = render_report(Report("t", (RunContent("this run"),), label_issues=table))
    assert 'id="label-issues"' in page and page == render_report(
        Report("t", (RunContent("this run"),), label_issues=table)
    )
    for breaking in ("<img", "<script>alert", "\u202e", "\x1b"):
        assert breaking not in page
    assert "&lt;img src=x" in page and "is suggested" in page
    shown = list(terminal_lines(list(table.by_example())))
    assert all(line.isprintable() and width(line) <= COLUMNS for line in shown)
    write_table(tmp_path / "t.csv", table.issues)
    for cell in chain.from_iterable(csv.reader(io.StringIO((tmp_path / "t.csv").read_text(encoding="utf-8")))):
        assert not cell.startswith(("=", "+", "@"))
    write_table(tmp_path / "t.jsonl", table.issues)
    assert lines_of(tmp_path / "t.jsonl")[0]["text"] == HOSTILE  # as it is, for other programs


def test_the_page_has_room_for_the_first_of_them_alone() -> None:
    bare = len(render_report(Report("t", (RunContent("this run"),))))
    many = render_report(Report("t", (RunContent("this run"),), label_issues=hostile_table("short", rows=500)))
    assert f"Shown: {MOST_EXAMPLES} of 500 examples" in many and "stagewright label-issues --out FILE" in many
    huge = render_report(Report("t", (RunContent("this run"),), label_issues=hostile_table("&" * 10_000, rows=500)))
    assert len(huge) - bare < BUDGET + 2_000


def test_the_words_of_a_sentence_are_marked_where_they_are_in_doubt() -> None:
    names = ["O", "B-PER", "I-PER"]
    columns = {
        "id": ["test-0"] * 4,
        "word": pa.array(range(4), pa.int32()),
        "token": ["by", "Ada", "<i>", "today"],
        "gold": ["O", "B-PER", "O", "O"],
        "predicted": ["O", "B-PER", "I-PER", "O"],
        "probabilities": probability_structs(
            pa.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.2, 0.1, 0.7], [1.0, 0.0, 0.0]]).flatten().to_numpy().reshape(4, 3),
            names,
        ),
    }  # fmt: skip
    file = read_predictions(described(pa.table(columns), Description("tokens", "label", names)))
    table = issue_table([Source("test", file, [])], ScoringRules())
    (issue,) = table.issues
    assert (issue.given, issue.suggested, issue.text) == ("PER: Ada", "PER: Ada <i>", "by [Ada <i>] today")
    page = render_report(Report("t", (RunContent("this run"),), label_issues=table))
    assert "by <mark>Ada</mark> <mark>&lt;i&gt;</mark> today" in page
    assert "wrong span: <b>PER: Ada</b> (0.200) is given, <b>PER: Ada &lt;i&gt;</b> (0.700) is suggested" in page


# --- what can't be ranked -------------------------------------------------------------------------------------------


def test_numbers_have_no_wrong_labels(
    runs: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(runs("regression"), monkeypatch, capsys)
    assert "data/predictions/test.parquet: holds numbers" in line


def test_predictions_of_an_older_evaluate_are_told(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = run / "data/predictions/validation.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["probabilities"]), file)
    line = refused(run, monkeypatch, capsys)
    assert "validation.parquet: has no probability of every label" in line and "--force evaluate" in line
    file.unlink()
    called(run, monkeypatch)
    printed = capsys.readouterr().out
    assert "gold labels in test wrong" in " ".join(printed.split()) and "Validation" not in printed


def source_of(split: str, inputs: list[tuple[str, ...]], *, words: bool) -> Source:
    """Examples with these texts, or these words."""
    if not words:
        ids = [f"{split}-{row}" for row in range(len(inputs))]
        columns = {"id": ids, "gold": ["x"] * len(ids), "predicted": ["x"] * len(ids)}
        return Source(split, read_predictions(pa.table(columns), split), inputs)
    rows = [(f"{split}-{row}", place, word) for row, each in enumerate(inputs) for place, word in enumerate(each)]
    ids, places, tokens = (list(column) for column in zip(*rows, strict=True))
    tags = {"gold": ["O"] * len(ids), "predicted": ["O"] * len(ids)}
    return Source(split, read_predictions(pa.table({"id": ids, "word": places, "token": tokens, **tags}), split), [])


@pytest.mark.parametrize("words", [False, True])
def test_examples_that_their_model_has_seen_are_counted(
    words: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups are kept together, and equal inputs in two of them are not."""
    monkeypatch.chdir(tmp_path)
    one, two = [("a", "b"), ("c", "d"), ("c", "d"), ("a b", "")], [("c", "d"), ("e", "f")]
    parts = [source_of("one", one, words=words), source_of("two", two, words=words)]
    note = note_on_seen_in_folds(parts)
    assert note is not None and note.startswith("3 of these examples repeat") and "data.deduplicate=within" in note
    assert note_on_seen_in_folds([parts[0], source_of("other", [("g", "h")], words=words)]) is None
    assert note_on_seen(parts) is None  # train is not at hand
    columns = {"tokens": list(map(list, two))} if words else {"text": ["c", "e"], "text_pair": ["d", "f"]}
    save_splits(DatasetDict({"train": Dataset.from_dict({"id": ["1", "2"], **columns})}), RAW_DATA)
    note = note_on_seen(parts)
    assert note is not None and note.startswith("4 of these examples repeat") and "data.deduplicate=across" in note


def test_repeated_inputs_are_told(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    called(run, monkeypatch)
    assert "note:" not in capsys.readouterr().out
    splits = {name: load_from_disk(str(run / "data/raw" / name)) for name in ("train", "validation", "test")}
    shutil.rmtree(run / "data/raw")
    save_splits(DatasetDict({**splits, "train": splits["test"].select([0, 1])}), run / "data/raw")
    called(run, monkeypatch)
    assert "note: 2 of these examples repeat an input that their model was trained on" in " ".join(
        capsys.readouterr().out.split()
    )


def test_stale_predictions_are_refused(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `dvc exp run train` leaves them."""
    content = (run / "data/predictions/test.parquet").read_bytes()
    out = {"path": "data/predictions/test.parquet", "hash": "md5", "size": 1}
    model = {"path": "models/trained", "hash": "md5", "size": 1}
    stages = {
        "train": {"cmd": "none", "outs": [{**model, "md5": "1" * 32}]},
        "evaluate": {
            "cmd": "none",
            "deps": [{**model, "md5": "2" * 32}],
            "outs": [{**out, "md5": hashlib.md5(content, usedforsecurity=False).hexdigest()}],
        },
    }
    (run / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": stages}) + "\n")
    line = refused(run, monkeypatch, capsys)
    assert "is stale: evaluate read another models/trained than train wrote; run `dvc repro evaluate`" in line


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("rm data/predictions/test.parquet", "data/predictions/test.parquet: is missing"),
        ("no gold", "no gold label is known"),
        ("other ids", "is not in data/raw"),
    ],
)
def test_what_is_missing_is_told_in_one_line(
    damage: str, message: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("test", "validation"):
        file = run / f"data/predictions/{split}.parquet"
        table = pq.read_table(file)
        if damage.startswith("rm"):
            file.unlink()
        elif damage == "no gold":
            pq.write_table(
                table.set_column(table.column_names.index("gold"), "gold", pa.nulls(table.num_rows, pa.string())), file
            )
        else:
            pq.write_table(
                table.set_column(0, "id", pa.array([f"elsewhere-{row}" for row in range(table.num_rows)])), file
            )
    assert message in refused(run, monkeypatch, capsys)


def test_a_file_of_no_format_is_refused_before_anything_is_computed(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--out found.xlsx: is of no format" in refused(run, monkeypatch, capsys, "--out", "found.xlsx")


def test_settings_without_folds_are_refused(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They would change nothing: the predictions at hand are what they are."""
    assert "as in --folds 5" in refused(run, monkeypatch, capsys, "-S", "seed=7")
    with pytest.raises(SystemExit):
        called(run, monkeypatch, "--folds", "1")
    assert "1 is not a whole number of at least 2" in capsys.readouterr().err
