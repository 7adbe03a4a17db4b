"""The Hub. Nothing else talks to it.

What is fetched lands in the ordinary Hugging Face cache, at a pinned commit. A commit never changes, so what the cache
holds is taken without asking, and a run that has everything needs no network. `huggingface_hub` takes the token from
the environment (`HF_TOKEN`, or `hf auth login`); no message here repeats it.
"""

import glob
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.utils.tqdm import disable_progress_bars

from stages.configuration.schema import SPLITS, HubData, HubModel, Split
from stages.pipeline.errors import HubError
from stages.sources.hub_cache import Repo, cached, missing, require_whole, some
from stages.sources.hub_errors import BROKEN, explained

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "bpe.codes",
    "spm.model",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
)
"""Every name under which an encoder's tokenizer is kept; a model has a few of them."""

if not sys.stderr.isatty():
    disable_progress_bars()


def fetch_dataset(config: HubData) -> dict[Split, list[Path]]:
    """Fetch the files that each split of `config` names (a path or glob inside the repository), sorted.

    A split that `config` leaves out is left out. Raises HubError with what to do about it.
    """
    repo = Repo("dataset", config.repo, config.revision)
    patterns = {split: _patterns(config, split) for split in SPLITS}
    files = _list_files(repo, enough=[pattern for wanted in patterns.values() for pattern in wanted])
    names = {
        split: [name for pattern in wanted for name in _matches(repo, f"data.{split}", pattern, files)]
        for split, wanted in patterns.items()
        if wanted
    }
    _fetch(repo, [name for found in names.values() for name in found])
    return {split: [cached(repo, name) for name in found] for split, found in names.items()}


def _patterns(config: HubData, split: Split) -> list[str]:
    wanted: str | list[str] | None = getattr(config, split)
    if wanted is None:
        return []
    return [wanted] if isinstance(wanted, str) else wanted


def fetch_model(config: HubModel) -> Path:
    """Fetch the model's configuration, safetensors weights and tokenizer files; return the folder that holds them.

    The folder belongs to the shared cache: another program may have put more files of the same commit there.
    Raises HubError with what to do about it.
    """
    repo = Repo("model", config.repo, config.revision)
    files = _list_files(repo)
    for name in (CONFIG, WEIGHTS):
        if name not in files:
            raise HubError(
                f"{repo}: has no {name}, only {some(files, like=name)}; weights are read from one safetensors file, "
                "pickled weights are not loaded: choose a model.repo or model.revision that has it"
            )
    _fetch(repo, [name for name in (CONFIG, WEIGHTS, *TOKENIZER_FILES) if name in files])
    return cached(repo, CONFIG).parent


def _list_files(repo: Repo, enough: Sequence[str] = ()) -> list[str]:
    """The paths of the repository's files, as the cache or else the Hub lists them; just `enough` if all are cached."""
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    with explained(repo):
        if enough and not missing(repo, enough):
            return sorted(enough)
        try:
            tree = huggingface_hub.get_cached_repo_tree(repo.id, repo_type=repo.kind, revision=repo.revision)
            return sorted(file.path for file in tree)
        except CachedRepoTreeNotFoundError:
            # The first word with the Hub. huggingface_hub makes most requests up to 6 times in 23 s, some without a time
            # limit: right for a passing fault in mid-course, but who has no network should hear of it at once.
            info = huggingface_hub.HfApi().repo_info(
                repo.id, repo_type=repo.kind, revision=repo.revision, timeout=constants.HF_HUB_ETAG_TIMEOUT
            )
            return sorted(file.rfilename for file in getattr(info, "siblings", None) or [])


def _matches(repo: Repo, key: str, pattern: str, files: Sequence[str]) -> list[str]:
    if pattern in files:
        return [pattern]
    found = [file for file in files if _match(file.split("/"), pattern.split("/"))]
    if not found:
        raise HubError(f"{repo}: {key}={pattern} matches no file; its files are {some(files, like=pattern)}")
    return found


def _match(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Match as for files on this machine: `*` stays inside one folder, `**` stands for any number of folders."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_match(path[depth:], pattern[1:]) for depth in range(len(path) + 1))
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _match(path[1:], pattern[1:])


def _fetch(repo: Repo, names: Sequence[str]) -> None:
    """Bring into the cache what it lacks of the named files; each appears there whole or not at all."""
    lacking = missing(repo, names)
    if lacking:
        with explained(repo, names):
            huggingface_hub.snapshot_download(
                repo.id,
                repo_type=repo.kind,
                revision=repo.revision,
                allow_patterns=[glob.escape(name) for name in lacking],
            )
    if left := missing(repo, names):  # if the Hub goes away, snapshot_download may settle for what the cache holds
        raise HubError(f"{repo} ({some(left)}): {BROKEN}")
    require_whole(repo, names)
