"""`stagewright new` as its user meets it: the wheel in an environment of its own, and a folder outside of this clone."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stagewright.project_code import digests, shipped_pipeline
from tests.support.imports import ROOT
from tests.support.tiny import write_tiny_model

pytestmark = pytest.mark.slow

SMALL = [
    "data.train=24", "data.validation=12", "data.test=16", "train.epochs=1", "train.batch_size=8", "train.precision=fp32",
    "evaluate.precision=fp32", "evaluate.resamples=50", "tokenize.max_length=16", "tokenize.stride=2", "threads=1",
    "export.onnx=false", "export.quantize=none", "model=files",
]  # fmt: skip


class Installed:
    """The wheel in an environment without this clone. Libraries are those of the environment that runs the tests."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        venv.create(folder, symlinks=True)
        self.bin = folder / "bin"
        self.packages = next((folder / "lib").glob("python*")) / "site-packages"
        (self.packages / "libraries.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "--python", str(self.bin / "python"), "install", "--quiet"]
        subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True)

    def run(self, cwd: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment, which is not activated."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        environment = {**kept, "PATH": os.defpath, "DVC_NO_ANALYTICS": "1"}
        return subprocess.run(
            [self.bin / command, *arguments], cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    def ok(self, cwd: Path, command: str, *arguments: str) -> str:
        """Run a command that must succeed; returns what it printed."""
        done = self.run(cwd, command, *arguments)
        assert done.returncode == 0, f"{command} {arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(ROOT)], check=True)
    return next(folder.glob("stagewright-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(wheel, tmp_path_factory.mktemp("installed") / "venv")


@pytest.fixture(scope="module")
def project(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after its two commands."""
    folder = tmp_path_factory.mktemp("projects")
    model = write_tiny_model(folder / "model")
    installed.ok(folder, "stagewright", "new", "my project")
    made = folder / "my project"
    (made / "stages").mkdir()
    (made / "stages/__init__.py").write_text("raise SystemExit('a package of the project's own')\n", encoding="utf-8")
    shown = installed.ok(made, "stagewright", "run", *SMALL, f"model.path={model}")
    assert "accuracy" in shown and "models/export" in shown
    return made


def test_the_wheel_installs_one_package_and_all_that_a_project_needs(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"stagewright"}
    tracked = ["git", "ls-files", "stages", "stagewright", "conf", "dvc.yaml", ".dvc/plots"]
    files = subprocess.run(tracked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    places = {name if name.startswith("stagewright/") else f"stagewright/installed/{name}" for name in files}
    assert places <= set(names)
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in names)


def test_stages_can_not_be_imported_where_it_is_installed(installed: Installed, tmp_path: Path) -> None:
    assert "No module named 'stages'" in installed.run(tmp_path, "python", "-c", "import stages").stderr


def test_two_commands_give_scores(project: Path) -> None:
    scores = json.loads((project / "metrics/evaluate.json").read_text(encoding="utf-8"))
    assert scores["examples"] == 16 and 0 <= scores["accuracy"] <= 1
    assert (project / "models/export/model.safetensors").is_file() and (project / "metrics/report.html").is_file()


def test_nothing_has_to_run_again(installed: Installed, project: Path) -> None:
    assert "up to date" in installed.ok(project, "python", "-m", "dvc", "status")
    assert "composing" not in installed.ok(project, "stagewright", "compose", *SMALL, *_model(project))


def test_a_project_is_committed_as_it_was_made(project: Path, wheel: Path) -> None:
    shown = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", "HEAD"], cwd=project, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {"dvc.yaml", "params.yaml", "README.md", ".github/workflows/checks.yml", "code/train.sha256"} <= set(shown)
    assert f"stagewright[demo] @ {wheel.as_uri()}\n" in (project / "requirements.txt").read_text(encoding="utf-8")
    assert "# my project\n" in (project / "README.md").read_text(encoding="utf-8")


def test_commands_work_in_a_project(installed: Installed, project: Path, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("my order never came\ngreat team\n", encoding="utf-8")
    installed.ok(project, "stagewright", "predict", str(tmp_path / "new.txt"), "--out", str(tmp_path / "out.csv"))
    assert len((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()) == 3
    predictions = "data/predictions/test.parquet"
    shown = installed.ok(project, "stagewright", "compare", "workspace", predictions, "--resamples", "100")
    assert "accuracy" in shown and "no evidence" in shown


def test_dvc_composes_with_the_plugins_of_the_installed_code(installed: Installed, project: Path) -> None:
    """`fingerprint` is a resolver of ours, and `oc.env` one that we refuse."""
    asked = (
        "from dvc.utils.hydra import load_hydra_plugins; load_hydra_plugins('.dvc/hydra')\n"
        "from omegaconf import OmegaConf\n"
        "print(OmegaConf.has_resolver('fingerprint'), OmegaConf.create({'a': '${oc.env:HOME}'}).a)"
    )
    assert "params.yaml would publish it" in installed.run(project, "python", "-c", asked).stderr
    told = asked.replace(", OmegaConf.create({'a': '${oc.env:HOME}'}).a", "")
    assert installed.ok(project, "python", "-c", told) == "True\n"


def test_an_upgrade_runs_the_stages_whose_code_has_changed(installed: Installed, project: Path) -> None:
    module = installed.packages / "stagewright/installed/stages/export.py"
    before, recorded = module.read_text(encoding="utf-8"), (project / "code/export.sha256").read_text(encoding="utf-8")
    try:
        module.write_text(before + "# of the next version\n", encoding="utf-8")
        told = installed.run(project, "stagewright", "stage", "export").stderr
        assert told == (
            "error: code/export.sha256: the installed code has changed; run `stagewright run`, or `stagewright compose` and "
            "commit\n"
        )
        shown = installed.ok(project, "stagewright", "reproduce", "--dry")
        assert "'export'" in shown.split("Running")[1] and shown.count("Running stage") == 1
    finally:
        module.write_text(before, encoding="utf-8")
        (project / "code/export.sha256").write_text(recorded, encoding="utf-8")


@pytest.mark.parametrize("stage", shipped_pipeline()["stages"])
def test_the_digests_are_those_of_the_modules(stage: str) -> None:
    """As `sha256sum --check` understands them."""
    written = digests(stage)
    assert f"stages/{stage}.py" in written
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet"], cwd=ROOT, input=written, text=True, check=True)


def test_a_project_of_ones_own_data(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "stars: 1.csv").write_text("text,label\nbad,no\ngreat,yes\n" * 10, encoding="utf-8")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    installed.ok(tmp_path, "stagewright", "new", "own", "--data", "stars: 1.csv", "--task", "text")
    data = YAML(typ="safe").load((tmp_path / "own/params.yaml").read_text(encoding="utf-8"))["data"]
    committed = subprocess.run(
        ["git", "ls-files"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "own/params.yaml" in committed and all(name.startswith("own/") for name in committed)
    assert (data["train"], data["name"]) == (str(tmp_path / "stars: 1.csv"), "stars-1")
    assert data["fingerprint"].startswith("sha256-")


def test_what_keeps_a_project_from_being_made_is_one_line_and_leaves_nothing(
    installed: Installed, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").touch()
    for arguments, said in (
        (["full"], "full: is not empty"),
        (["new", "--data", "nowhere.csv"], "nowhere.csv: there is no such file"),
        (["new", "--task", "regression"], "--task regression: the demo has no such data"),
    ):
        done = installed.run(tmp_path, "stagewright", "new", *arguments)
        assert done.returncode == 1 and done.stderr.startswith(f"error: {said}") and done.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def _model(project: Path) -> list[str]:
    return [f"model.path={project.parent / 'model'}"]
