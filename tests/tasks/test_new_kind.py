"""A kind of task is what its registered parts say: no other code tells kinds apart, and a new one needs no other change."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import load_from_disk
from tokenizers import Tokenizer

from stages.configuration.composition import compose_params
from stages.pipeline.errors import ConfigError
from tests.support.imports import ROOT
from tests.support.tiny import write_tiny_model
from tests.support.workspace import Workspace

# Nothing else asks

STILL_ASKING = {"stages/comparison/results.py", "stages/scoring/evaluation/predictions_file.py"}
"""Files that read the target off a predictions file's schema, which another tool may have written."""


def _is_kind(node: ast.expr) -> bool:
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name in ("kind", "target")


def _is_literal(node: ast.expr) -> bool:
    parts = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return any(isinstance(part, ast.Constant) and isinstance(part.value, str) for part in parts)


def asks_for_the_kind(source: str) -> bool:
    """Whether code compares a kind or target with names that it spells out, or looks it up among such names."""
    return any(map(_asks, ast.walk(ast.parse(source))))


def _asks(node: ast.AST) -> bool:
    match node:
        case ast.Compare():
            sides = [node.left, *node.comparators]
            return any(map(_is_kind, sides)) and any(map(_is_literal, sides))
        case ast.Match():
            return _is_kind(node.subject)
        case ast.Subscript(value=ast.Dict()):
            return _is_kind(node.slice)
        case ast.Call(func=ast.Attribute(value=ast.Dict()), args=[first, *_]):
            return _is_kind(first)
        case _:
            return False


@pytest.mark.parametrize(
    "source",
    [
        'if config.task.kind == "text": pass',
        'x = 1 if "tokens" != kind else 2',
        'if target in ("label", "labels"): pass',
        'match config.target:\n    case "label": pass',
        'x = {"label": 1, "labels": 2}[target]',
        'x = {"text": 1}.get(config.kind)',
    ],
)
def test_asking_is_noticed(source: str) -> None:
    assert asks_for_the_kind(source)


@pytest.mark.parametrize("source", ["x = task.kind == data.kind", "x = TASKS[config.kind]", 'x = {"kind": kind}'])
def test_handing_on_is_not_asking(source: str) -> None:
    assert not asks_for_the_kind(source)


def test_no_code_tells_kinds_of_tasks_apart_by_name() -> None:
    files = sorted((ROOT / "stages").rglob("*.py"))
    found = {file.relative_to(ROOT).as_posix() for file in files if asks_for_the_kind(file.read_text(encoding="utf-8"))}
    assert found <= STILL_ASKING


def test_reading_and_encoding_data_import_neither_torch_nor_transformers() -> None:
    """They take seconds to import, and only what the model computes needs them."""
    program = "import sys, stages.download, stages.tokenize; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# A new kind

SMALL = [
    "data=files", "model=files", "task.kind=grade", "task.metric=accuracy", "threads=1", "tokenize.max_length=16",
    "tokenize.stride=4", "train.epochs=2", "train.learning_rate=1e-3", "train.precision=fp32", "evaluate.precision=fp32",
    "export.max_loss=1.0", "evaluate.slices=[length]",
]  # fmt: skip
GRADES = ("bad", "fair", "good")


class GradedWorkspace(Workspace):
    """A workspace whose Python registers the kind as it starts."""

    def __init__(self, root: Path) -> None:
        self.hook = root / "hook"
        super().__init__(root / "clone")
        self.hook.mkdir()
        shutil.copyfile(ROOT / "tests/support/graded_texts.py", self.hook / "graded_texts.py")
        (self.hook / "sitecustomize.py").write_text("import graded_texts\n", encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "PYTHONPATH": f"{self.hook}{os.pathsep}{self.root}"}


