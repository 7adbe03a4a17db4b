"""Download: any source to one canonical data set, and the base model with its tokenizer. The only stage that uses the network."""

from stages.configuration.run_stage import params_or_exit, run_stage

if __name__ == "__main__":
    PARAMS = params_or_exit()

from stages.configuration.schema import DownloadStage
from stages.pipeline.json_files import write_json
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
from stages.sources.base_model import write_base_model
from stages.sources.data_source import write_data


def download(config: DownloadStage) -> None:
    """Write `data/raw/`, `models/base/`, `metrics/download.json` and the report on the data."""
    with scratch_directory(SCRATCH) as scratch:
        report = write_data(config.data, RAW_DATA, scratch)
    with whole_directory(BASE_MODEL) as folder:
        digest = write_base_model(
            config.model,
            weights=folder / BASE_WEIGHTS.relative_to(BASE_MODEL),
            tokenizer=folder / BASE_TOKENIZER.relative_to(BASE_MODEL),
        )
    write_text(DATA_REPORT, report.to_markdown())
    write_json(
        DOWNLOAD_METRICS,
        {
            "data": {"name": config.data.name, "kind": config.data.kind, **report.to_json()},
            "model": {"name": config.model.name, "sha256": digest},
        },
    )


if __name__ == "__main__":
    run_stage(download, DownloadStage, PARAMS, offline=False)
