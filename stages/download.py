"""Download: any source to one canonical data set, and the base model with its tokenizer. The only stage that uses the network."""

from stages.configuration.schema import DownloadStage
from stages.pipeline.arrow import save_splits
from stages.pipeline.json_files import write_json
from stages.pipeline.outputs import whole_directory
from stages.pipeline.paths import BASE_MODEL, BASE_TOKENIZER, BASE_WEIGHTS, DOWNLOAD_METRICS, RAW_DATA
from stages.pipeline.stage import run_stage
from stages.sources.base_model import write_base_model
from stages.sources.dispatch import load_splits_from_source
from stages.sources.statistics import describe


def download(config: DownloadStage) -> None:
    """Write `data/raw/`, `models/base/` and `metrics/download.json`."""
    splits = load_splits_from_source(config.data)
    save_splits(splits, RAW_DATA)
    with whole_directory(BASE_MODEL) as folder:
        digest = write_base_model(
            config.model,
            weights=folder / BASE_WEIGHTS.relative_to(BASE_MODEL),
            tokenizer=folder / BASE_TOKENIZER.relative_to(BASE_MODEL),
        )
    write_json(
        DOWNLOAD_METRICS,
        {
            "data": {"name": config.data.name, "kind": config.data.kind, "splits": describe(splits)},
            "model": {"name": config.model.name, "sha256": digest},
        },
    )


if __name__ == "__main__":
    run_stage(download, DownloadStage, offline=False)
