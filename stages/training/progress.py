"""The state of a training that the Trainer does not keep: the best weights so far, and the loss since it was last logged."""

from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import TypeAdapter
from safetensors.torch import load_file, save_file

_PROGRESS = "progress.json"
_WEIGHTS = "best.safetensors"


@dataclass(frozen=True)
class Best:
    """The best validation so far."""

    step: int
    scores: dict[str, float | None]
    """The headline scores; None where one is not defined."""
    threshold: float | None
    """The probability above which a text gets a label, if texts can have several."""


@dataclass(frozen=True)
class Progress:
    """How far a training has got."""

    is_finished: bool
    """Whether the last step is done and validated."""
    loss_sums: list[float]
    """For each process, its losses since the last logged step, summed."""
    logged_step: int
    best: Best | None


_ADAPTER = TypeAdapter(Progress)


def write_progress(folder: Path, progress: Progress, best_weights: dict[str, torch.Tensor]) -> None:
    """Write the progress into a checkpoint. `best_weights` is empty if there is no best yet."""
    (folder / _PROGRESS).write_bytes(_ADAPTER.dump_json(progress, indent=2))
    save_file(best_weights, folder / _WEIGHTS)


def read_progress(folder: Path) -> tuple[Progress, dict[str, torch.Tensor]]:
    """Read what `write_progress` wrote, from a checkpoint that is whole."""
    return _ADAPTER.validate_json((folder / _PROGRESS).read_bytes()), load_file(folder / _WEIGHTS)
