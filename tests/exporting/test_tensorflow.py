"""The SavedModel: PyTorch's logits in TensorFlow alone, equal bytes, and training on with Keras."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer

from stages.columns.names import INPUT_IDS
from stages.configuration.composition import compose_params
from stages.configuration.schema import ExportStage, FilesModel, Kind, TaskConfig
from stages.configuration.validation import select, validate
from stages.export import export
from stages.exporting.onnx_model import inputs_of, session
from stages.exporting.tensorflow.operators import OPERATORS
from stages.exporting.tensorflow.saved_model import largest_difference, runner, write_saved_model
from stages.modeling.batch_format import read_batch_format
from stages.modeling.batches import PaddingCollator
from stages.modeling.load import new_model, trained_model
from stages.modeling.model_probe import probe_model
from stages.pipeline.arrow import load_split
from stages.pipeline.errors import ConfigError, ModelError
from stages.push.recorded_export import files_of
from stages.sources.base_model import write_base_model
from stages.tasks.encoding.subwords import SubwordEncoder
from stages.tasks.registry import task_for
from tests.architectures.families import write_family
from tests.support.exported_runs import params_of
from tests.support.imports import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

TASKS = ("text", "pairs", "tokens")
TENSORFLOW = ("export.tensorflow=true", "export.onnx=true")

ALONE = """
import sys

class OnlyTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "onnx", "stages"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, OnlyTensorFlow())
"""
"""As a process is in whose environment there is no PyTorch."""


def copied(run: Path, folder: Path) -> Path:
    """A folder that has what the export stage of a run reads."""
    (folder / "models").mkdir(parents=True)
    for name in ("data", "metrics", "models/trained", "dvc.yaml", "stages"):
        (folder / name).symlink_to(run / name)
    return folder


@pytest.fixture(scope="module")
def exports(exported_runs: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs whose export has a SavedModel."""
    made = {}
    for task in TASKS:
        made[task] = copied(exported_runs[task], tmp_path_factory.mktemp("tensorflow") / task)
        (made[task] / "metrics").unlink()
        (made[task] / "metrics").mkdir()
        for file in (exported_runs[task] / "metrics").glob("*.json"):
            (made[task] / "metrics" / file.name).symlink_to(file)
        (made[task] / "metrics/export.json").unlink()
        params = params_of(task, tmp_path_factory.mktemp("files"), exported_runs[task] / "models/base", *TENSORFLOW)
        with chdir(made[task]):
            export(select(params, ExportStage))
    return made


@pytest.mark.parametrize("task", TASKS)
def test_every_example_of_test_gets_pytorchs_logits(task: str, exports: dict[str, Path]) -> None:
    root = exports[task]
    metrics = json.loads((root / "metrics/export.json").read_text(encoding="utf-8"))
    assert 0 <= metrics["tensorflow_largest_difference"] <= 1e-4
    assert metrics["bytes"]["saved_model/saved_model.pb"] > 0
    kind: Kind = "tokens" if task == "tokens" else "text"
    model = trained_model(task_for(TaskConfig(kind, "label", "accuracy", "mean")), root / "models/trained").eval()
    format = read_batch_format(root / "models/trained")
    split = load_split(root / "data/tokenized", "test")
    split = split.select_columns(format.columns(split))
    run = runner(root / "models/export/saved_model")
    for begin in range(0, len(split), 5):
        batch = PaddingCollator(format)([split[row] for row in range(begin, min(begin + 5, len(split)))])
        found = run({name: tensor.numpy() for name, tensor in inputs_of(batch).items()})
        with torch.inference_mode():
            expected = model(**batch).logits.numpy()
        real = batch["attention_mask"].bool().numpy() if kind == "tokens" else np.ones(len(expected), bool)
        np.testing.assert_allclose(found[real], expected[real], atol=1e-4)
        np.testing.assert_array_equal(found[real].argmax(-1), expected[real].argmax(-1))


@pytest.mark.parametrize("task", ["text", "tokens"])
def test_pytorch_onnx_and_tensorflow_give_a_sentence_the_same_labels(task: str, exports: dict[str, Path]) -> None:
    folder = exports[task] / "models/export"
    rows = AutoTokenizer.from_pretrained(folder)("my order never was in paris: the team was great", return_tensors="np")
    model = AutoModelForSequenceClassification if task == "text" else AutoModelForTokenClassification
    with torch.inference_mode():
        expected = model.from_pretrained(folder).eval()(**rows.convert_to_tensors("pt")).logits.argmax(-1).numpy()
    inputs = {name: np.asarray(rows[name], np.int64) for name in ("input_ids", "attention_mask")}
    (onnx,) = session(folder / "model.onnx").run(["logits"], inputs)
    np.testing.assert_array_equal(onnx.argmax(-1), expected)
    np.testing.assert_array_equal(runner(folder / "saved_model")(inputs).argmax(-1), expected)


@pytest.mark.parametrize("task", ["text", "tokens"])
def test_the_cards_code_prints_labels(task: str, exports: dict[str, Path]) -> None:
    folder = exports[task] / "models/export"
    card = (folder / "README.md").read_text(encoding="utf-8")
    (block,) = [found for found in re.findall(r"```python\n(.*?)```", card, re.DOTALL) if "import tensorflow" in found]
    printed = StringIO()
    with redirect_stdout(printed):
        exec(block.replace("path/to/this/folder", str(folder)), {})  # noqa: S102 (ours)
    names = json.loads((folder / "config.json").read_text(encoding="utf-8"))["label2id"]
    assert any(repr(name) in printed.getvalue() for name in names)


