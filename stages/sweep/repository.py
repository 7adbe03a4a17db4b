"""The driver's git repository: the commit that is swept, and the experiments on it."""

import secrets
import tempfile
from pathlib import Path

from configobj import ConfigObj
from dvc.config import Config

from stages.pipeline.errors import ConfigError
from stages.pipeline.git import git
from stages.pipeline.outputs import write_text
from stages.pipeline.paths import CONF, LOCK, METRICS, PARAMS
from stages.sweep.node import TOKEN, Sharing

_CODE = (str(CONF), "stages", "code", "dvc.yaml")
"""Where a file that is not in git would change what a trial does."""
_MADE = (f":(exclude){PARAMS}", f":(exclude){LOCK}", f":(exclude){METRICS}")
"""Files that each run changes, and no trial reads."""


def clean_commit() -> str:
    """Return the current commit. Raises ConfigError if there are changes that a trial's clone of it would lack."""
    base = git("rev-parse", "HEAD").strip()
    changed = git("diff", "--name-only", "HEAD", "--", ":(top)", *_MADE).split("\n")
    new = git("ls-files", "--others", "--exclude-standard", "--", *_CODE).split("\n")
    lacking = [name for name in (*changed, *new) if name]
    if lacking:
        shown = ", ".join(lacking[:3]) + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else "")
        raise ConfigError(f"{shown}: not in the commit that a sweep's trials run; `git commit` or `git stash` first")
    return base


def bundle(base: str) -> bytes:
    """Return the commit and its history as a git bundle. Raises ConfigError if HEAD is no longer at this commit."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "base.bundle")
        git("bundle", "create", "--quiet", str(file), "HEAD")
        if git("rev-parse", "HEAD").strip() != base:
            raise ConfigError("HEAD: has moved since the sweep was started; run the command again")
        return file.read_bytes()


def sharing(folder: Path, remote: str | None) -> Sharing:
    """Return how the machines of the sweep in `folder` share data. Raises ConfigError if there is no such remote."""
    config = Config.from_cwd()
    if remote is not None and remote not in config["remote"]:
        known = ", ".join(config["remote"]) or "`dvc remote add` makes one"
        raise ConfigError(f"--remote {remote}: there is no such DVC remote; {known}")
    file = folder.with_name(TOKEN)
    if not file.is_file():
        write_text(file, secrets.token_hex())
    token = file.read_text(encoding="utf-8")
    subfolder = git("rev-parse", "--show-prefix").removesuffix("\n")
    cache = Path(config["cache"].get("dir") or ".dvc/cache").absolute()
    return Sharing(str(folder.absolute()), str(cache), token, remote, subfolder, _as_text(config, remote))


def _as_text(config: Config, remote: str | None) -> str:
    """Return the configuration of all remotes, with credentials and with absolute paths."""
    written = ConfigObj()
    if remote is not None:
        written["core"] = {"remote": remote}  # from which DVC pulls
    for name, settings in config["remote"].items():
        written[f'remote "{name}"'] = {key: str(value) for key, value in settings.items()}
    return "".join(f"{line}\n" for line in written.write())


def finished(base: str) -> dict[str, str]:
    """Return the revision of each experiment on a commit, by its name."""
    lines = git("for-each-ref", "--format=%(refname:lstrip=4) %(objectname)", _refs(base)).splitlines()
    return {name: revision for name, _, revision in (line.partition(" ") for line in lines)}


def fetch(experiment: bytes, base: str, name: str) -> str:
    """Fetch the experiment `name` from a git bundle. Return its revision."""
    ref = f"{_refs(base)}/{name}"
    with tempfile.NamedTemporaryFile(suffix=".bundle") as file:
        file.write(experiment)
        file.flush()
        git("fetch", "--quiet", "--no-tags", "--force", file.name, f"{ref}:{ref}")
    return git("rev-parse", ref).strip()


def _refs(base: str) -> str:
    return f"refs/exps/{base[:2]}/{base[2:]}"
