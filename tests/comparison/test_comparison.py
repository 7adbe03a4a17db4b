"""Comparing runs, from a repository's revisions and experiments to exit statuses."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict

from stages.comparison import compare as command
from stages.comparison import comparing, pull_request
from stages.comparison.html import as_html
from stages.comparison.loaded_runs import load_run
from stages.comparison.results import EnvironmentDifference, StageSeconds
from stages.comparison.run_differences import environment_differences, recorded_environment, stage_seconds
from stages.comparison.significance import holm
from stages.pipeline.environment import Compute, Cpu, Environment, Gpu
from stages.pipeline.paths import PREDICTIONS, RAW_DATA
from stages.pipeline.stage_records import StageRun
from tests.support.compared_runs import Runs
from tests.support.imports import ROOT
from tests.support.saved_splits import save_splits


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """One committed run; experiments `better`, `worse`, two more seeds of each the committed one and `better`, and two that
    can't be compared with it: one that was trained and not evaluated, and one of another task.
    """
    runs = Runs(tmp_path_factory.mktemp("runs") / "repository")
    runs.experiment("better", right=0.9)
    runs.experiment("worse", right=0.5)
    runs.experiment("better-2", right=0.9, seed=2)
    runs.experiment("base-2", seed=2)
    runs.experiment("only-train", "train", right=0.95)
    runs.experiment("numbers", numbers=True)
    return runs


@pytest.fixture
def runs(repository: Runs, monkeypatch: pytest.MonkeyPatch) -> Runs:
    monkeypatch.chdir(repository.root)
    return repository


class Command:
    """A module's command line, run in this process."""

    def __init__(self, module: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.module, self.monkeypatch, self.capsys = module, monkeypatch, capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """The exit status, and what is on standard output and standard error."""
        self.monkeypatch.setattr(sys, "argv", ["compare", *arguments])
        status = 0
        try:
            self.module.main()
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        return status, *self.capsys.readouterr()


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(command, monkeypatch, capsys)


@pytest.fixture
def comment(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(pull_request, monkeypatch, capsys)


def as_json(compare: Command, *arguments: str) -> Any:
    status, out, err = compare(*arguments, "--json", "-", "--resamples", "500")
    assert status == 0, err

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(out, parse_constant=refuse)


def test_workspace_revision_and_experiments_are_compared_without_a_checkout(runs: Runs, compare: Command) -> None:
    before = runs.state()
    found = as_json(compare, "workspace", "better", "worse")
    verdicts = {pair["other"]: pair["differences"][0]["verdict"] for pair in found["pairs"]}
    assert verdicts == {"better": "better", "worse": "worse"}
    assert found["pairs"][0]["params"] == [{"key": "train.right", "base": 0.7, "other": 0.9}]
    assert found["runs"][0]["metrics"]["evaluate.accuracy"] == runs.metrics()["accuracy"]
    assert found["runs"][1]["curves"]["validation/f1"]["epochs"] == [1.0, 2.0]
    assert runs.state() == before


def test_a_run_is_found_under_its_hash_and_as_a_file(runs: Runs, compare: Command) -> None:
    sha = runs.ok("git", "rev-parse", "HEAD").strip()
    better = next(line for line in runs.ok("dvc", "exp", "ls", "--sha-only").split() if line != sha and len(line) == 40)
    found = as_json(compare, sha, better, "data/predictions/test.parquet", "--each-seed")
    assert found["pairs"][1]["differences"][0]["difference"] == 0
    assert found["pairs"][1]["changed"] == []


def test_changed_examples_are_those_that_one_run_alone_has_right(runs: Runs, compare: Command) -> None:
    pair = as_json(compare, "workspace", "better")["pairs"][0]
    changed = {(each["id"], each["change"]) for each in pair["changed"]}
    tables = [pq.read_table(pa.BufferReader(predictions_of(runs, name))) for name in ("workspace", "better")]
    right = [[a == b for a, b in zip(t["gold"].to_pylist(), t["predicted"].to_pylist(), strict=True)] for t in tables]
    fixed = {(f"test-{row}", "fixed") for row in range(300) if right[1][row] and not right[0][row]}
    broken = {(f"test-{row}", "broken") for row in range(300) if right[0][row] and not right[1][row]}
    assert changed == fixed | broken and fixed and broken


def predictions_of(runs: Runs, name: str) -> bytes:
    if name == "workspace":
        return (runs.root / "data/predictions/test.parquet").read_bytes()
    out = runs.root / ".dvc/tmp/got.parquet"
    out.unlink(missing_ok=True)
    sha = {line.split("\t")[0]: line for line in runs.ok("git", "for-each-ref", "--format=%(refname)").split()}
    ref = next(each for each in sha if each.endswith(f"/{name}"))
    runs.ok("dvc", "get", ".", "data/predictions/test.parquet", "--rev", ref, "--out", str(out))
    return out.read_bytes()


def test_experiments_takes_all_and_groups_seeds(runs: Runs, compare: Command) -> None:
    found = as_json(compare, "workspace", "--experiments")
    assert [(run["name"], sorted(run["seeds"])) for run in found["runs"]] == [
        ("workspace + 1 seed", [1, 2]),
        ("better + 1 seed", [1, 2]),
        ("worse", [1]),
    ]
    assert found["notes"][-2:] == [
        "left out: numbers: its kind of task differs from that of workspace; compare runs of one task",
        f"left out: {STALE}",
    ]
    score = found["runs"][1]["scores"][0]
    alone = as_json(compare, "better", "better-2", "--each-seed")["pairs"][0]["differences"][0]
    assert score["value"] == pytest.approx((alone["base"] + alone["other"]) / 2)
    assert score["deviation"] == pytest.approx(abs(alone["base"] - alone["other"]) / 2**0.5)


STALE = (
    "predictions of only-train are stale: evaluate read another models/trained than train wrote; run `dvc repro evaluate` "
    "there (`dvc exp apply` or `git checkout` first)"
)


def test_predictions_of_another_model_than_the_runs_own_give_no_verdict(runs: Runs, compare: Command) -> None:
    for arguments in (["workspace", "only-train"], ["only-train", "workspace"], ["only-train", "--experiments"]):
        assert compare(*arguments) == (1, "", f"error: {STALE}\n")


def test_where_no_experiment_can_be_compared_it_is_an_error_and_the_notes_say_why(
    runs: Runs, compare: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "experiments", lambda: ["only-train", "numbers"])
    status, out, err = compare("workspace", "--experiments", "--resamples", "500")
    assert status == 1
    assert out.startswith("note: left out: predictions of only-train are stale") and "note: left out: numbers" in out
    assert err == "error: none of these runs can be compared with workspace; the notes say why\n"


def test_a_parameter_committed_without_a_run_is_told_until_the_run(
    runs: Runs, compare: Command, comment: Command
) -> None:
    try:
        runs.ok("dvc", "exp", "run", "--quiet", "--name", "of-the-test", "-S", "train.right=0.8", "train")
        Path("params.yaml").write_text(Path("params.yaml").read_text().replace("0.8", "0.75"))
        told = (
            "train was run with another train.right than params.yaml says; evaluate read another models/trained than train "
            "wrote; run `dvc repro evaluate`"
        )
        assert compare("workspace", "better") == (1, "", f"error: predictions of workspace are stale: {told}\n")
        status, out, err = comment("HEAD", "--fail-on-worse", "headline")
        assert (status, err) == (1, f"error: predictions of this change are stale: {told}\n")
        assert out.startswith(pull_request.MARK) and "no evidence: `` predictions of this change are stale" in out
        runs.ok("dvc", "repro", "--quiet")
        assert compare("workspace", "better", "--resamples", "500")[0] == 0
        Path("params.yaml").write_text(Path("params.yaml").read_text().replace("0.75", "0.65"))
        for stage in ("train.py", "write.py"):  # by hand: what dvc.lock says is not of these predictions
            runs.ok("python", stage)
        assert compare("workspace", "better", "--resamples", "500")[0] == 0
    finally:
        runs.restore()
        runs.ok("dvc", "exp", "remove", "--quiet", "of-the-test")


def test_verdicts_are_corrected_for_the_number_of_runs(runs: Runs, compare: Command) -> None:
    pairs = as_json(compare, "workspace", "better", "worse")["pairs"]
    p, corrected = ([pair["differences"][0][key] for pair in pairs] for key in ("p", "p_holm"))
    assert corrected == pytest.approx(holm(p)) and sum(corrected) > sum(p)


def test_runs_that_differ_in_seed_alone_can_still_be_compared(runs: Runs, compare: Command) -> None:
    found = as_json(compare, "better", "better-2")
    assert [pair["other"] for pair in found["pairs"]] == ["better-2"]


def test_repeats_give_the_same_bytes(runs: Runs, compare: Command) -> None:
    assert compare("workspace", "better", "--resamples", "500") == compare("workspace", "better", "--resamples", "500")


@pytest.mark.parametrize(
    ("gates", "status", "words"),
    [
        (["accuracy"], 1, "worse: accuracy is worse by"),
        (["accuracy:0.05"], 1, "more than 0.05 fails"),
        (["accuracy:0.9"], 0, ""),
        (["headline:0.05"], 1, "worse by"),
        (["bleu"], 1, "--fail-on-worse bleu"),
        (["f1:0.9", "accuracy"], 1, "accuracy is worse"),
    ],
)
def test_gates_fail_on_what_is_worse_beyond_the_tolerance(
    runs: Runs, compare: Command, gates: list[str], status: int, words: str
) -> None:
    options = [part for gate in gates for part in ("--fail-on-worse", gate)]
    found, out, err = compare("workspace", "worse", "--resamples", "500", *options)
    assert found == status
    assert words in err
    assert "no evidence" in out or "is worse" in out  # told before it fails


def test_a_commit_that_a_shallow_clone_lacks_is_told(runs: Runs, tmp_path: Path) -> None:
    runs.ok("git", "clone", "--quiet", "--depth=1", f"file://{runs.root}", str(tmp_path / "clone"))
    done = subprocess.run(
        [sys.executable, "-m", "stages.comparison.compare", "HEAD", "HEAD~1"],
        cwd=tmp_path / "clone", env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        1,
        "error: HEAD~1: is not a git revision, a DVC experiment or a predictions file; this clone is shallow: fetch the rest "
        "with `git fetch --unshallow`\n",
    )


def test_a_gate_lets_pass_what_may_be_chance(runs: Runs, compare: Command) -> None:
    assert compare("better", "better-2", "--resamples", "500", "--fail-on-worse", "accuracy")[0] == 0
    assert compare("better-2", "better", "--resamples", "500", "--fail-on-worse", "accuracy")[0] == 0


def test_outputs_go_where_they_are_asked_to(runs: Runs, compare: Command, tmp_path: Path) -> None:
    places = [word for kind in ("markdown", "json", "html") for word in (f"--{kind}", str(tmp_path / f"shown.{kind}"))]
    _, out, _ = compare("workspace", "better", "--resamples", "500", *places)
    assert out.startswith("workspace → better")
    assert "| accuracy |" in (tmp_path / "shown.markdown").read_text()
    page = (tmp_path / "shown.html").read_text()
    assert "better compared with workspace" in page and "▲ better" in page
    assert "stagewright compare workspace better --resamples 500 --html comparison.html" in page
    assert json.loads((tmp_path / "shown.json").read_text())["examples"] == 300


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["workspace"], "nothing to compare workspace with"),
        (["workspace", "nowhere"], "nowhere: is not a git revision, a DVC experiment or a predictions file"),
        (["workspace", ""], "a run has no name"),
        (["workspace", "missing.parquet"], "missing.parquet: is not there"),
        (["workspace", "write.parquet"], "is not a complete Parquet file"),
        (["workspace", "better", "better"], "better: named twice"),
        (["workspace", "better", "--metric", "bleu"], "choose another with --metric from accuracy, precision"),
        (["workspace", "better", "--json", "-", "--markdown", "-"], "both write to standard output"),
        (["workspace", "columns.parquet"], "have no column 'gold'"),
        (["workspace", "fewer.parquet"], "has different examples from that of workspace (299 and 300)"),
        (["workspace", "gold.parquet"], "example test-7 has a different gold label"),
        (["workspace", "unlabelled.parquet"], "gold of its test split is not known"),
        (["workspace", "numbers.parquet"], "its kind of task differs"),
    ],
)
def test_what_can_not_be_compared_is_told_in_one_line(
    runs: Runs, compare: Command, arguments: list[str], words: str
) -> None:
    write_odd_files(runs.root)
    status, out, err = compare(*arguments)
    assert (status, out) == (1, "")
    assert err.startswith("error: ") and err.count("\n") == 1 and words in err


