"""Download: any source to one canonical data set, and the base model with its tokenizer. The only stage that uses the network.

`--look` reads the data and tells of them, and writes nothing here: for trying settings.
"""

from stages.configuration.run_stage import params_or_exit, pop_flag, run_stage, run_without_outputs

if __name__ == "__main__":
    LOOKS = pop_flag("--look")
    PARAMS = params_or_exit()

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from stages.configuration.schema import DataConfig, DownloadStage, HubData, HubModel, ModelConfig, TaskConfig
from stages.pipeline.json_files import Json, write_json
from stages.pipeline.outputs import scratch_directory, whole_directory, write_text
from stages.pipeline.paths import (
    BASE_MODEL,
    BASE_TOKENIZER,
    BASE_WEIGHTS,
    DATA_REPORT,
    DOWNLOAD_METRICS,
    RAW_DATA,
    SCRATCH,
)
from stages.sources.base_model import limit_rows, write_base_model
from stages.sources.data_source import write_data
from stages.tasks.encoding.encodings import encoding_for


def download(config: DownloadStage) -> None:
    """Write `data/raw/`, `models/base/`, `metrics/download.json` and the report on the data."""
    with scratch_directory(SCRATCH) as scratch:
        report = write_data(config.data, RAW_DATA, scratch)
    with whole_directory(BASE_MODEL) as folder:
        weights, tokenizer = (folder / path.relative_to(BASE_MODEL) for path in (BASE_WEIGHTS, BASE_TOKENIZER))
        for_words = encoding_for(config.kind).pretokenized
        digest = write_base_model(config.model, weights, tokenizer, for_words=for_words)
        _try(config, folder, weights, tokenizer)
    write_text(DATA_REPORT, report.to_markdown())
    write_json(
        DOWNLOAD_METRICS,
        {
            "data": {"name": config.data.name, **_repo(config.data), "kind": config.data.kind, **report.to_json()},
            "model": {"name": config.model.name, **_repo(config.model), "sha256": digest},
        },
    )


def look(config: DownloadStage) -> None:
    """Read all of the data, and log what the report's head and its findings are. Writes to a temporary folder alone.

    Raises DataError as `download` does, but for findings at the end.
    """
    with TemporaryDirectory(prefix="stagewright-") as scratch:
        report = write_data(replace(config.data, fail_on="never"), None, Path(scratch))
    report.stop_on(config.data.fail_on)


def _repo(config: DataConfig | ModelConfig) -> dict[str, Json]:
    """Return the name of the repository of what came from the Hub, for the model card."""
    return {"repo": config.repo} if isinstance(config, HubData | HubModel) else {}


def _try(config: DownloadStage, folder: Path, weights: Path, tokenizer: Path) -> None:
    """Train and predict a few rows, so that a model that can't be trained fails now; note in `folder` how it takes a batch."""
    from stages.modeling.batch_format import write_batch_format
    from stages.modeling.model_probe import probe_model  # imports PyTorch, for seconds; faults of data are told before
    from stages.tasks.registry import task_for

    task = task_for(TaskConfig(config.kind, config.target, metric="loss", pooling="mean"))
    probe = probe_model(task, weights, tokenizer, f"model={config.model.name}")
    write_batch_format(folder, probe.format)
    limit_rows(tokenizer, probe.longest)


if __name__ == "__main__":
    if LOOKS:
        run_without_outputs(look, DownloadStage, PARAMS)
    else:
        run_stage(download, DownloadStage, PARAMS, offline=False)
