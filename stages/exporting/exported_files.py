"""The models in the exported folder: PyTorch's, and those beside it."""

from math import prod
from pathlib import Path

from safetensors import SafetensorError, safe_open

from stages.pipeline.errors import ModelError

ONNX = "model.onnx"
ONNX_INT8 = "model_int8.onnx"
SAVED_MODEL = "saved_model"
"""TensorFlow's, which is a folder."""

ONNX_RUNTIME = "com.microsoft"
"""The domain of ONNX Runtime's own operators, which no other runtime has."""


def parameters_in(folder: Path) -> int:
    """Return how many numbers the weights in the folder hold; tied ones are stored once. Raise ModelError if they are damaged."""
    return sum(map(_parameters, sorted(folder.glob("*.safetensors"))))


def _parameters(file: Path) -> int:
    try:
        with safe_open(file, framework="numpy") as weights:
            return sum(prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{file}: can't be read ({error}); run `dvc repro --force train`") from error
