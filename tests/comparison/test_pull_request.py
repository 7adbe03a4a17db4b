"""The comment on a pull request, and the summary that `stagewright run` ends with."""

import json
import os
import re
from pathlib import Path

import pytest

from stages.comparison.post_comment import MARK
from stages.comparison.pull_request import comment
from stages.comparison.results import Comparison, Pair, RunResult
from stages.pipeline.errors import UserError
from stages.reporting.content import Curve
from stages.reporting.summary import summary
from tests.support.workspace import Workspace

SCORES = {"accuracy": 0.5, "precision": 0.5, "recall": 0.5, "f1": 0.5, "loss": 0.7}


def write_results(root: Path, accuracy: float, losses: list[float]) -> None:
    metrics = root / "metrics"
    curve = metrics / "plots/curves/plots/metrics/validation/loss.tsv"
    curve.parent.mkdir(parents=True, exist_ok=True)
    curve.write_text("step\tloss\n" + "".join(f"{epoch}.0\t{loss}\n" for epoch, loss in enumerate(losses, start=1)))
    scores = {**SCORES, "accuracy": accuracy}
    (metrics / "evaluate.json").write_text(json.dumps(scores))
    (metrics / "train.json").write_text(json.dumps({"validation": scores}))
    names = {"data": {"name": "demo-text", "kind": "text"}, "model": {"name": "minilm"}}
    (metrics / "download.json").write_text(json.dumps(names))


@pytest.mark.slow
def test_the_comment_shows_changed_scores_and_both_curves(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "clone")
    write_results(workspace.root, 0.8, [0.9, 0.6])
    workspace.commit("before")
    write_results(workspace.root, 0.85, [0.8, 0.5])
    shown = workspace.python("stages.comparison.pull_request", "HEAD")
    assert shown.startswith(MARK)
    assert "no evidence" in shown and "predictions of HEAD are not at hand" in shown
    row = next(line for line in shown.splitlines() if line.startswith("| accuracy |"))
    assert [cell.strip() for cell in row.split("|")[2:5]] == ["0.8000", "0.8500", "+0.0500"]
    assert "line [0.9000, 0.6000]" in shown and "line [0.8000, 0.5000]" in shown
    assert shown.count("```mermaid") == 1


@pytest.mark.parametrize(
    ("head", "charts"),
    [((1.0, 2.0, 3.0), 1), ((0.5, 1.0), 2)],
    ids=["longer", "validated more often"],
)
def test_curves_share_a_chart_only_if_they_share_their_epochs(head: tuple[float, ...], charts: int) -> None:
    """A Mermaid chart has one axis of names: what is at epoch 1 of one run must not stand at epoch 0.5 of the other."""
    runs = [
        RunResult(name, [name], [], [], {}, {"train/loss": Curve("train", "loss", epochs, epochs)})
        for name, epochs in (("HEAD", (1.0, 2.0)), ("this change", head))
    ]
    shown = comment(Comparison(runs, [Pair("HEAD", "this change", [])], 0.05, 100))
    assert shown.count("```mermaid") == charts
    for axis, line in re.findall(r'x-axis "epoch" \[(.*)\]\n    line \[(.*)\]', shown):
        epochs, values = ([*map(float, each.split(", "))] for each in (axis, line))
        assert values == epochs[: len(values)]


@pytest.mark.slow
def test_a_base_that_is_no_revision_is_told_in_one_line(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "clone")
    failed = workspace.run("python", "-m", "stages.comparison.pull_request", "nowhere")
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ") and len(failed.stderr.strip().splitlines()) == 1


def test_the_summary_tells_of_a_report_that_is_older_than_the_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git does not keep the report, so `dvc exp apply` leaves that of the run before."""
    monkeypatch.chdir(tmp_path)
    write_results(tmp_path, 0.8, [0.9])
    line = "report          metrics/report.html"
    assert line in summary().splitlines()  # there is none yet
    Path("metrics/report.html").write_text("page")
    scored = Path("metrics/evaluate.json").stat().st_mtime
    os.utime("metrics/report.html", (scored + 9, scored + 9))
    assert line in summary().splitlines()
    os.utime("metrics/report.html", (scored - 9, scored - 9))
    assert f"{line}  (older than the scores: stagewright report)" in summary().splitlines()


def test_the_summary_fits_80_columns_and_tells_scores_and_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_results(tmp_path, 0.8125, [0.9])
    monkeypatch.chdir(tmp_path)
    shown = summary()
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "minilm on demo-text (text)" in shown
    assert "0.8125" in shown
    assert "models/export" in shown


def test_without_a_run_the_summary_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="run `stagewright run` first"):
        summary()
