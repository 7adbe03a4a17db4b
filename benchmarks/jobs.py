"""What is timed on a CPU: the reference jobs."""

from pathlib import Path
from typing import Literal, get_args

Job = Literal["wnut17", "imdb"]
JOBS: tuple[Job, ...] = get_args(Job)

_MINILM = ("model=minilm",)
_REVIEWS = 2000


def overrides(job: Job, data: Path | None) -> list[str]:
    """As `python -m stages.configuration.compose` takes them. Without a folder of data they come from the Hub."""
    if job == "wnut17":
        return ["experiment=wnut17", *_MINILM, "train.learning_rate=1e-4", *_wnut17(data)]
    imdb = ["experiment=imdb", *_imdb(data), "tokenize.max_length=512", "tokenize.overflow=truncate"]
    limits = [f"data.max_examples.{split}={_REVIEWS}" for split in ("train", "test")]
    return [*imdb, *limits, "data.max_examples.validation=200", *_MINILM, "train.learning_rate=5e-5"]


def _wnut17(data: Path | None) -> list[str]:
    if data is None:
        return []
    folder = data.resolve() / "wnut17"
    return [
        "data=files",
        f"data.train={folder}/wnut17train.conll",
        f"data.validation={folder}/emerging.dev.conll",
        f"data.test={folder}/emerging.test.annotated",
    ]


def _imdb(data: Path | None) -> list[str]:
    if data is None:
        return []
    folder = data.resolve() / "imdb"
    return ["data=files", f"data.train={folder}/train.parquet", f"data.test={folder}/test.parquet"]
