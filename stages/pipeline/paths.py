"""Every path of the DAG, spelled once. Relative to the repository root, which is where the stages run.

`tests/project/test_dag.py` holds this module and `dvc.yaml` together.
"""

from pathlib import Path

PARAMS = Path("params.yaml")
DAG = Path("dvc.yaml")
CONF = Path("conf")
KEPT = Path(".dvc/tmp/kept")
"""Copies of `dvc.lock` and of the outputs that DVC does not cache, from the last time that each stage succeeded here."""

LOCK = Path("dvc.lock")
KEPT_LOCK = KEPT / LOCK
WRITING = Path(".dvc/tmp/writing")
"""Locked by the stage that is running."""

PARAMS_BEFORE = Path(".dvc/tmp/params.before.yaml")
"""A copy of the last `params.yaml` of which composition reset a setting."""
PLAIN = Path(".dvc/tmp/plain.json")
"""What `conf/` composed to without overrides when `params.yaml` was last composed here."""

RUNNING = Path(".dvc/tmp/running")
"""Locked by the command that runs all stages."""
SWEEPING = Path(".dvc/tmp/sweeping")
"""Locked by the sweep that is running. Its trials write into DVC's cache."""

RAW_DATA = Path("data/raw")
SCRATCH = Path("data/.scratch")
"""Where download keeps what it fetches and unpacks, and examples that are not selected yet. Removed at its end."""

DATA_REPORT = Path("data/report.md")
TOKENIZED_DATA = Path("data/tokenized")
PREDICTIONS = Path("data/predictions/test.parquet")
VALIDATION_PREDICTIONS = Path("data/predictions/validation.parquet")
"""For the choice between configurations, in which the test split takes no part."""

BASE_MODEL = Path("models/base")
BASE_WEIGHTS = BASE_MODEL / "weights"
BASE_TOKENIZER = BASE_MODEL / "tokenizer"
TOKENIZER_JSON, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
"""The files of a tokenizer's folder."""
TRAINED_MODEL = Path("models/trained")
EXPORTED_MODEL = Path("models/export")
CHECKPOINTS = Path(".checkpoints")
"""The checkpoints of trainings, a folder each: outside the DAG, removed when the training has succeeded."""

METRICS = Path("metrics")
DOWNLOAD_METRICS = METRICS / "download.json"
TOKENIZE_METRICS = METRICS / "tokenize.json"
TRAIN_METRICS = METRICS / "train.json"
EVALUATE_METRICS = METRICS / "evaluate.json"
EXPORT_METRICS = METRICS / "export.json"
REPORT = METRICS / "report.html"
RUNS = METRICS / "runs.json"
"""The seconds and the environment of each stage's last run: outside the DAG, so that it re-runs nothing, but in git."""
SECONDS = METRICS / "seconds.json"
"""The seconds again, as DVC shows them."""

PLOTS = METRICS / "plots"
CURVES = PLOTS / "curves"
CONFUSION_PLOT = PLOTS / "confusion.csv"
PER_LABEL_PLOT = PLOTS / "per_label.csv"
