"""Evaluate: predict the test split and, unless `evaluate.score=false`, score every example or word of the raw data.

The validation split is predicted too, but not scored here: its predictions serve to choose between configurations.
"""

from stages.configuration.run_stage import params_or_exit, run_stage

if __name__ == "__main__":
    PARAMS = params_or_exit()

from concurrent.futures import ThreadPoolExecutor

from stages.columns.names import label_names
from stages.configuration.schema import EvaluateStage
from stages.modeling.compute import compute_record, configure_compute
from stages.modeling.prediction import predict_splits
from stages.pipeline.arrow import load_split
from stages.pipeline.environment import Compute
from stages.pipeline.json_files import write_json
from stages.pipeline.paths import (
    CONFUSION_PLOT,
    EVALUATE_METRICS,
    PER_LABEL_PLOT,
    PREDICTIONS,
    RAW_DATA,
    TOKENIZED_DATA,
    TRAINED_MODEL,
    VALIDATION_PREDICTIONS,
)
from stages.scoring.evaluation.background import background_of
from stages.scoring.evaluation.plots import write_plots
from stages.scoring.evaluation.scoring import ScoreByPackages, ScoringOptions, score_predictions
from stages.tasks.predictions_table import (
    Predicted,
    counts_of,
    predictions,
    require_coverage,
    require_labels,
    write_predictions,
)
from stages.tasks.registry import task_for

_FILES = {"test": PREDICTIONS, "validation": VALIDATION_PREDICTIONS}
"""Where the predictions of each split are written."""


def evaluate(config: EvaluateStage) -> Compute:
    """Write `data/predictions/`, `metrics/evaluate.json` and the plots."""
    wanted, plots = config.evaluate, (CONFUSION_PLOT, PER_LABEL_PLOT)
    configure_compute(config.threads)
    task = task_for(config.task, wanted.mode, wanted.scheme).trained(TRAINED_MODEL)
    raw, tokenized = ({split: load_split(folder, split) for split in _FILES} for folder in (RAW_DATA, TOKENIZED_DATA))
    gold = {split: task.raw_gold(rows) for split, rows in raw.items()}
    names = {split: label_names(rows.features) for split, rows in raw.items()}  # each has its own behind those of train
    test = raw["test"]
    if wanted.score:
        require_labels(task.labelled(gold["test"]), gold["test"], test)
    with ThreadPoolExecutor(1) as beside:
        by_packages = beside.submit(_import_packages) if wanted.score else None
        found = predict_splits(task, TRAINED_MODEL, tokenized, batch_size=wanted.batch_size, precision=wanted.precision)
    units = found.units
    tables = {}
    for split, file in _FILES.items():
        require_coverage(units[split], gold[split], raw[split])
        predicted = Predicted(units[split], gold[split], task.labelled(gold[split]))
        tables[split] = predictions(raw[split], task, predicted, names[split])
        write_predictions(tables[split], file)
    table, counts = tables["test"], counts_of(units["test"], gold["test"], test)
    if by_packages is None:
        write_plots(table, None, names["test"], plots)
        write_json(EVALUATE_METRICS, counts)
    else:
        options = ScoringOptions(wanted.mode, wanted.scheme, wanted.resamples, wanted.slices, config.task.metric)
        background = background_of(test, RAW_DATA, wanted, task.threshold)
        scores = score_predictions(table, options, background, by_packages.result())
        write_plots(table, scores.per_label, names["test"], plots)
        write_json(EVALUATE_METRICS, {**counts, **scores.to_json()})
    return compute_record(found.precision, config.threads, found.packing)


def _import_packages() -> ScoreByPackages:
    """Import seqeval, scikit-learn and evaluate, which takes seconds: beside the prediction it takes none."""
    from stages.scoring.metric_modules import score_by_packages

    return score_by_packages


if __name__ == "__main__":
    run_stage(evaluate, EvaluateStage, PARAMS)
