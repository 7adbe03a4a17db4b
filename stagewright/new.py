"""`stagewright new FOLDER`: start a project of your own, with Stagewright as an installed dependency.

The folder gets conf/, params.yaml, dvc.yaml, a workflow and a README. It becomes a git repository with one commit, unless it is
inside one.

Examples:
  stagewright new my-project && cd my-project           the built-in demo, to change from there
  stagewright new reviews --data reviews.csv            texts with labels; test and validation are split off
  stagewright new entities --data train.conll --task tokens
"""

import argparse
import copy
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from io import StringIO
from pathlib import Path
from string import Template

from ruamel.yaml import YAML

from stagewright.code_path import make_importable, root
from stagewright.project_code import digests_file, shipped_pipeline, write_digests

_TEMPLATE = Path(__file__).with_name("template")
_COPIED = ("conf", "constraints.txt", ".dvc/.gitignore", ".dvc/plots")
_PIPELINE = """\
# The five stages: what each runs, reads and writes. `code/` has the digests of the installed code that each depends on.
"""
_OWN_DATA = """\
# This project's data. files.yaml, next to this file, has all keys: columns, a test split of your own, fractions to carve out.
defaults:
  - files
  - _self_
"""
_COMMIT = ("commit", "--quiet", "--message", "A new Stagewright project")
_TASKS = ("text", "tokens", "multilabel", "regression")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="stagewright new", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "folder", type=Path, metavar="FOLDER", help="where the project goes; it must be empty, or not exist"
    )
    made.add_argument("--data", type=Path, metavar="FILE", help="the data to train on; default: the built-in demo")
    made.add_argument("--task", choices=_TASKS, default="text", help="the kind of task; default: text")
    return made


def write_project(folder: Path, data: Path | None, task: str) -> None:
    """Write all files of a project into `folder`, and make it the current one. Raises SystemExit if it can't be composed."""
    for name in _COPIED:
        _copy(root() / name, folder / name)
    for file in sorted(file for file in _TEMPLATE.rglob("*") if file.is_file() and file.suffix != ".pyc"):
        _copy(file, folder / "/".join(part.replace("dot_", ".") for part in file.relative_to(_TEMPLATE).parts))
    readme = folder / "README.md"
    readme.write_text(
        Template(readme.read_text(encoding="utf-8")).substitute(name=folder.resolve().name), encoding="utf-8"
    )
    (folder / "requirements.txt").write_text(f"--constraint constraints.txt\n{_requirement()}\n", encoding="utf-8")
    _write_pipeline(folder / "dvc.yaml")
    _choose(folder / "conf", data, task)
    os.chdir(folder)
    make_importable()
    write_digests()
    _compose()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(source, target)


def _requirement() -> str:
    """Say for pip where the installed version comes from: an index, a commit, a file, or the clone and its remote."""
    made = metadata.distribution("stagewright")
    origin = json.loads(made.read_text("direct_url.json") or "{}")
    if not origin:
        return f"stagewright[demo]=={made.version}"
    if commit := origin.get("vcs_info", {}).get("commit_id"):
        return f"stagewright[demo] @ git+{origin['url']}@{commit}"
    remote, revision = _git("remote", "get-url", "origin"), _git("rev-parse", "HEAD")
    if "dir_info" in origin and remote and revision:
        address = re.sub(r"^([\w.-]+@[\w.-]+):", r"ssh://\1/", remote)
        return f"stagewright[demo] @ git+{address}@{revision}"
    return f"stagewright[demo] @ {origin['url']}"


def _git(*arguments: str) -> str:
    """Ask git about the clone that the code lies in; empty if there is no answer."""
    asked = subprocess.run(["git", "-C", str(root()), *arguments], capture_output=True, text=True, check=False)
    return asked.stdout.strip()


