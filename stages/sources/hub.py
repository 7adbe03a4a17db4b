"""Fetch data sets and models from the Hub. But for the command that pushes, nothing else talks to it.

Files go to the usual Hugging Face cache, at a pinned commit. A commit never changes, so cached files are used without a
request, and a run that finds every file needs no network. `huggingface_hub` takes the token from
the environment (`HF_TOKEN`, or `hf auth login`); no message here repeats it.
"""

import difflib
import glob
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.utils.tqdm import disable_progress_bars

from stages.configuration.schema import HubData, HubModel, Split
from stages.pipeline.digests import sha256_of
from stages.pipeline.errors import HubError, ModelError
from stages.pipeline.json_files import read_json

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

_SHA256 = re.compile("[0-9a-f]{64}")
_MOST_NAMES = 5
"""How many files a message lists at most."""


@dataclass(frozen=True)
class Repo:
    """A data set's or model's repository at one commit."""

    type: Literal["dataset", "model"]
    id: str
    revision: str

    def __str__(self) -> str:
        return f"{self.type} {self.id} at {self.revision}"

    @property
    def group(self) -> str:
        """The configuration group that names it."""
        return "data" if self.type == "dataset" else "model"

    @property
    def page(self) -> str:
        """The address of its web page."""
        return f"{hub_address()}/datasets/{self.id}" if self.type == "dataset" else f"{hub_address()}/{self.id}"


def require_whole(repo: Repo, names: Sequence[str]) -> None:
    """Check big files against the SHA-256 that the Hub states for them at this commit; the cache names them by it.

    `huggingface_hub` checks the size alone. A file that differs is removed, or the next run would take it again.
    """
    for name in names:
        path = cached(repo, name)
        blob = path.resolve()
        if path.is_symlink() and _SHA256.fullmatch(blob.name) and sha256_of(blob) != blob.name:
            path.unlink()
            blob.unlink(missing_ok=True)
            raise HubError(
                f"{repo} ({name}): is not the file that the Hub has, and was removed; run again to download it"
            )


def missing(repo: Repo, names: Sequence[str]) -> list[str]:
    """Return the named files that the cache does not hold."""
    return [name for name in names if _find(repo, name) is None]


def cached(repo: Repo, name: str) -> Path:
    """Return where the cache holds a file that was fetched."""
    path = _find(repo, name)
    assert path is not None, f"{name} was fetched"
    return path


def _find(repo: Repo, name: str) -> Path | None:
    with suppress(ValueError):  # a name that no repository can hold: absolute, or with `..`
        found = huggingface_hub.try_to_load_from_cache(repo.id, name, revision=repo.revision, repo_type=repo.type)
        return Path(found) if isinstance(found, str) else None
    return None


def some(files: Sequence[str], like: str = "") -> str:
    """Return the names of a few files, those most similar to `like` first."""
    chosen = difflib.get_close_matches(like, files, n=_MOST_NAMES, cutoff=0.0) if like else files[:_MOST_NAMES]
    more = f" and {len(files) - len(chosen)} more" if len(files) > len(chosen) else ""
    return (", ".join(chosen) or "none") + more


def hub_address() -> str:
    """Return the Hub's address, without the password that HF_ENDPOINT may hold."""
    return re.sub("//[^/@]*@", "//", constants.ENDPOINT)


BROKEN = "the connection broke; run again: complete files are kept, and the rest is downloaded again"
WITHOUT_XET = "if the network blocks the Hub's Xet storage, set HF_HUB_DISABLE_XET=1"


@contextmanager
def hub_errors(repo: Repo, names: Sequence[str] = ()) -> Iterator[None]:
    """Turn what `huggingface_hub` raises into HubError: what is wrong, where, and what to do, in one line."""
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # its public alias, whatever it is built on

    try:
        yield
    except (OSError, ValueError, RuntimeError, httpx.HTTPError) as error:
        where = f"{repo} ({some(missing(repo, names))})" if names else str(repo)
        raise HubError(f"{where}: {_explain(error, repo)}") from error


