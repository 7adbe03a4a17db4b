"""The ONNX models of an export: one with the logits of the torch model, and one in int8 with what it costs."""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from datasets import Dataset
from transformers import PreTrainedModel

from stages.columns.arrays import lengths
from stages.columns.names import INPUT_IDS
from stages.configuration.schema import ExportConfig
from stages.exporting.onnx_files import ONNX, ONNX_INT8
from stages.exporting.quantization_cost import QuantizationCost
from stages.modeling.batches import PaddingCollator, Row, input_columns, padding_id
from stages.tasks.task import Task

log = logging.getLogger("stages.export")


def export_onnx(model: PreTrainedModel, trained: Path, split: Dataset, config: ExportConfig, path: Path) -> float:
    """Write the ONNX model to `path`; return the largest difference of its logits to those of the torch model in `trained`.

    `split` is tokenized; rows of all its lengths are compared. Raises ModelError if they differ by more than is tolerated.
    """
    from stages.exporting.onnx_model import largest_difference, write_onnx  # importing the exporter takes seconds

    collate = PaddingCollator(padding_id(trained))
    sample = _rows_of_all_lengths(model, split, config.onnx_check_rows)
    write_onnx(model, collate(sample[:2]), path)
    return largest_difference(model, path, sample, collate, config.onnx_tolerance)


def export_int8(
    model: PreTrainedModel, task: Task, trained: Path, validation: Dataset, config: ExportConfig, folder: Path
) -> QuantizationCost:
    """Write the int8 model beside the ONNX model in `folder`, and remove it again if it costs more than `export.max_loss`."""
    from stages.exporting.onnx_model import write_onnx
    from stages.exporting.onnx_scores import Examples, onnx_scores, spread  # importing the quantizers takes a second
    from stages.exporting.quantization import write_int8

    collate = PaddingCollator(padding_id(trained))
    with TemporaryDirectory() as packed:
        write_onnx(model, collate(_rows_of_all_lengths(model, validation, 2)), Path(packed, ONNX), packed=True)
        write_int8(Path(packed, ONNX), folder / ONNX_INT8)
    examples = Examples(spread(validation, config.max_loss_examples), task, collate)
    before, after = (onnx_scores(folder / name, model.config, examples) for name in (ONNX, ONNX_INT8))
    cost = QuantizationCost(task.config.metric, before, after, config.max_loss)
    if not cost.is_accepted:
        (folder / ONNX_INT8).unlink()
        log.warning("%s", cost.refusal())
    return cost


def _rows_of_all_lengths(model: PreTrainedModel, split: Dataset, count: int) -> list[Row]:
    """Rows spread evenly from the longest to the shortest (at least 2: a batch of one would be exported as a constant)."""
    split = split.select_columns(input_columns(model, split))
    order = np.argsort(-lengths(split, INPUT_IDS), kind="stable")
    places = [round(place * (len(order) - 1) / max(1, count - 1)) for place in range(max(2, count))]
    return [split[int(order[min(place, len(order) - 1)])] for place in places]
