"""The models of an export for runtimes other than PyTorch: ONNX and TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

from stages.configuration.schema import ExportStage
from stages.exporting.quantization_cost import QuantizationCost
from stages.pipeline.json_files import Json
from stages.tasks.task import Task


@dataclass(frozen=True)
class Runtimes:
    """The models for other runtimes that an export has, as its metrics describe them."""

    onnx_largest_difference: float | None = None
    """The largest difference between the logits of the ONNX model and of PyTorch's; None if there is no ONNX model."""
    int8: QuantizationCost | None = None
    """What quantization to int8 costs, if it was tried."""
    tensorflow_largest_difference: float | None = None
    """The same for TensorFlow's SavedModel."""

    def to_json(self) -> dict[str, Json]:
        """Return the values that are known, for the metrics."""
        whole: dict[str, Json | None] = {
            "onnx_largest_difference": self.onnx_largest_difference,
            "int8": None if self.int8 is None else self.int8.to_json(),
            "tensorflow_largest_difference": self.tensorflow_largest_difference,
        }
        return {name: value for name, value in whole.items() if value is not None}


def export_for_runtimes(config: ExportStage, task: Task, trained: Path, tokenized: Path, folder: Path) -> Runtimes:
    """Write the models that the configuration asks for to the folder.

    `trained`: the folder of the model. `tokenized`: the folder of the tokenized splits. Raises ModelError if the model can't be
    loaded or can't be exported.
    """
    if not is_for_runtimes(config):
        return Runtimes()
    from stages.exporting.onnx_export import export_onnx_models  # imports PyTorch, for seconds
    from stages.exporting.tensorflow_export import export_saved_model
    from stages.modeling.compute import use_threads
    from stages.modeling.load import trained_model

    use_threads(config.threads)
    model = trained_model(task, trained)
    onnx = export_onnx_models(model, task, trained, tokenized, config.export, folder)
    tensorflow = export_saved_model(model, trained, tokenized, config.export, folder)
    return Runtimes(onnx.largest_difference, onnx.int8, tensorflow)


def is_for_runtimes(config: ExportStage) -> bool:
    """Return whether a model for another runtime is configured. If none is, an export copies the model and computes nothing."""
    return config.export.onnx is not False or config.export.tensorflow
