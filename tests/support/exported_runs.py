"""Tiny runs of all five stages, one for each task, so that there is an exported model of each."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from stages.configuration.composition import compose_params
from stages.configuration.schema import DownloadStage, EvaluateStage, ExportStage, Params, TokenizeStage, TrainStage
from stages.configuration.validation import select, validate
from stages.download import download
from stages.evaluate import evaluate
from stages.export import export
from stages.tokenize import tokenize
from stages.train import train
from tests.support.imports import ROOT
from tests.support.tiny import write_tiny_model

TASKS = ("text", "pairs", "multilabel", "regression", "tokens")
_SMALL = [
    "model=files", "train.max_steps=4", "train.batch_size=4", "train.learning_rate=3e-3", "train.precision=fp32",
    "evaluate.precision=fp32", "evaluate.resamples=0", "tokenize.max_length=24", "tokenize.stride=4", "threads=1",
    "export.quantize=none",
]  # fmt: skip
"""Rows so short that many texts and sentences take several windows."""


class ExportedRuns(Mapping[str, Path]):
    """A folder with all that the five stages write, of each task. A run is made when it is first asked for."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._made: dict[str, Path] = {}
        self._model = write_tiny_model(folders.mktemp("base") / "model")

    def __len__(self) -> int:
        return len(TASKS)

    def __iter__(self) -> Iterator[str]:
        return iter(TASKS)

    def __getitem__(self, task: str) -> Path:
        if task not in self._made:
            root = self._folders.mktemp(task)
            _run(task, root, self._model)
            self._made[task] = root
        return self._made[task]


def _run(task: str, root: Path, model: Path) -> None:
    for name in ("dvc.yaml", "stages"):
        (root / name).symlink_to(ROOT / name)
    params = params_of(task, root, model)
    before = Path.cwd()
    os.chdir(root)
    try:
        for stage, config in (
            (download, DownloadStage), (tokenize, TokenizeStage), (train, TrainStage), (evaluate, EvaluateStage),
            (export, ExportStage),
        ):  # fmt: skip
            stage(select(params, config))  # type: ignore[operator]
    finally:
        os.chdir(before)


def params_of(task: str, root: Path, model: Path, *more: str) -> Params:
    """The parameters of a run on files that this writes into its folder."""
    onnx = "true" if task == "text" else "false"
    choices = [*_choices(task, root), *_SMALL, f"model.path={model}", f"export.onnx={onnx}", *more]
    return validate(compose_params(choices), "test")


def rows_of(task: str, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Made examples of a task of texts."""
    words = ["the", "order", "never", "great", "bad", "city", "team", "paris", "was", "my", "Zoë", "don't", "x1"]
    for row in range(count):
        text = " ".join(words[(seed + row * 7 + place * (row + 3)) % len(words)] for place in range(4 + row * 5 % 40))
        if task == "pairs":
            yield {"text": text, "text_pair": f"{text[:20]} again", "label": ["yes", "no", "maybe"][row % 3]}
        elif task == "multilabel":
            yield {"text": text, "label": [name for name in ("a", "b", "c") if (row + ord(name)) % 3]}
        elif task == "regression":
            yield {"text": text, "label": row / 7}
        else:
            yield {"text": text, "label": ["pos", "neg"][row % 2]}


def _choices(task: str, folder: Path) -> list[str]:
    if task == "tokens":
        return [
            "task=tokens",
            "task.decode=viterbi",
            "train.class_weights=balanced",
            "data=demo",
            "data.train=24",
            "data.validation=12",
            "data.test=20",
        ]
    for split, (count, seed) in {"train": (24, 0), "validation": (12, 1), "test": (21, 2)}.items():
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows_of(task, count, seed))
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    files = [f"data.{split}={folder / split}.jsonl" for split in ("train", "validation", "test")]
    return [f"task={'text' if task == 'pairs' else task}", "data=files", "data.kind=text", "data.name=made", *files]
