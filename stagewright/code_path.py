"""Where the pipeline's code lies, and the environment in which Python finds it.

A clone has it in `stages/`, where `python -m` finds it by itself. The wheel installs it inside of this package, so that no
other project meets a top-level package `stages`; Python is told where by PYTHONPATH, which reaches DVC and its stages.
"""

import os
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
INSTALLED = _HERE / "installed"
"""The part of a clone that a wheel installs."""
CODE = Path("code")
"""The folder in which a project has the digests of the installed code."""


def root() -> Path:
    """Return the folder that holds `stages/` and `conf/`: the clone that this package is part of, or the installed copy."""
    return INSTALLED if INSTALLED.is_dir() else _HERE.parent


def in_clone() -> bool:
    """Return whether the current folder is a clone of Stagewright. Its own code is then the code to run."""
    return Path("stages/configuration/run_stage.py").is_file()


def make_importable() -> None:
    """Let this process, and those that it starts, import `stages`.

    Outside of a clone, the current folder is not imported from: a project may have a package `stages` of its own.
    """
    if in_clone():
        sys.path.insert(0, str(Path.cwd()))
        return
    folder = str(root())
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != folder]
    os.environ["PYTHONPATH"] = os.pathsep.join([folder, *others])
    os.environ["PYTHONSAFEPATH"] = "1"
    sys.path.insert(0, folder)


def make_callable() -> None:
    """Let DVC's stages find the `stagewright` command of this environment, activated or not."""
    folder = str(Path(sys.executable).parent)
    paths = os.environ.get("PATH", os.defpath).split(os.pathsep)
    if folder not in paths:
        os.environ["PATH"] = os.pathsep.join([folder, *paths])