def _explain(error: Exception, repo: Repo) -> str:
    """Return what is wrong and what to do. The libraries' own messages may hold signed addresses."""
    from huggingface_hub import errors

    cause = error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) else None
    match cause or error:
        case errors.HfHubHTTPError() as answer:
            text = _explain_answer(answer, repo)
        case errors.OfflineModeIsEnabled():
            text = "the cache does not hold it all, and HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set; unset it once"
        case RuntimeError():  # all that hf_xet raises, after two minutes of attempts
            text = f"{BROKEN}; {WITHOUT_XET}"
        case errors.HFValidationError():
            text = f"that is not a repository's name; set {repo.group}.repo to its owner/name"
        case OSError(errno=int(), strerror=reason):
            text = f"can't write to the cache {constants.HF_HUB_CACHE} ({reason}); free disk space, or set HF_HOME elsewhere"
        case fault:
            text = explain_connection(fault)
    return text


def explain_connection(error: BaseException) -> str:
    """Return what is wrong with the connection to the Hub and what to do, whatever was asked."""
    from huggingface_hub import errors
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    match error:
        case httpx.ConnectError() | httpx.TimeoutException() | httpx.ProxyError() | httpx.UnsupportedProtocol():
            return (
                f"can't reach {hub_address()} ({error}); check the network, HF_ENDPOINT and HTTPS_PROXY, then run again"
            )
        case UnicodeEncodeError():
            return "the token contains invalid characters; set HF_TOKEN again"
        case errors.FileMetadataError() | ValueError():
            return (
                f"{hub_address()} does not answer like the Hugging Face Hub; "
                "check HF_ENDPOINT, and whether the network wants a login"
            )
        case _:
            return BROKEN


def explain_status(error: "HfHubHTTPError") -> str:
    """Return what to do after an answer that has nothing to do with what was asked, as when the Hub is overloaded."""
    status = error.response.status_code
    if status == 429:
        return f"{hub_address()} has had too many requests (429); wait some minutes, or set HF_TOKEN, which raises the limit"
    return f"{hub_address()} answered {status} {error.response.reason_phrase}; this is a server error: try again later"


def _explain_answer(error: "HfHubHTTPError", repo: Repo) -> str:
    from huggingface_hub import errors

    status = error.response.status_code
    with_token = "authorization" in error.response.request.headers
    if isinstance(error, errors.RevisionNotFoundError):
        text = f"it has no such revision; set {repo.group}.revision to one that {repo.page}/commits/main lists"
    elif isinstance(error, errors.GatedRepoError) and with_token:
        text = f"it is gated, and the token's account has no access; ask for it at {repo.page}, or set another HF_TOKEN"
    elif isinstance(error, errors.GatedRepoError):
        text = f"it is gated; accept its terms at {repo.page}, then set HF_TOKEN to a token of that account"
    elif "Invalid credentials" in (error.server_message or ""):
        text = "the Hub does not know the token; set HF_TOKEN to a valid one, or unset it if the repository is public"
    elif isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403):
        why = "the token may not read it" if with_token else "it is private"
        text = f"no such repository, or {why}; check {repo.group}.repo, or set HF_TOKEN to a token that may read it"
    else:
        text = explain_status(error)
    return text


CONFIG = "config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
"""Names the files that hold the weights, where these are too large for one."""
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
    "vocab.model",
    "spiece.vocab",
    "dict.txt",
    "word_shape.json",
    "word_pronunciation.json",
    "entity_vocab.json",
)
"""Every file name that a tokenizer may have; a model has a few of them."""

if not sys.stderr.isatty():
    disable_progress_bars()


