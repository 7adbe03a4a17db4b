"""Loss and scores per epoch, through DVCLive, as `dvc plots show` draws them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from dvclive.live import Live

from stages.pipeline.json_files import DECIMALS

_CURVES = {
    "loss": "train/loss",
    "learning_rate": "train/learning_rate",
    "grad_norm": "train/grad_norm",
    "eval_loss": "validation/loss",
    "eval_accuracy": "validation/accuracy",
    "eval_precision": "validation/precision",
    "eval_recall": "validation/recall",
    "eval_f1": "validation/f1",
    "eval_mse": "validation/mse",
    "eval_mae": "validation/mae",
    "eval_pearson": "validation/pearson",
    "eval_spearman": "validation/spearman",
}


def write_curves(folder: Path, history: Iterable[Mapping[str, float]]) -> None:
    """Write one TSV a curve: `step` (here: epochs done, which compare across batch sizes) and the value.

    `history`: what the Trainer has logged; it is part of a checkpoint, so that curves outlive a kill. Values are
    rounded, so that a repeat gives the same bytes.
    """
    live = Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None)
    for logged in history:
        live.step = round(logged["epoch"], DECIMALS)  # type: ignore[assignment]
        for name, curve in _CURVES.items():
            if name in logged:
                live.log_metric(curve, round(logged[name], DECIMALS + 4))
    live.end()
