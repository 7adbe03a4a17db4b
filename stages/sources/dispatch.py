"""The configured data source, read and brought into canonical form."""

from typing import assert_never

from datasets import DatasetDict

from stages.configuration.schema import SPLITS, DataConfig, DemoData, FilesData, HubData, Split, TabularData
from stages.sources.canonical import canonical
from stages.sources.demo import text as demo_text
from stages.sources.demo import tokens as demo_tokens
from stages.sources.files import find_files, read_splits
from stages.sources.hub import fetch_dataset
from stages.sources.tables import SourceTables


def load_splits_from_source(config: DataConfig) -> DatasetDict:
    """Read the data that `config` names. Raises DataError or HubError for what the user can mend."""
    fraction = config.validation_fraction if isinstance(config, TabularData) else 0.0
    return canonical(_tables(config), fraction, config.max_examples, config.seed)


def _tables(config: DataConfig) -> SourceTables:
    match config:
        case DemoData():
            return _demo(config)
        case FilesData():
            return read_splits(config, find_files(config))
        case HubData():
            return read_splits(config, fetch_dataset(config))
        case _:
            assert_never(config)


def _demo(config: DemoData) -> SourceTables:
    generator = demo_text if config.kind == "text" else demo_tokens
    counts: dict[Split, int] = {"train": config.train, "validation": config.validation, "test": config.test}
    return SourceTables(
        kind=config.kind,
        splits={split: generator.generate(split, counts[split], config.seed) for split in SPLITS},
        origins=dict.fromkeys(SPLITS, "demo"),
        label_names=generator.LABELS,
    )