@pytest.mark.parametrize("content", ["seed: [", "seed: 2024-13-01"])
def test_parameters_that_are_no_yaml_are_told_in_one_line(content: str, runs: Runs, compare: Command) -> None:
    try:
        Path("params.yaml").write_text(f"{content}\n")
        assert compare("workspace", "better") == (
            1,
            "",
            "error: workspace: params.yaml is not valid YAML; correct it or run `git checkout params.yaml`\n",
        )
    finally:
        runs.restore()


def write_odd_files(root: Path) -> None:
    table = pq.read_table(root / "data/predictions/test.parquet")
    gold = table["gold"].to_pylist()
    (root / "write.parquet").write_bytes(b"PAR1 and no more")
    odd = {
        "columns": table.drop_columns(["gold"]),
        "fewer": table.slice(1),
        "gold": with_gold(table, pa.array([*gold[:7], "x", *gold[8:]])),
        "unlabelled": with_gold(table, pa.array([None, *gold[1:]])),
        "numbers": pa.table({"id": table["id"], "gold": [1.0] * 300, "predicted": [1.0] * 300}),
    }
    for name, content in odd.items():
        pq.write_table(content, root / f"{name}.parquet")


def with_gold(table: pa.Table, gold: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index("gold"), "gold", gold)


def test_without_a_repository_files_are_compared_and_revisions_refused(
    runs: Runs, compare: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        shutil.copy(runs.root / "data/predictions/test.parquet", tmp_path / f"{name}.parquet")
    monkeypatch.chdir(tmp_path)
    assert as_json(compare, "a.parquet", "b.parquet")["examples"] == 300
    for arguments in (["HEAD", "a.parquet"], ["workspace", "a.parquet"], ["a.parquet", "--experiments"]):
        status, out, err = compare(*arguments)
        assert (status, out) == (1, "")
        assert err.startswith("error: ") and err.count("\n") == 1


def test_types_of_other_tools_are_the_same_labels(runs: Runs, compare: Command) -> None:
    table = pq.read_table("data/predictions/test.parquet")
    large, coded = pa.large_string(), pa.dictionary(pa.int32(), pa.string())
    columns = {
        "id": table["id"].cast(large),
        "gold": table["gold"].cast(large),
        "predicted": table["predicted"].cast(coded),
    }
    pq.write_table(pa.table(columns), "types.parquet")
    assert as_json(compare, "workspace", "types.parquet")["pairs"][0]["changed"] == []


def test_predictions_come_from_a_remote_where_the_cache_lacks_them(
    runs: Runs, compare: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(runs.root, clone)
    monkeypatch.chdir(clone)
    _dvc("remote", "add", "--quiet", "--default", "there", str(tmp_path / "remote"))
    _dvc("push", "--quiet")
    shutil.rmtree(clone / ".dvc/cache")
    assert as_json(compare, "HEAD", "data/predictions/test.parquet")["pairs"][0]["changed"] == []


def test_one_run_under_two_names_is_left_out_and_told(runs: Runs, compare: Command) -> None:
    found = as_json(compare, "workspace", "HEAD", "better")
    assert [pair["other"] for pair in found["pairs"]] == ["better"]
    assert found["notes"] == ["HEAD is left out: it has the same predictions as a run that is already listed."]


def test_rows_in_another_order_are_the_same_run(runs: Runs, compare: Command) -> None:
    table = pq.read_table("data/predictions/test.parquet")
    pq.write_table(table.take(pa.array(range(299, -1, -1))), "reversed.parquet")
    found = as_json(compare, "workspace", "reversed.parquet")["pairs"][0]
    assert [each["difference"] for each in found["differences"]] == [0.0] * 4
    assert found["changed"] == []


def test_metrics_that_are_not_the_predictions_are_told(runs: Runs, compare: Command) -> None:
    metrics = runs.root / "metrics/evaluate.json"
    metrics.write_text('{"accuracy": 0.123}')
    try:
        notes = as_json(compare, "workspace", "better")["notes"]
        assert notes[0].startswith("workspace: metrics/evaluate.json is not the one that dvc.lock records")
        assert "metrics/evaluate.json has accuracy 0.1230, and its predictions give" in notes[1]
        assert all("better" not in note for note in notes)
        (runs.root / PREDICTIONS).unlink()  # then metrics alone are compared
        shown = comparing.compare([load_run("workspace"), load_run("better")], lenient=True)
        assert shown.notes == [notes[0]]
    finally:
        runs.restore()


def test_code_that_changed_since_the_run_is_told(runs: Runs, compare: Command, comment: Command) -> None:
    """As in a pull request that changes code and commits no run of it: the same predictions say nothing about it."""
    code = runs.root / "write.py"
    try:
        code.write_text(code.read_text() + "# other code\n")
        told_of = (
            "write.py changed since these predictions were made, so they say nothing about this change; run `dvc repro`"
        )
        (note,) = as_json(compare, "HEAD", "workspace")["notes"]
        assert note.startswith(f"workspace: {told_of}")
        assert told_of in comment("HEAD")[1]
    finally:
        runs.restore()
    assert as_json(compare, "HEAD", "better")["notes"] == []


def test_texts_come_from_the_raw_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = {"id": ["test-0", "test-1"], "text": ["a b c", "d"], "text_pair": ["e f", None]}
    save_splits(DatasetDict({"test": Dataset.from_dict(rows)}), RAW_DATA)
    for name, predicted in (("base", ["x", "y"]), ("workspace", ["y", "y"])):
        path = PREDICTIONS if name == "workspace" else Path(f"{name}.parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"id": rows["id"], "gold": ["y", "y"], "predicted": predicted}), path)
    (pair,) = comparing.compare([load_run("base.parquet"), load_run("workspace")], resamples=200).pairs
    assert [(each.id, each.change, each.text, each.text_pair) for each in pair.changed] == [
        ("test-0", "fixed", "a b c", "e f")
    ]
    assert [(each.slice, each.base, each.other) for each in pair.slices] == [("1 word", 1, 1), ("5 words", 0, 1)]
    runs = [load_run("base.parquet"), load_run("workspace")]
    examples = examples_in(as_html(comparing.compare(runs, resamples=200), runs))
    assert "a b c" in examples and "e f" not in examples  # a pair is shown as one only if all texts are pairs


def test_other_texts_under_the_same_ids_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of two test files that are sorted by label have the same ids and gold."""
    monkeypatch.chdir(tmp_path)
    ids, gold = [f"test-{place}" for place in range(4)], ["x", "x", "y", "y"]
    save_splits(DatasetDict({"test": Dataset.from_dict({"id": ids, "text": ["a", "b", "c", "d"]})}), RAW_DATA)
    PREDICTIONS.parent.mkdir(parents=True)
    columns = {"id": ids, "gold": gold, "predicted": gold}
    pq.write_table(pa.table(columns), PREDICTIONS)
    pq.write_table(pa.table(columns), "textless.parquet")
    pq.write_table(pa.table({**columns, "text": ["a", "b", "c", "d"]}), "same.parquet")
    others = pa.table({**columns, "text": ["a", "B", "c", "D"]})
    pq.write_table(others.take(pa.array([3, 2, 1, 0])), "others.parquet")
    names = ["textless.parquet", "workspace", "same.parquet", "others.parquet"]
    found = comparing.compare([load_run(name) for name in names], resamples=200)
    assert found.notes == [
        "others.parquet: 2 of 4 examples have another text than in workspace, test-1 the first: they are taken for the "
        "same examples, because their ids and gold are the same."
    ]


def test_other_words_under_the_same_ids_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    columns = {"id": ["s", "s", "t"], "word": [0, 1, 0], "gold": ["B-X", "O", "O"], "predicted": ["O", "O", "O"]}
    for name, words in (("a", ["Ada", "wrote", "."]), ("b", ["Ada", "wrote", "!"]), ("c", ["Ada", "wrote", "."])):
        pq.write_table(pa.table({**columns, "token": words}), f"{name}.parquet")
    found = comparing.compare([load_run(f"{name}.parquet") for name in "abc"], resamples=200)
    assert [note for note in found.notes if "text" in note] == [
        "b.parquet: 1 of 2 examples have another text than in a.parquet, t the first: they are taken for the same "
        "examples, because their ids and gold are the same."
    ]


def test_texts_are_those_of_the_runs_that_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is left out has texts of other examples, perhaps under the same ids."""
    monkeypatch.chdir(tmp_path)
    columns = {"id": ["test-0", "test-1"], "gold": ["x", "y"], "predicted": ["x", "y"]}
    pq.write_table(pa.table({**columns, "gold": ["y", "y"], "text": ["not", "these"]}), "left-out.parquet")
    pq.write_table(pa.table(columns), "base.parquet")
    pq.write_table(pa.table({**columns, "predicted": ["y", "y"], "text": ["the", "texts"]}), "other.parquet")
    runs = [load_run(f"{name}.parquet") for name in ("base", "left-out", "other")]
    found = comparing.compare(runs, resamples=200, optional=["left-out.parquet"])
    assert [each.text for each in found.pairs[0].changed] == ["the"]


def examples_in(page: str) -> str:
    """The data that the page's script makes its list of examples of."""
    return page.partition('<script type="application/json"')[2].partition("</script>")[0]


class TestWithoutTheCache:
    """The committed run's predictions are neither in the workspace nor in the cache."""

    @pytest.fixture(autouse=True)
    def _without(self, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        clone = tmp_path / "clone"
        shutil.copytree(runs.root, clone)
        shutil.rmtree(clone / ".dvc/cache")
        shutil.rmtree(clone / ".dvc/tmp")
        monkeypatch.chdir(clone)

    def test_compare_says_which_run_and_what_to_do(self, compare: Command) -> None:
        status, _, err = compare("workspace", "better")
        assert status == 1
        assert "predictions of better are not at hand" in err and "`dvc pull`" in err and err.count("\n") == 1

    def test_the_headline_gate_passes_and_an_unknown_metric_does_not(self, comment: Command) -> None:
        assert comment("HEAD", "--fail-on-worse", "headline")[0] == 0
        assert comment("HEAD", "--fail-on-worse", "bleu")[0] == 1

    def test_the_comment_falls_back_to_metrics(self, comment: Command) -> None:
        Path("metrics/evaluate.json").write_text('{"accuracy": 0.9}')
        status, out, _ = comment("HEAD", "--fail-on-worse", "accuracy", "--html", "page.html")
        assert "this change compared with HEAD" in Path("page.html").read_text(encoding="utf-8")
        assert status == 0
        assert "no evidence: " in out and "predictions of HEAD are not at hand" in out
        row = next(line for line in out.splitlines() if line.startswith("| accuracy |"))
        assert "| 0.9000 |" in row and row.endswith("| no evidence |")


def test_the_comment_begins_with_the_verdict_then_table_then_curves(runs: Runs, comment: Command) -> None:
    status, out, _ = comment("worse")
    assert status == 0
    places = [out.index(part) for part in (pull_request.MARK, "**accuracy is better by", "| accuracy |", "```mermaid")]
    assert places == sorted(places) and places[0] == 0
    assert "line [0.4000, " in out


def test_the_comments_gate_fails_after_the_comment_is_written(runs: Runs, comment: Command) -> None:
    status, out, err = comment("better", "--fail-on-worse", "headline:0.05")
    assert status == 1
    assert out.startswith(pull_request.MARK)
    assert err.startswith("error: this change: accuracy is worse by")


def test_a_base_that_is_no_revision_is_told_in_one_line(runs: Runs, comment: Command) -> None:
    status, out, err = comment("nowhere")
    assert (status, out) == (1, "")
    assert err.startswith("error: nowhere: is not a git revision") and err.count("\n") == 1


# What the runs were made on


def test_what_stages_ran_on_travels_with_an_experiment_and_is_told_where_it_differs(
    runs: Runs, compare: Command
) -> None:
    found = as_json(compare, "workspace", "worse")["pairs"][0]
    assert found["environment"] == [{"key": "compute.threads", "base": 4, "other": 2, "stages": ["evaluate"]}]
    assert as_json(compare, "workspace", "better")["pairs"][0]["environment"] == []
    _, out, _ = compare("workspace", "worse", "--resamples", "500")
    assert "environment\n  compute.threads: 4 → 2 (evaluate)\n" in out
    _, out, _ = compare("workspace", "worse", "--resamples", "500", "--markdown", "-")
    assert "| `compute.threads` | `4` | `2` | `evaluate` |" in out
    compare("workspace", "worse", "better", "--resamples", "500", "--html", "compared.html")
    page = Path("compared.html").read_text(encoding="utf-8")
    Path("compared.html").unlink()
    shown = " ".join(re.sub("<[^>]*>", " ", page.replace("<wbr>", "")).split())
    assert "A workspace base B better C worse" in shown  # the base first, then the best first
    assert "Environment that differs environment A B C compute.threads (evaluate) 4 4 2" in shown
    assert "Time per stage stage A B C evaluate 1.5 s 4.5 s (3.00 times) 15.0 s (on another machine)" in shown


@pytest.mark.parametrize(
    ("gate", "status"), [("evaluate", 1), ("evaluate:2.9", 1), ("evaluate:3", 0), ("train", 0), ("evaluate:0.5", 2)]
)
def test_a_run_that_is_slower_beyond_the_tolerance_fails(
    gate: str, status: int, runs: Runs, compare: Command, comment: Command
) -> None:
    found, out, err = compare("workspace", "better", "--resamples", "500", "--fail-on-slower", gate)
    assert found == status
    if status != 2:
        assert "seconds\n  evaluate: 1.5 s → 4.5 s (3.00 times)\n" in out
    assert err.startswith("error: better: evaluate took 4.5 s, 3.00 times the 1.5 s of workspace") == (status == 1)
    found, out, err = comment("better", "--fail-on-slower", gate)  # there the workspace is the faster one
    assert found == (2 if status == 2 else 0)


def test_seconds_of_another_machine_fail_nothing(runs: Runs, compare: Command) -> None:
    status, out, _ = compare("workspace", "worse", "--resamples", "500", "--fail-on-slower", "evaluate")
    assert status == 0 and "evaluate: 1.5 s → 15.0 s (on another machine)" in out


def test_the_seconds_of_several_seeds_are_their_mean() -> None:
    def run(seconds: float, threads: int = 4) -> dict[str, StageRun]:
        compute = Compute("cpu", "fp32", threads)
        return {"train": StageRun(seconds, Environment("a", False, "3.11.7", "Linux", Cpu("", "zen4"), compute, {}))}

    assert stage_seconds([run(1.0), run(2.0)], [run(4.0)]) == [StageSeconds("train", 1.5, 4.0, True)]
    assert stage_seconds([run(1.0)], [run(1.0, threads=2), {}]) == [StageSeconds("train", 1.0, 1.0, False)]
    assert stage_seconds([run(1.0)], [{}]) == []


def test_runs_with_a_damaged_record_are_compared_all_the_same(runs: Runs, compare: Command) -> None:
    (runs.root / "metrics/runs.json").write_text('{"evaluate": {"seco')
    try:
        assert as_json(compare, "workspace", "worse")["pairs"][0]["environment"] == []
    finally:
        runs.restore()


def test_what_differs_alike_in_several_stages_is_told_once() -> None:
    def run(torch: str, threads: int) -> StageRun:
        compute = Compute("cpu", "fp32", threads)
        return StageRun(1.0, Environment("a", False, "3.11.7", "Linux", Cpu("", "zen4"), compute, {"torch": torch}))

    base = {"train": run("2.12.0", 4), "evaluate": run("2.12.0", 4), "export": run("2.12.0", 4)}
    other = {"train": run("2.13.0", 4), "evaluate": run("2.13.0", 2)}
    assert environment_differences(base, other) == [
        EnvironmentDifference("packages.torch", "2.12.0", "2.13.0", ["train", "evaluate"]),
        EnvironmentDifference("compute.threads", 4, 2, ["evaluate"]),
    ]


def test_how_a_gpu_was_used_is_compared_and_its_memory_is_not() -> None:
    def run(gpu: Gpu | None) -> dict[str, StageRun]:
        compute = Compute("A GPU", "bf16", 4, gpu)
        return {"train": StageRun(1.0, Environment("a", False, "3.11.7", "Linux", Cpu("", "zen4"), compute, {}))}

    packed, more, padded = (run(Gpu(*how)) for how in (("packed", 10), ("packed", 20), ("padded: no kernel", 10)))
    assert environment_differences(packed, more) == []
    assert environment_differences(packed, padded) == [
        EnvironmentDifference("compute.gpu.packing", "packed", "padded: no kernel", ["train"])
    ]
    assert stage_seconds([packed], [padded])[0].is_same_machine
    assert not any("gpu" in key for key in recorded_environment(run(None)["train"]))


def _dvc(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments], check=True)
