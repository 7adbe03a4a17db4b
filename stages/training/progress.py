"""The state of training that the Trainer's checkpoints lack: the best weights, and the loss since the last log entry."""

from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import TypeAdapter
from safetensors.torch import load_file, save_file

_PROGRESS = "progress.json"
_WEIGHTS = "best.safetensors"


@dataclass(frozen=True)
class Best:
    """The validation with the best headline score so far."""

    step: int
    scores: dict[str, float | None]
    """The headline scores; None where one is not defined."""
    threshold: float | None
    """The least probability at which a text is given a label, if texts can have several; else None."""


@dataclass(frozen=True)
class Progress:
    """The progress of training at a checkpoint."""

    is_finished: bool
    """Whether the last step has been taken and validated."""
    loss_sums: list[float]
    """By process, the sum of its losses since `logged_step`."""
    logged_step: int
    best: Best | None


_ADAPTER = TypeAdapter(Progress)


def write_progress(folder: Path, progress: Progress, best_weights: dict[str, torch.Tensor]) -> None:
    """Write the progress into the folder of a checkpoint. `best_weights`: empty before the first validation."""
    (folder / _PROGRESS).write_bytes(_ADAPTER.dump_json(progress, indent=2))
    save_file(best_weights, folder / _WEIGHTS)


def read_progress(folder: Path) -> tuple[Progress, dict[str, torch.Tensor]]:
    """Read what `write_progress` wrote. The checkpoint must match its manifest."""
    return _ADAPTER.validate_json((folder / _PROGRESS).read_bytes()), load_file(folder / _WEIGHTS)
