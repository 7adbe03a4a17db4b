"""The options of predict and serve: which exported model is used, and how it computes."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, get_args

from stages.configuration.schema import Decode
from stages.pipeline.argument_types import count
from stages.pipeline.errors import ModelError
from stages.pipeline.paths import EXPORTED_MODEL

if TYPE_CHECKING:
    from stages.predict.predictor import Predictor


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add `--model`, and the options that `loaded` reads."""
    parser.add_argument(
        "--model",
        default=str(EXPORTED_MODEL),
        help=f"a folder, git revision or DVC experiment; default: {EXPORTED_MODEL}",
    )
    parser.add_argument(
        "--runtime", choices=["auto", "torch", "onnx", "int8"], default="auto",
        help="auto: int8 with ONNX Runtime if the export has it and there is no GPU, else PyTorch",
    )  # fmt: skip
    parser.add_argument(
        "--batch-size", type=count, default=32, help="rows in a forward pass, for rows of the maximum length"
    )
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto", help="only for PyTorch")
    parser.add_argument(
        "--decode",
        choices=get_args(Decode),
        help="argmax: the most probable tag of each word; viterbi: the most probable valid sequence; default: as evaluated",
    )
    parser.add_argument("--threads", type=count, default=2, help="CPU threads")


@contextmanager
def model_folder(model: str) -> Iterator[Path]:
    """Yield the folder of an exported model. `model`: a folder, or a git revision or DVC experiment, which DVC's cache holds.

    Raises ModelError if there is none.
    """
    if Path(model).is_dir():
        yield Path(model)
        return
    if model == str(EXPORTED_MODEL):
        raise ModelError(
            f"{model}: there is no exported model here; make one with `stagewright run`, or name one with --model"
        )
    from stages.comparison.loaded_runs import RevisionFiles  # importing DVC takes a second

    files = RevisionFiles(model)
    names = files.below(EXPORTED_MODEL)
    if not names:
        raise ModelError(f"{model}: has no {EXPORTED_MODEL}; make it there with `dvc repro`, or get it with `dvc pull`")
    with TemporaryDirectory() as folder:
        for name in names:
            content = files.read(name)
            assert content is not None, "it was listed"
            Path(folder, name.name).write_bytes(content)
        yield Path(folder)


def loaded(folder: Path, arguments: argparse.Namespace) -> "Predictor":
    """Load the model in the folder as the options say, and set this process's threads. Raises ModelError."""
    from stages.modeling.compute import configure_compute  # importing PyTorch and transformers takes seconds
    from stages.predict.predictor import PredictionOptions, Predictor

    configure_compute(arguments.threads)
    return Predictor(
        folder, PredictionOptions(arguments.runtime, arguments.batch_size, arguments.precision, arguments.decode)
    )
