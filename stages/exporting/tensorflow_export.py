"""The TensorFlow model of an export, with the logits of the torch model."""

from pathlib import Path

from transformers import PreTrainedModel

from stages.configuration.schema import ExportConfig
from stages.exporting.exported_files import SAVED_MODEL
from stages.exporting.onnx_export import export_errors, rows_of_all_lengths
from stages.modeling.batch_format import read_batch_format
from stages.modeling.batches import PaddingCollator
from stages.pipeline.arrow import load_split


def export_saved_model(
    model: PreTrainedModel, trained: Path, tokenized: Path, config: ExportConfig, folder: Path
) -> float | None:
    """Write `saved_model` to the folder, if the configuration asks for it.

    Return the largest difference of its logits to those of `model`, or None. `trained`: the folder that the model comes from.
    `tokenized`: that of the tokenized splits. Raises ModelError if the model can't be translated, or the logits differ by more
    than is tolerated.
    """
    if not config.tensorflow:
        return None
    collate = PaddingCollator(read_batch_format(trained))
    sample = rows_of_all_lengths(collate.format, load_split(tokenized, "test"), config.onnx_check_rows)
    with export_errors(model, "TensorFlow"):
        from stages.exporting.tensorflow.saved_model import largest_difference, write_saved_model  # takes seconds

        write_saved_model(model, collate(sample[:2]), folder / SAVED_MODEL)
        return largest_difference(folder / SAVED_MODEL, model, collate(sample), config.onnx_tolerance)
