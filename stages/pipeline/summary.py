"""`python -m stages.pipeline.summary`: the scores of the last run, and where its outputs lie."""

from stages.pipeline.json_files import read_json
from stages.pipeline.paths import (
    DOWNLOAD_METRICS,
    EVALUATE_METRICS,
    EXPORTED_MODEL,
    METRICS,
    PREDICTIONS,
    TRAIN_METRICS,
    TRAINED_MODEL,
)
from stages.pipeline.stage import one_line_errors

_SCORES = ("accuracy", "precision", "recall", "f1", "loss")
_PLACES = {
    "scores": METRICS,
    "predictions": PREDICTIONS,
    "trained model": TRAINED_MODEL,
    "exported model": EXPORTED_MODEL,
}


def summary() -> str:
    """A table of validation and test scores, then the paths of the outputs; at most 80 columns wide."""
    download, train, evaluate = (read_json(path) for path in (DOWNLOAD_METRICS, TRAIN_METRICS, EVALUATE_METRICS))
    lines = [
        f"{download['model']['name']} on {download['data']['name']} ({download['data']['kind']})",
        "",
        f"{'':12}{'validation':>12}{'test':>12}",
        *(f"{name:12}{train['validation'][name]:12.4f}{evaluate[name]:12.4f}" for name in _SCORES),
        "",
        *(f"{what:16}{path}" for what, path in _PLACES.items()),
        "",
        "Plots: dvc plots show     Compare: dvc metrics diff     Sweep: dvc exp run -S",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    with one_line_errors():
        print(summary())
