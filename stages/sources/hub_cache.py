"""A repository at a pinned commit, and what the Hugging Face cache holds of it."""

import difflib
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import huggingface_hub
from huggingface_hub import constants

from stages.pipeline.errors import HubError
from stages.sources.digests import sha256_of

_SHA256 = re.compile("[0-9a-f]{64}")
_MOST_NAMES = 5
"""How many files a message lists."""


@dataclass(frozen=True)
class Repo:
    """A data set's or model's repository at one commit."""

    kind: Literal["dataset", "model"]
    id: str
    revision: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id} at {self.revision}"

    @property
    def group(self) -> str:
        """The configuration group that names it."""
        return "data" if self.kind == "dataset" else "model"

    @property
    def page(self) -> str:
        """Its address for people."""
        return f"{hub_address()}/datasets/{self.id}" if self.kind == "dataset" else f"{hub_address()}/{self.id}"


def require_whole(repo: Repo, names: Sequence[str]) -> None:
    """Hold big files against the SHA-256 that the Hub has given for them at this commit: the cache calls them by it.

    `huggingface_hub` looks at the size alone. A file that is not the Hub's is removed: it would be taken again.
    """
    for name in names:
        path = cached(repo, name)
        blob = path.resolve()
        if path.is_symlink() and _SHA256.fullmatch(blob.name) and sha256_of(blob) != blob.name:
            path.unlink()
            blob.unlink(missing_ok=True)
            raise HubError(
                f"{repo} ({name}): is not the file that the Hub has, and was removed; run again to fetch it anew"
            )


def missing(repo: Repo, names: Sequence[str]) -> list[str]:
    """The named files that the cache does not hold."""
    return [name for name in names if _find(repo, name) is None]


def cached(repo: Repo, name: str) -> Path:
    """Where the cache holds a file that was fetched."""
    path = _find(repo, name)
    assert path is not None, f"{name} was fetched"
    return path


def _find(repo: Repo, name: str) -> Path | None:
    with suppress(ValueError):  # a name that no repository can hold: absolute, or with `..`
        found = huggingface_hub.try_to_load_from_cache(repo.id, name, revision=repo.revision, repo_type=repo.kind)
        return Path(found) if isinstance(found, str) else None
    return None


def some(files: Sequence[str], like: str = "") -> str:
    """A few of the files, those that resemble `like` first."""
    chosen = difflib.get_close_matches(like, files, n=_MOST_NAMES, cutoff=0.0) if like else files[:_MOST_NAMES]
    more = f" and {len(files) - len(chosen)} more" if len(files) > len(chosen) else ""
    return (", ".join(chosen) or "none") + more


def hub_address() -> str:
    """The Hub's address, without the password that HF_ENDPOINT may hold."""
    return re.sub("//[^/@]*@", "//", constants.ENDPOINT)