def fetch_dataset(config: HubData) -> dict[Split, list[Path]]:
    """Fetch the files that each split of `config` names by paths or globs inside the repository; return where they are.

    The files of a glob are sorted. A file that two globs match is returned once. A split that `config` leaves out is left
    out. Raises HubError with what to do about it.
    """
    repo = Repo("dataset", config.repo, config.revision)
    patterns = {split: [found] if isinstance(found, str) else found for split, found in config.locations.items()}
    files = _list_files(repo, enough=[pattern for found in patterns.values() for pattern in found])
    names = {
        split: list(
            dict.fromkeys(name for pattern in found for name in _matches(repo, f"data.{split}", pattern, files))
        )
        for split, found in patterns.items()
    }
    _fetch(repo, [name for found in names.values() for name in found])
    return {split: [cached(repo, name) for name in found] for split, found in names.items()}


def fetch_model(config: HubModel) -> Path:
    """Fetch the model's configuration, safetensors weights and tokenizer files; return the folder that holds them.

    The folder belongs to the shared cache: another program may have put more files of the same commit there.
    Raises HubError with what to do about it.
    """
    repo = Repo("model", config.repo, config.revision)
    files = _list_files(repo)
    weights = WEIGHTS if WEIGHTS in files else WEIGHTS_INDEX
    for name in (CONFIG, weights):
        if name not in files:
            raise HubError(
                f"{repo}: has no {WEIGHTS if name == weights else name}, only {some(files, like=name)}; weights are read from "
                "safetensors files, pickled weights are not loaded: choose a model.repo or model.revision that has them"
            )
    _fetch(repo, [name for name in (CONFIG, weights, *TOKENIZER_FILES) if name in files])
    if weights == WEIGHTS_INDEX:
        _fetch(repo, [name for name in shards_of(cached(repo, weights)) if name in files])
    return cached(repo, CONFIG).parent


def shards_of(index: Path) -> list[str]:
    """Return the names of the files that an index of weights names, sorted. Raise ModelError if it is damaged."""
    try:
        names = sorted(set(read_json(index)["weight_map"].values()))
    except (KeyError, AttributeError, TypeError) as error:
        raise ModelError(f"{index.name}: names no weights; download it again") from error
    if any(Path(name).name != name for name in names):
        raise ModelError(f"{index.name}: names files outside its folder")
    return names


def _list_files(repo: Repo, enough: Sequence[str] = ()) -> list[str]:
    """Return the paths of the repository's files, from the cache or else the Hub; only `enough` if all of these are cached."""
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    with hub_errors(repo):
        if enough and not missing(repo, enough):
            return sorted(enough)
        try:
            tree = huggingface_hub.get_cached_repo_tree(repo.id, repo_type=repo.type, revision=repo.revision)
            return sorted(file.path for file in tree)
        except CachedRepoTreeNotFoundError:
            # The first request to the Hub. huggingface_hub retries most requests for 23 s, some without a timeout. That is
            # right for a short outage in the middle, but a user without a network should learn of it at once.
            info = huggingface_hub.HfApi().repo_info(
                repo.id, repo_type=repo.type, revision=repo.revision, timeout=constants.HF_HUB_ETAG_TIMEOUT
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
    """Match as for local files: `*` matches within one folder, `**` any number of folders."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_match(path[depth:], pattern[1:]) for depth in range(len(path) + 1))
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _match(path[1:], pattern[1:])


def _fetch(repo: Repo, names: Sequence[str]) -> None:
    """Fetch the named files that the cache lacks; each appears there whole or not at all."""
    lacking = missing(repo, names)
    if lacking:
        with hub_errors(repo, names):
            huggingface_hub.snapshot_download(
                repo.id,
                repo_type=repo.type,
                revision=repo.revision,
                allow_patterns=[glob.escape(name) for name in lacking],
            )
    if left := missing(repo, names):  # if the Hub goes away, snapshot_download may settle for what the cache holds
        raise HubError(f"{repo} ({some(left)}): {BROKEN}")
    require_whole(repo, names)
