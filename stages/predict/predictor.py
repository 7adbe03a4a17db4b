"""An exported model that is loaded: texts or words in, labels and probabilities out.

Rows, windows, stitching, threshold and decoding are those of the evaluate stage, by the same code.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import pyarrow as pa
from datasets import Dataset
from transformers import AutoConfig, PreTrainedModel

from stages.columns.arrays import lengths
from stages.columns.names import INPUT_IDS, SECOND_TEXT, TEXT, TOKENS
from stages.configuration.kinds import labels_words
from stages.configuration.schema import Decode
from stages.exporting.exported_files import ONNX, ONNX_INT8
from stages.modeling.batch_format import BatchFormat, read_batch_format
from stages.modeling.batches import PaddingCollator
from stages.modeling.gpu.proof import use_packing
from stages.modeling.load import trained_model
from stages.modeling.precision import Precision, device, usable_precision
from stages.modeling.prediction import longest_rows, predict, rows_to_try
from stages.modeling.preparation import Use, prepare
from stages.pipeline.errors import ModelError
from stages.predict.settings import PredictionSettings, read_settings
from stages.tasks.encoding.encodings import encoding_for
from stages.tasks.encoding.subwords import SubwordEncoder
from stages.tasks.predictions_table import Predicted, predictions, require_coverage
from stages.tasks.registry import task_for
from stages.tasks.task import Task

Runtime: TypeAlias = Literal["auto", "torch", "onnx", "int8"]


@dataclass(frozen=True)
class PredictionOptions:
    """How an exported model computes."""

    runtime: Runtime = "auto"
    """`int8`: ONNX Runtime with products in int8. `auto`: that where the export has it and there is no GPU, else PyTorch."""
    batch_size: int = 32
    """Rows in a forward pass if they are as long as the longest one; of shorter rows more are taken."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """As `evaluate.precision`; only for PyTorch."""
    decode: Decode | None = None
    """How tags are chosen, as `task.decode`; None: as the model was evaluated."""


class Predictor:
    """An exported model, loaded."""

    def __init__(self, folder: Path, options: PredictionOptions) -> None:
        """Load the model in the folder. Raise ModelError if Stagewright did not export it, or it can't be decoded as asked."""
        self.settings = read_settings(folder)
        self.task = _task_of(self.settings, folder, options.decode)
        self.labels = _labels_of(folder, self.task)
        self._encoder = SubwordEncoder(folder, self.settings.tokenize.max_length)
        self._encoding = encoding_for(self.settings.task.kind)
        self._options = options
        self.format: BatchFormat = read_batch_format(folder)
        self.runtime = _chosen(options.runtime, folder)
        self._model = _loaded(self.task, folder, self.runtime)
        self._precision: Precision | None = "fp32" if self.runtime != "torch" else None
        self._longest = 0

    @property
    def takes_words(self) -> bool:
        """Whether the model labels words, and not texts."""
        return self._encoding.pretokenized

    def label_texts(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> pa.Table:
        """Return the predictions for texts, or pairs of texts, as a table with one row a text.

        Its columns are `predicted` and, as the task has them, `score` and `probabilities`.
        """
        columns = {TEXT: pa.array(texts, pa.string())}
        if pairs is not None:
            columns[SECOND_TEXT] = pa.array(pairs, pa.string())
        return self._predictions(columns)

    def label_words(self, sentences: Sequence[Sequence[str]]) -> pa.Table:
        """Return the predictions for sentences of words, as a table with one row a word.

        Its columns are `predicted`, `score` and `probabilities`.
        """
        return self._predictions({TOKENS: pa.array(sentences, pa.list_(pa.string()))})

    def _predictions(self, columns: dict[str, pa.Array]) -> pa.Table:
        raw = self.task.unlabelled(columns, self.labels)
        tokenized = self._encoded(raw)
        gold = self.task.raw_gold(raw)
        units = self.task.decode(tokenized, self._readings(tokenized))
        require_coverage(units, gold, raw)
        table = predictions(raw, self.task, Predicted(units, gold, np.zeros(len(gold.label), bool)), self.labels)
        return table.select([name for name in ("predicted", "score", "probabilities") if name in table.column_names])

    def _encoded(self, raw: Dataset) -> Dataset:
        features = self._encoding.features(raw.features, self._encoder)
        columns = self._encoding.encode(raw, self._encoder, self.settings.tokenize, first_example=0)
        return Dataset(pa.table(columns, schema=features.arrow_schema), fingerprint="unlabelled")

    def _readings(self, tokenized: Dataset) -> Any:
        collate = PaddingCollator(self.format)
        longest = int(lengths(tokenized, INPUT_IDS).max(initial=0))
        is_first = self._precision is None
        if is_first or (
            self._precision == "bf16" and longest > self._longest
        ):  # some models compute only short rows in bf16
            rows = longest_rows(tokenized, collate)
            self._precision = usable_precision(self._options.precision, self._model, rows, training=False)
            self._longest = longest
        assert self._precision is not None
        if is_first:
            use_packing(self._model, rows_to_try(tokenized, collate), self._precision, training=False)
        return predict(self._model, tokenized, collate, batch_size=self._options.batch_size, precision=self._precision)


def _task_of(settings: PredictionSettings, folder: Path, decode: Decode | None) -> Task:
    config = settings.task if decode is None else replace(settings.task, decode=decode)
    if config.decode != "argmax" and not labels_words(config.kind):
        raise ModelError(f"{folder}: labels texts, and decode={config.decode} chooses the tags of words; leave it out")
    return task_for(config).trained(folder)


def _labels_of(folder: Path, task: Task) -> tuple[str, ...]:
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    return tuple(config.id2label.values()) if task.has_labels else ()


def _chosen(runtime: Runtime, folder: Path) -> Literal["torch", "onnx", "int8"]:
    """Replace `auto`. Raise ModelError if the export has no such model."""
    if runtime == "auto":
        return "int8" if (folder / ONNX_INT8).is_file() and device().type == "cpu" else "torch"
    file = {"onnx": ONNX, "int8": ONNX_INT8}.get(runtime)
    if file is not None and not (folder / file).is_file():
        raise ModelError(f"{folder}: has no {file}, which --runtime={runtime} takes; choose --runtime=torch")
    return runtime


def _loaded(task: Task, folder: Path, runtime: Literal["torch", "onnx", "int8"]) -> PreTrainedModel:
    if runtime == "torch":
        return prepare(trained_model(task, folder), Use("prediction"))
    from stages.exporting.onnx_scores import OnnxModel  # importing ONNX Runtime takes time

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    file = ONNX if runtime == "onnx" else ONNX_INT8
    return cast(PreTrainedModel, OnnxModel(folder / file, config))  # it has what `predict` uses of one