def _write_pipeline(file: Path) -> None:
    """Write the pipeline with the command for each stage, and its digests in place of its modules."""
    pipeline = copy.deepcopy(dict(shipped_pipeline()))
    for name, stage in pipeline["stages"].items():
        stage["cmd"] = f"stagewright stage {name}"
        data = [dep for dep in stage["deps"] if not dep.startswith("stages/")]
        stage["deps"] = [digests_file(name).as_posix(), *data]
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    with file.open("w", encoding="utf-8") as written:
        written.write(_PIPELINE)
        yaml.dump(pipeline, written)


def _choose(conf: Path, data: Path | None, task: str) -> None:
    """Make the task and the data the defaults of `conf/config.yaml`."""
    config = conf / "config.yaml"
    chosen = config.read_text(encoding="utf-8").replace("- task: text", f"- task: {task}")
    if data is not None:
        chosen = chosen.replace("- data: demo", "- data: own")
        (conf / "data/own.yaml").write_text(own_data(data), encoding="utf-8")
    config.write_text(chosen, encoding="utf-8")


def own_data(data: Path) -> str:
    """Return the content of `conf/data/own.yaml`: the project's data are read from the file `data`."""
    yaml, written = YAML(typ="safe", pure=True), StringIO()
    yaml.default_flow_style = False
    yaml.default_style = '"'  # type: ignore[assignment]  # OmegaConf reads a bare `no` as false
    yaml.dump({"name": data_name(data), "train": str(data.resolve())}, written)
    return _OWN_DATA + written.getvalue()


def data_name(data: Path) -> str:
    """Return what a project calls its data: the name of their file up to the first dot, or `own` if nothing is before it."""
    return re.sub(r"[^\w.-]+", "-", data.absolute().name.partition(".")[0]) or "own"


def _compose() -> None:
    done = subprocess.run([sys.executable, "-m", "stages.configuration.compose"], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def _has_repository(*commit: str) -> bool:
    """Return whether the current folder is in a git repository; with `commit`, whether that has this commit."""
    what = ["--verify", *commit] if commit else ["--git-dir"]
    return subprocess.run(["git", "rev-parse", "--quiet", *what], capture_output=True, check=False).returncode == 0


def _make_repository() -> None:
    """Make the current folder a git repository, or part of one, with a commit, which DVC needs to make experiments on."""
    known = subprocess.run(["git", "config", "user.email"], capture_output=True, check=False).returncode == 0
    author = [] if known else ["-c", "user.name=stagewright new", "-c", "user.email=stagewright@localhost"]
    for command in (["init", "--quiet", "--initial-branch=main"], ["add", "--all", "."], [*author, *_COMMIT]):
        if command[0] != "init" or not _has_repository():
            subprocess.run(["git", *command], check=True)


def _faults(folder: Path, data: Path | None, task: str) -> Iterator[str]:
    """Yield what keeps a project from being made."""
    if not any(metadata.distributions(name="stagewright")):
        install = f"python -m pip install --editable {shlex.quote(str(root()))}"
        yield f"{root()}: is not installed, and a project requires it; run `{install}`"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        yield f"{folder}: is not empty; name a folder that does not exist yet"
    if data is not None and not data.exists():
        yield f"{data}: there is no such file; give the data to train on"
    if data is None and task not in ("text", "tokens"):
        yield f"--task {task}: the demo has no data for it; give yours with --data FILE"
    if shutil.which("git") is None:
        yield "git: is not installed, and DVC needs it"


def main() -> None:
    """Run the command line."""
    arguments = parser().parse_args()
    folder: Path = arguments.folder
    if fault := next(_faults(folder, arguments.data, arguments.task), None):
        sys.exit(f"error: {fault}")
    was_there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    place = folder.resolve()
    try:
        write_project(place, arguments.data, arguments.task)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        if was_there:
            place.mkdir()
        raise
    if not _has_repository("HEAD"):
        _make_repository()
    print(f"{folder}: a new project; now: cd {folder} && stagewright run")


if __name__ == "__main__":
    main()
