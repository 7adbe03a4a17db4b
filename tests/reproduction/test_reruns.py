"""What a change re-runs, as DVC itself sees it: each stage that it can matter to, and no other.

A stage that reads what another one writes re-runs besides if that output comes out differently; `dvc status` is asked
before anything has run.
"""

from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from stages.configuration.compose import write_params
from stages.configuration.composition import compose_params
from stages.pipeline.paths import PARAMS
from tests.support.workspace import Workspace

ALL = {"download", "tokenize", "train", "evaluate", "export"}
FILES = {
    "models/base": ("tokenizer/tokenizer.json", "weights/model.safetensors"),
    "models/trained": ("model.safetensors",),
}
"""What outputs that are folders hold here, where it matters."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace that is up to date: its outputs stand in for real ones, for `dvc status` compares their hashes alone."""
    workspace = Workspace(tmp_path_factory.mktemp("reruns") / "clone")
    dag: dict[str, Any] = YAML(typ="safe").load((workspace.root / "dvc.yaml").read_text(encoding="utf-8"))
    outs = [
        out for stage in dag["stages"].values() for out in (*stage["outs"], *stage["metrics"], *stage.get("plots", ()))
    ]
    for out in (out if isinstance(out, str) else next(iter(out)) for out in outs):
        for name in ("",) if Path(out).suffix else FILES.get(out, ("file",)):
            file = workspace.root / out / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("1\n", encoding="utf-8")
    with chdir(workspace.root), Repo() as repo:
        repo.commit(force=True)
    return workspace


@pytest.fixture
def here(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(workspace.root)
    return workspace.root


def reruns() -> set[str]:
    """The stages that `dvc repro` would run, but for the consequences."""
    with Repo() as repo:
        return set(repo.status())


@contextmanager
def changed(file: Path, line: str) -> Iterator[None]:
    """A line more at the end of a file."""
    before = file.read_bytes()
    file.write_bytes(before + line.encode() + b"\n")
    try:
        yield
    finally:
        file.write_bytes(before)


def test_nothing_re_runs_where_nothing_changed(here: Path) -> None:
    assert reruns() == set()


MODULES = {
    "stages/configuration/schema.py": ALL,
    "stages/pipeline/arrow.py": ALL,
    "stages/configuration/run_stage.py": ALL,
    "stages/download.py": {"download"},
    "stages/sources/readers/conll.py": {"download"},
    "stages/sources/demo/grammar.py": {"download"},
    "stages/tokenize.py": {"tokenize"},
    "stages/tasks/encoding/subwords.py": {"download", "tokenize"},
    "stages/tags/schemes.py": {"download", "tokenize", "train", "evaluate", "export"},
    "stages/columns/names.py": {"download", "tokenize", "train", "evaluate", "export"},
    "stages/tasks/tokens_task.py": {"download", "train", "evaluate", "export"},
    "stages/tasks/predictions_table.py": {"evaluate"},
    "stages/scoring/core/entities.py": {"download", "train", "evaluate", "export"},
    "stages/scoring/evaluation/resampling.py": {"evaluate"},
    "stages/scoring/evaluation/plots.py": {"evaluate"},
    "stages/modeling/prediction.py": {"train", "evaluate", "export"},
    "stages/modeling/load.py": {"download", "train", "evaluate", "export"},
    "stages/training/loss.py": {"train"},
    "stages/exporting/model_card.py": {"export"},
    "stages/scoring/score.py": set(),
    "stages/scoring/metric_modules.py": {"evaluate"},
    "stages/comparison/compare.py": set(),
    "stages/reporting/page.py": set(),
    "stages/configuration/compose.py": set(),
    "stages/configuration/resets.py": set(),
    "stages/configuration/hydra_plugins/quoted_strings.py": set(),
    "stages/configuration/hydra_plugins/resets.py": set(),
}


@pytest.mark.parametrize("module", MODULES)
def test_one_line_in_a_module_re_runs_the_stages_that_import_it(module: str, here: Path) -> None:
    with changed(here / module, "# changed"):
        assert reruns() == MODULES[module]


SETTINGS = {
    "data.train=7": {"download"},
    "data.seed=7": {"download"},
    "model=distilbert": {"download"},
    "task=tokens": {"download", "tokenize", "train", "evaluate", "export"},
    "task.metric=f1": {"train", "evaluate", "export"},
    "task.pooling=max": {"train", "evaluate", "export"},
    "tokenize.max_length=64": {"tokenize", "export"},
    "train.learning_rate=5e-5": {"train"},
    "train.batch_size=8": {"train"},
    "seed=7": {"train"},
    "threads=8": {"train", "evaluate", "export"},
    "evaluate.resamples=100": {"evaluate"},
    "evaluate.batch_size=8": {"evaluate"},
    "export.onnx=false": {"export"},
    "export.quantize=none": {"export"},
}


@pytest.mark.parametrize("override", SETTINGS)
def test_a_setting_re_runs_the_stages_that_read_it(override: str, here: Path) -> None:
    before = PARAMS.read_bytes()
    write_params(compose_params([override]), PARAMS)
    try:
        assert reruns() == SETTINGS[override]
    finally:
        PARAMS.write_bytes(before)


OTHER_FILES = {
    "models/base/tokenizer/tokenizer.json": {"download", "tokenize", "train"},
    "models/base/weights/model.safetensors": {"download", "train"},
    "models/trained/model.safetensors": {"train", "evaluate", "export"},
    "metrics/evaluate.json": {"evaluate", "export"},
    "metrics/tokenize.json": {"tokenize"},
    "conf/train/default.yaml": set(),
    "params.yaml": set(),
    "dvc.yaml": set(),
}


@pytest.mark.parametrize("file", OTHER_FILES)
def test_a_change_in_a_file_re_runs_the_stages_that_read_or_wrote_it(file: str, here: Path) -> None:
    with changed(here / file, "# a comment"):
        assert reruns() == OTHER_FILES[file]


def test_a_comment_in_conf_and_composing_anew_change_nothing(here: Path) -> None:
    with changed(here / "conf/train/default.yaml", "# a comment"):
        written = PARAMS.stat().st_mtime_ns
        write_params(compose_params([]), PARAMS)
        assert PARAMS.stat().st_mtime_ns == written
        assert reruns() == set()


@pytest.mark.parametrize(
    "name",
    ["README.md", "metrics/runs.json", "metrics/report.html", "tests/test_new.py", "stages/modeling/cpu/NOTES.md"],
)
def test_files_that_no_stage_reads_change_nothing(name: str, here: Path) -> None:
    (here / name).parent.mkdir(exist_ok=True)
    (here / name).write_text("new\n", encoding="utf-8")
    try:
        assert reruns() == set()
    finally:
        (here / name).unlink()


def test_an_edit_time_alone_changes_nothing(here: Path) -> None:
    for file in ("stages/train.py", "models/base/weights/model.safetensors", "params.yaml"):
        (here / file).touch()
    assert reruns() == set()
