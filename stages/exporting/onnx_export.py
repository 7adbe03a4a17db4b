"""The ONNX models of an export: one in fp32 with the logits of the torch model, and one in int8 with what it costs."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import current_thread, main_thread

import numpy as np
from datasets import Dataset
from transformers import PreTrainedModel

from stages.columns.arrays import lengths
from stages.columns.names import INPUT_IDS
from stages.configuration.schema import ExportConfig
from stages.exporting.exported_files import ONNX, ONNX_INT8
from stages.exporting.quantization_cost import QuantizationCost
from stages.modeling.batch_format import BatchFormat, read_batch_format
from stages.modeling.batches import PaddingCollator, Row
from stages.pipeline.arrow import load_split
from stages.pipeline.errors import ModelError, UserError, first_line
from stages.tasks.task import Task

log = logging.getLogger("stages.export")

_AGAIN = 5
"""Seconds until an export that continues after its timeout is interrupted again."""
_MOST_TOLD = 200
"""The most characters of the exporter's message that are shown: it may have pages."""


@dataclass(frozen=True)
class OnnxExport:
    """The ONNX models of an export."""

    largest_difference: float | None = None
    """The largest difference between the logits of the ONNX and the torch model; None if there is no ONNX model."""
    int8: QuantizationCost | None = None
    """What quantization to int8 costs, if it was tried."""


def export_onnx_models(
    model: PreTrainedModel, task: Task, trained: Path, tokenized: Path, config: ExportConfig, folder: Path
) -> OnnxExport:
    """Write what the configuration asks for to the folder.

    `trained`: the folder that the model comes from. `tokenized`: that of the tokenized splits. With `export.onnx=auto`, what
    can't be exported is left out, and the log says why. Raises ModelError if it can't be with `export.onnx=true`.
    """
    if config.onnx is False:
        return OnnxExport()
    written = [folder / ONNX, folder / ONNX_INT8]
    try:
        with export_errors(model, "ONNX"), _at_most(config.onnx_timeout):
            difference = _export_fp32(model, trained, load_split(tokenized, "test"), config, folder / ONNX)
            if config.quantize == "none":
                return OnnxExport(difference)
            validation = load_split(tokenized, "validation")
            return OnnxExport(difference, _export_int8(model, task, trained, validation, config, folder))
    except ModelError as error:
        if config.onnx != "auto":
            raise
        for path in written:
            path.unlink(missing_ok=True)
        log.warning("%s; export.onnx=auto: the export has no ONNX model", error)
        return OnnxExport()


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    """Raise ModelError inside the block after so many seconds. In other threads than the main one, there is no timeout."""

    def end(*_: object) -> None:
        raise ModelError(f"export: the ONNX export did not finish within export.onnx_timeout={seconds} seconds")

    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, end)
    # repeated, since the exporter may take the error for one of its own, and go on
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def export_errors(model: PreTrainedModel, format: str) -> Iterator[None]:
    """Turn errors of exporters and runtimes inside the block into ModelError. `format`: what the model is exported to."""
    try:
        yield
    except (UserError, MemoryError, OSError):
        raise
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ is not None:  # the exporter tells the step that failed, and its cause tells why
            cause = cause.__cause__
        told = first_line(cause)[:_MOST_TOLD]
        raise ModelError(f"export: {model.config.model_type} can't be exported to {format} ({told})") from error


def _export_fp32(model: PreTrainedModel, trained: Path, split: Dataset, config: ExportConfig, path: Path) -> float:
    """Write the ONNX model to `path`; return the largest difference of its logits to those of the torch model in `trained`.

    `split` is tokenized; rows of all its lengths are compared. Raises ModelError if they differ by more than is tolerated.
    """
    from stages.exporting.onnx_model import largest_difference, write_onnx  # importing the exporter takes seconds

    collate = PaddingCollator(read_batch_format(trained))
    sample = rows_of_all_lengths(collate.format, split, config.onnx_check_rows)
    write_onnx(model, collate(sample[:2]), path)
    return largest_difference(model, path, sample, collate, config.onnx_tolerance)


def _export_int8(
    model: PreTrainedModel, task: Task, trained: Path, validation: Dataset, config: ExportConfig, folder: Path
) -> QuantizationCost:
    """Write the int8 model beside the ONNX model in `folder`, and remove it again if it costs more than `export.max_loss`."""
    from stages.exporting.onnx_model import write_onnx
    from stages.exporting.onnx_scores import Examples, onnx_scores, spread  # importing the quantizers takes a second
    from stages.exporting.quantization import write_int8

    collate = PaddingCollator(read_batch_format(trained))
    with TemporaryDirectory() as packed:
        write_onnx(model, collate(rows_of_all_lengths(collate.format, validation, 2)), Path(packed, ONNX), packed=True)
        write_int8(Path(packed, ONNX), folder / ONNX_INT8)
    examples = Examples(spread(validation, config.max_loss_examples), task, collate)
    before, after = (onnx_scores(folder / name, model.config, examples) for name in (ONNX, ONNX_INT8))
    cost = QuantizationCost(task.config.metric, before, after, config.max_loss)
    if not cost.is_accepted:
        (folder / ONNX_INT8).unlink()
        log.warning("%s", cost.refusal())
    return cost


def rows_of_all_lengths(format: BatchFormat, split: Dataset, count: int) -> list[Row]:
    """Return rows spread evenly from the longest to the shortest (at least 2: a batch of one would be exported as a constant)."""
    split = split.select_columns(format.columns(split))
    order = np.argsort(-lengths(split, INPUT_IDS), kind="stable")
    places = [round(place * (len(order) - 1) / max(1, count - 1)) for place in range(max(2, count))]
    return [split[int(order[min(place, len(order) - 1)])] for place in places]
