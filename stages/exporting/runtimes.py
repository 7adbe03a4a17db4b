"""The models of an export for other runtimes than PyTorch: ONNX, and TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

from stages.configuration.schema import ExportStage
from stages.exporting.quantization_cost import QuantizationCost
from stages.pipeline.json_files import Json
from stages.tasks.task import Task


@dataclass(frozen=True)
class Runtimes:
    """What an export has for other runtimes."""

    onnx_largest_difference: float | None = None
    """The largest difference of the ONNX model's logits to those of the torch model; None: there is no ONNX model."""
    int8: QuantizationCost | None = None
    """What the ONNX model in int8 costs, if it was tried."""
    tensorflow_largest_difference: float | None = None
    """As `onnx_largest_difference`, of the SavedModel."""

    def to_json(self) -> dict[str, Json]:
        """Return what there is, for the metrics."""
        whole: dict[str, Json | None] = {
            "onnx_largest_difference": self.onnx_largest_difference,
            "int8": None if self.int8 is None else self.int8.to_json(),
            "tensorflow_largest_difference": self.tensorflow_largest_difference,
        }
        return {name: value for name, value in whole.items() if value is not None}


def export_for_runtimes(config: ExportStage, task: Task, trained: Path, tokenized: Path, folder: Path) -> Runtimes:
    """Write the models that the configuration asks for to the folder.

    `trained`: the folder that the model comes from. `tokenized`: that of the tokenized splits. Raises ModelError if the model
    can't be loaded, or not be exported as asked.
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
    """Return whether a model for another runtime is asked for: otherwise an export is a copy, and computes nothing."""
    return config.export.onnx is not False or config.export.tensorflow