def test_equal_models_have_equal_bytes(exports: dict[str, Path], tmp_path: Path) -> None:
    """In processes of their own, as stages run."""
    folders = [copied(exports["text"], tmp_path / name) for name in ("first", "another folder")]
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from stages.configuration.schema import TaskConfig
from stages.exporting.tensorflow.saved_model import write_saved_model
from stages.modeling.batch_format import read_batch_format
from stages.modeling.batches import PaddingCollator
from stages.modeling.load import trained_model
from stages.tasks.registry import task_for
trained = Path("models/trained")
model = trained_model(task_for(TaskConfig("text", "label", "accuracy", "mean")), trained)
batch = PaddingCollator(read_batch_format(trained))([{{"input_ids": [2, 5, 3]}}, {{"input_ids": [2, 3]}}])
write_saved_model(model, batch, Path("saved_model"))
"""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=folder,
            env=os.environ | {"PYTHONHASHSEED": str(seed)},
            stderr=subprocess.PIPE,
        )
        for seed, folder in enumerate(folders)
    ]
    for process in running:
        _, told = process.communicate()
        assert process.returncode == 0 and b"oneDNN" not in told and b"WARNING" not in told, told
    first, second = (files_of(folder / "saved_model") for folder in folders)
    assert first == second and len(first) == 3
    assert str(tmp_path).encode() not in (folders[0] / "saved_model/saved_model.pb").read_bytes()


def test_the_documents_code_predicts_trains_and_goes_back_to_pytorch(exports: dict[str, Path], tmp_path: Path) -> None:
    page = (ROOT / "docs/tensorflow.md").read_text(encoding="utf-8")
    predict, keras, train, back = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    root = exports["text"]
    for name in ("data", "models"):
        (tmp_path / name).mkdir()
    (tmp_path / "data/tokenized").symlink_to(root / "data/tokenized")
    (tmp_path / "models/export").symlink_to(root / "models/export")
    check = """
ids = [2, 9, 7, 3]
found = layer.loaded.serve({"input_ids": tf.constant([ids], tf.int64), "attention_mask": tf.constant([[1] * 4], tf.int64)})
with torch.inference_mode():
    again = AutoModelForSequenceClassification.from_pretrained("models/keras").eval()(torch.tensor([ids])).logits
    before = AutoModelForSequenceClassification.from_pretrained("models/export").eval()(torch.tensor([ids])).logits
print(abs(found.numpy() - again.numpy()).max() < 1e-4, bool(abs(before - again).max() > 1e-3))
"""
    code = "\n".join(
        [
            ALONE,
            predict.replace("[101, 2307, 102]", "[2, 9, 3]"),
            "sys.meta_path.pop(0)",
            keras,
            train.replace("5e-5", "1e-3"),
            back,
            check,
        ]
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "True True"


@pytest.mark.parametrize(("family", "kind"), [("gpt_neo", "text"), ("deberta-v2", "tokens")])
def test_other_families(family: str, kind: Kind, tmp_path: Path) -> None:
    """GPT-Neo's norms were 0.004 off as TensorFlow's optimizer has oneDNN compute them; DeBERTa's attention gathers."""
    weights, tokenizer = tmp_path / "weights", tmp_path / "tokenizer"
    write_family(family, tmp_path / "model")
    source = FilesModel(source="files", name=family, path=str(tmp_path / "model"))
    write_base_model(source, weights, tokenizer, for_words=kind == "tokens")
    task = task_for(TaskConfig(kind, "label", "loss", "mean"))
    collate = PaddingCollator(probe_model(task, weights, tokenizer, family).format)
    encoder = SubwordEncoder(tokenizer, None)
    torch.manual_seed(0)
    model = new_model(task, weights, ("a", "b", "c"), padding=encoder.padding_id).eval()
    codes = np.resize(encoder.ordinary_codes(), 40)
    rows = [{INPUT_IDS: encoder.template.row(codes[:length])} for length in (20, 7, 40, 1)]
    write_saved_model(model, collate(rows[:2]), tmp_path / "saved_model")
    assert largest_difference(tmp_path / "saved_model", model, collate(rows), 1e-4) <= 1e-4


def test_another_models_logits_are_noticed(exports: dict[str, Path]) -> None:
    trained = exports["text"] / "models/trained"
    model = trained_model(task_for(TaskConfig("text", "label", "accuracy", "mean")), trained).eval()
    with torch.no_grad():
        next(model.classifier.parameters()).mul_(2)
    batch = PaddingCollator(read_batch_format(trained))([{INPUT_IDS: [2, 5, 9, 3]}])
    with pytest.raises(ModelError, match=r"TensorFlow and torch logits differ by .*export\.tensorflow=false"):
        largest_difference(exports["text"] / "models/export/saved_model", model, batch, 1e-4)


def test_what_has_no_translation_ends_the_stage_in_one_line(
    exports: dict[str, Path], exported_runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copied(exports["text"], tmp_path / "run")
    params = params_of("text", tmp_path, exported_runs["text"] / "models/base", *TENSORFLOW)
    monkeypatch.delitem(OPERATORS, "Softmax")
    monkeypatch.chdir(root)
    with pytest.raises(ModelError, match=r"^export: \w+ can't be exported to TensorFlow \(the operator Softmax\)$"):
        export(select(params, ExportStage))
    assert not Path("models/export").exists()


def test_without_the_extra_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.configuration.contradictions.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"TensorFlow is not installed; run .*'stagewright\[tensorflow\]'"):
        validate(compose_params(["export.tensorflow=true"]), "test")
    validate(compose_params([]), "test")
