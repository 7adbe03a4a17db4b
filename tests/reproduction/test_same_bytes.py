"""Two clones of one commit, on machines as different as one machine can be: every output has the same hash.

The number of cores is left out here: `tests/test_compute.py` has it.
"""

import csv
import json
import os
import random
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
from datasets import load_from_disk

from tests.support.tiny import write_tiny_model
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow

SMALL = ["model=files", "train.epochs=2", "train.learning_rate=1e-3", "train.batch_size=8", "threads=2"]
OF_TASK = {
    "text": ["task=text", "data=files", "data.format=csv", "evaluate.slices=[length,label]"],
    "tokens": ["task=tokens", "data=files", "data.format=conll", "train.class_weights=balanced"],
}
FIRST = {"TZ": "Asia/Kolkata", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"}
SECOND = {
    "TZ": "America/St_Johns",
    "LC_ALL": "C",  # and no way out of it: files opened without an encoding are read as ASCII (paths as well, so this
    # clone's has none but ASCII characters)
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "latin-1",
    "PYTHONHASHSEED": "2",
    "OMP_NUM_THREADS": "3",
}
WORDS = ["Zoë", "Kraków", "Øresund", "東京", "naïve", "the", "city", "was", "great", "order"]


def write_texts(folder: Path, split: str, rows: int) -> None:
    generator = random.Random(split)
    with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in range(rows):
            label = ("gut", "größer", "ни то ни сё")[row % 3]
            writer.writerow([f"{split} {row} {' '.join(generator.choices(WORDS, k=2 + row % 40))}", label])


def write_sentences(folder: Path, split: str, rows: int) -> None:
    generator = random.Random(split)
    lines = []
    for row in range(rows):
        words = [f"{split}{row}", *generator.choices(WORDS, k=1 + row % 50)]
        lines += [f"{word}\t{'B-Örtlichkeit' if word[0].isupper() else 'O'}" for word in words] + [""]
    (folder / f"{split}.conll").write_text("\n".join(lines) + "\n", encoding="utf-8")


def data_settings(task: str, folder: Path) -> Iterator[str]:
    """Write data with words and labels beyond ASCII; yields the settings that name them."""
    folder.mkdir(parents=True)
    for split, rows in (("train", 64), ("validation", 24), ("test", 32)):
        (write_texts if task == "text" else write_sentences)(folder, split, rows)
        yield f"data.{split}='{folder}/{split}.{'csv' if task == 'text' else 'conll'}'"


@pytest.fixture(scope="module", params=list(OF_TASK))
def clones(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Workspace]:
    """Two clones of one commit, in each of which the pipeline has run."""
    task, root = request.param, tmp_path_factory.mktemp("same")
    model = write_tiny_model(root / "model", words=["the", "city", "was"])
    origin = Workspace(root / "origin")
    settings = [*SMALL, *OF_TASK[task], f"model.path={model}", *data_settings(task, root / "data of mine")]
    origin.python("stages.configuration.compose", *settings)
    origin.commit("settings")
    first, second = (Workspace.clone(origin, root / name) for name in ("ein Klön 二", "second"))
    run(first, umask="022", **FIRST)
    for file in second.root.rglob("*.py"):
        os.utime(file, (1, 1_000_000_000))
    run(second, umask="077", **SECOND)
    return first, second


def run(workspace: Workspace, umask: str, **environment: str) -> None:
    workspace.ok("sh", "-c", f"umask {umask} && exec dvc repro", **environment)


def outputs(workspace: Workspace) -> Iterator[Path]:
    """All files of all outputs."""
    for out in workspace.hashes():
        path = workspace.root / out
        yield from (file for file in ([path] if path.is_file() else sorted(path.rglob("*"))) if file.is_file())


def test_every_output_has_the_same_hash(clones: tuple[Workspace, Workspace]) -> None:
    first, second = (clone.hashes() for clone in clones)
    assert len(first) == 16
    assert first == second


def test_data_sets_are_loadable_by_the_datasets_library(clones: tuple[Workspace, Workspace]) -> None:
    for folder, rows in (("data/raw", 64), ("data/tokenized", 64)):
        found = load_from_disk(str(clones[0].root / folder))
        assert list(found) == ["train", "validation", "test"]
        assert found["train"].num_rows >= rows


def test_no_output_tells_when_or_where_it_was_made(clones: tuple[Workspace, Workspace]) -> None:
    for clone in clones:
        paths = [str(clone.root), str(clone.root.parent), str(Path.home()) + "/"]
        times = [f"{datetime.now(UTC):%Y-%m-%d}", socket.gethostname()]
        for file in outputs(clone):
            content = file.read_bytes()
            is_text = file.suffix in {".json", ".md", ".csv", ".tsv", ".txt"}
            for secret in [*paths, *(times if is_text else ())]:
                assert secret.encode() not in content, (file, secret)


def test_json_is_strict_and_metrics_have_six_decimals(clones: tuple[Workspace, Workspace]) -> None:
    def refuse(constant: str) -> NoReturn:
        raise AssertionError(constant)

    files = [file for file in outputs(clones[0]) if file.suffix == ".json"]
    assert len(files) > 12
    for file in files:
        content = json.loads(file.read_text(encoding="utf-8"), parse_constant=refuse)
        if file.parent.name == "metrics":
            assert all(round(number, 6) == number for number in floats(content)), file
    for file in outputs(clones[0]):
        if file.suffix in {".csv", ".tsv"}:
            assert not re.search(r"\b(nan|inf)\b", file.read_text(encoding="utf-8"), re.IGNORECASE), file


def floats(content: Any) -> Iterator[float]:
    if isinstance(content, float):
        yield content
    for item in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from floats(item)


def test_with_other_threads_all_but_training_and_export_give_the_same_bytes(
    clones: tuple[Workspace, Workspace],
) -> None:
    workspace, _ = clones
    for stage in ("download", "tokenize"):
        workspace.python(f"stages.{stage}", RAYON_NUM_THREADS="3", OMP_NUM_THREADS="3")
    workspace.python("stages.evaluate", "threads=3")
    assert "up to date" in workspace.ok("dvc", "status")


def test_what_the_stages_ran_on_is_recorded_and_may_differ(clones: tuple[Workspace, Workspace]) -> None:
    for clone in clones:
        runs = json.loads((clone.root / "metrics/runs.json").read_text(encoding="utf-8"))
        assert list(runs) == ["download", "tokenize", "train", "evaluate", "export"]
        assert {run["environment"]["revision"] for run in runs.values()} == {clone.git("rev-parse", "HEAD").strip()}
        assert {run["environment"]["dirty"] for run in runs.values()} == {False}
        assert runs["train"]["environment"]["compute"]["threads"] == 2
        assert runs["train"]["environment"]["compute"]["precision"] in ("fp32", "bf16")
