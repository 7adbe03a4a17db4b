"""Write the trained model as TensorFlow's SavedModel, and check what it gives once it is loaded again."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel

from stages.exporting.onnx_model import Exported, checked_difference, graph_as_traced, parameter_names
from stages.modeling.batches import Batch


@contextmanager
def _silent() -> Iterator[None]:
    """Keep off the terminal what TensorFlow's libraries write past Python, whatever `TF_CPP_MIN_LOG_LEVEL` says."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported
with _silent():
    import tensorflow as tf

    from stages.exporting.tensorflow.graph import GraphModule

_VERSION_OF_THE_RUN = "fingerprint.pb"
"""A file with a random number, which loading doesn't need. Without it, equal models have equal bytes."""


def write_saved_model(model: PreTrainedModel, example: Batch, folder: Path) -> None:
    """Write `model` as a SavedModel to `folder`, with the inputs that `example` has, of any [rows, sub-words].

    Its function `serve` takes a dictionary of inputs, and its signature `serving_default` takes them by name; both return
    `logits`. Its variables are the parameters, with PyTorch's names. Dropout is left out. Raises UntranslatedError for what
    TensorFlow is not known to compute.
    """
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    module = GraphModule(graph_as_traced(model, example), parameter_names(model))
    with _silent():
        tf.saved_model.save(module, str(folder), signatures={"serving_default": module.by_name})
    (folder / _VERSION_OF_THE_RUN).unlink()
    path = folder / "saved_model.pb"
    written = SavedModel.FromString(path.read_bytes())
    path.write_bytes(written.SerializeToString(deterministic=True))


def largest_difference(folder: Path, model: PreTrainedModel, batch: Batch, tolerance: float) -> float:
    """Return the largest absolute difference between the logits of a SavedModel and of the torch model for a padded batch.

    Raises ModelError if it exceeds `tolerance`.
    """
    exported = Exported("TensorFlow", "export.tensorflow", runner(folder))
    return checked_difference(exported, model, batch, tolerance)


def runner(folder: Path) -> Callable[[Mapping[str, NDArray[np.int64]]], NDArray[np.float32]]:
    """Load a SavedModel; return what gives the logits of inputs by their names."""
    loaded: Any = tf.saved_model.load(str(folder))  # kept by the closure: its signature holds its variables weakly
    serve = loaded.signatures["serving_default"]

    def run(inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = serve(**{name: tf.constant(array) for name, array in inputs.items()})[
            "logits"
        ].numpy()
        return logits

    run.__dict__["loaded"] = loaded
    return run