def write_texts(file: Path, count: int, seed: int) -> None:
    """Texts of up to 40 words, some of them longer than a row."""
    generator = np.random.default_rng(seed)
    lines = []
    for _ in range(count):
        words = generator.choice(["the", "order", "city", "team", "great", "paris"], size=generator.integers(1, 40))
        lines.append(json.dumps({"text": " ".join(words), "label": GRADES[generator.integers(3)]}))
    file.write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> GradedWorkspace:
    """A workspace in which all stages have run."""
    folder = tmp_path_factory.mktemp("graded")
    workspace, model = GradedWorkspace(folder), write_tiny_model(folder / "model")
    for split, count in (("train", 60), ("test", 30)):
        write_texts(folder / f"{split}.jsonl", count, seed=count)
    data = [f"data.{split}={folder / split}.jsonl" for split in ("train", "test")]
    names = f"data.label_names=[{','.join(GRADES)}]"
    workspace.python("stages.configuration.compose", *SMALL, *data, names, f"model.path={model}")
    for stage in ("download", "tokenize", "train", "evaluate", "export"):
        workspace.python(f"stages.{stage}")
    return workspace


@pytest.mark.slow
def test_a_new_kind_is_encoded_as_it_says(graded: GradedWorkspace) -> None:
    raw = load_from_disk(str(graded.root / "data/raw"))["test"]
    tokenized = load_from_disk(str(graded.root / "data/tokenized"))["test"]
    tokenizer = Tokenizer.from_file(str(graded.root / "models/base/tokenizer/tokenizer.json"))
    assert tokenized["example"][:] == list(range(len(raw)))
    for text, ids in zip(raw["text"], tokenized["input_ids"], strict=True):
        assert ids[1:-1] == tokenizer.encode(text, add_special_tokens=False).ids[-14:]
    assert max(tokenized["subwords"][:]) > 16


@pytest.mark.slow
def test_a_new_kind_is_decoded_and_scored_as_it_says(graded: GradedWorkspace) -> None:
    table = pq.read_table(graded.root / "data/predictions/test.parquet")
    assert table.schema.metadata[b"stagewright.task"] == b"grade"
    probabilities = np.array([[row[name] for name in GRADES] for row in table["probabilities"].to_pylist()])
    mean = probabilities @ np.arange(3)
    clear = np.abs(mean - np.floor(mean) - 0.5) > 1e-4  # probabilities in the file are rounded
    predicted = np.array(table["predicted"].to_pylist())
    assert clear.sum() > 20
    assert predicted[clear].tolist() == [GRADES[code] for code in np.rint(mean[clear]).astype(int)]
    assert (predicted != np.array(GRADES)[probabilities.argmax(axis=1)]).any()  # not the most probable one
    gold = np.array([GRADES.index(name) for name in table["gold"].to_pylist()])
    assert table["loss"].to_numpy() == pytest.approx(np.square(mean - gold), abs=1e-4)
    scores = graded.metrics("evaluate")
    assert scores["accuracy"] == pytest.approx((np.array(GRADES)[gold] == predicted).mean(), abs=1e-6)
    assert scores["loss"] == pytest.approx(np.square(mean - gold).mean(), abs=1e-4)


@pytest.mark.slow
def test_a_new_kind_is_validated_and_exported_as_it_says(graded: GradedWorkspace) -> None:
    validation = graded.metrics("train")["validation"]
    assert list(validation) == ["accuracy", "precision", "recall", "f1", "loss"]
    assert 0 <= validation["loss"] <= 4  # a squared distance of grades
    exported = graded.metrics("export")
    assert exported["int8"]["exported"] is True
    assert exported["onnx_largest_difference"] <= 1e-4
    card = (graded.root / "models/export/README.md").read_text(encoding="utf-8")
    assert "@ np.arange(len(labels))" in card and "pipeline_tag: text-classification" in card


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("task.metric=f1", "task.metric=f1 can't be computed for task.target=label; choose from accuracy, loss"),
        ("task.target=labels", "task.target=labels is not for task.kind=grade; set task.target=label"),
        ("train.label_smoothing=0.1", "train.label_smoothing=0.1 is for single-label classification"),
        ("task.kind=mark", "task.kind=mark: choose from 'text', 'tokens' or 'grade'"),
    ],
)
def test_the_faults_of_a_new_kind_are_told(graded: GradedWorkspace, override: str, told: str) -> None:
    failed = graded.run(sys.executable, "-m", "stages.tokenize", override)
    assert failed.returncode == 1
    assert told in failed.stderr


def test_a_kind_that_nobody_registered_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match=r"task\.kind=grade: choose from 'text' or 'tokens'"):
        compose_params(["task.kind=grade"])
