"""Write loss and scores per epoch with DVCLive, for `dvc plots show`."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dvclive.live import Live

from stages.pipeline.json_files import DECIMALS
from stages.scoring.core.metrics import METRICS

_TRAINING = {"loss": "train/loss", "learning_rate": "train/learning_rate", "grad_norm": "train/grad_norm"}
"""What the Trainer calls what it measures while training, and the curve of each."""
_VALIDATION = "eval_"
"""What the Trainer puts before the name of a metric on validation."""


def _curves(logged: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """What is logged at one step, by the name of its curve."""
    for name, curve in _TRAINING.items():
        if name in logged:
            yield curve, logged[name]
    for metric in METRICS:
        if _VALIDATION + metric in logged:
            yield f"validation/{metric}", logged[_VALIDATION + metric]


def write_curves(folder: Path, history: Iterable[Mapping[str, float]]) -> None:
    """Write one TSV a curve: `step`, which holds epochs, since these compare across batch sizes, and the value.

    `history`: what the Trainer has logged. It is part of a checkpoint, so curves continue after a kill. Values are
    rounded, so that a repeat gives the same bytes.
    """
    live = Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None)
    for logged in history:
        live.step = round(logged["epoch"], DECIMALS)  # type: ignore[assignment]
        for curve, value in _curves(logged):
            live.log_metric(curve, round(value, DECIMALS + 4))
    live.end()
