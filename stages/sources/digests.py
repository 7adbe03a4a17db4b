"""SHA-256 of the files that data are read from: held against the configuration, and told in the metrics."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stages.configuration.schema import Split
from stages.pipeline.errors import DataError

if TYPE_CHECKING:
    from stages.sources.locations import Located


def sha256_of(path: Path) -> str:
    """A file's SHA-256, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked_digests(split: Split, files: "Sequence[Located]", wanted: str | list[str] | None) -> list[str]:
    """The SHA-256 of each file; folders have none. Raises DataError if they are not those `wanted`."""
    digests = [sha256_of(file.path) for file in files if file.path.is_file()]
    if wanted is None:
        return digests
    expected = [wanted] if isinstance(wanted, str) else wanted
    key = f"data.sha256.{split}"
    if len(digests) < len(files) or len(digests) != len(expected):
        raise DataError(
            f"{key}: {len(expected)} for {len(files)} files and folders; name files alone in data.{split}, and give one "
            "digest for each, in the same order"
        )
    for file, found, digest in zip(files, digests, expected, strict=True):
        if found != digest:
            raise DataError(
                f"{file.name}: has SHA-256 {found}, but {key} says {digest}; fetch the right file, or change {key} if "
                "you trust this one"
            )
    return digests
