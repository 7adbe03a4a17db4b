"""Write a source's examples in the one form that all later stages read.

The examples are read once and staged on disk. Then the examples of each split are selected, with all of them known.
Then they are written. Memory holds a few batches of rows, and some numbers for each example.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Features, List, Value

from stages.configuration.schema import SPLITS, DataBase, Scheme, Split, TabularData
from stages.pipeline.arrow import write_splits
from stages.pipeline.errors import DataError
from stages.sources.data_report import DataReport, SplitSummary
from stages.sources.examples import ID, KEPT, LABEL, PAIR, TAGS, TEXT, TOKENS
from stages.sources.findings import Findings, check_examples, check_labels, check_repeats, check_transitions
from stages.sources.label_coding import UNLABELLED, coded, label_order
from stages.sources.selection import Selection, select
from stages.sources.staging import StagedSplit, stage_examples
from stages.sources.values import is_integer
from stages.tags.schemes import SchemeDetector, convert, names_in_scheme


@dataclass(frozen=True)
class SourceSplit:
    """A split of a source."""

    origin: str
    """Its name in messages, such as its file's."""
    examples: Iterable[pa.RecordBatch]
    """As `stages.sources.examples.checked_examples` yields them. They can be read once."""


@dataclass(frozen=True)
class Source:
    """All splits of a data set: what every data source returns."""

    splits: Mapping[Split, SourceSplit]
    label_names: tuple[str, ...] | None
    """The labels in order, if the source knows them."""
    sha256: Mapping[Split, Sequence[str]] = field(default_factory=dict)
    """The digests of each split's files, if there are files."""


def write_canonical(source: Source, config: DataBase, path: Path, scratch: Path) -> DataReport:
    """Write splits `train`, `validation` and `test` with `id`, the inputs and labels to `path`.

    Labels are ordered as the source names them, else naturally, over all splits together. A missing validation split
    is split off from train. `scratch` is an empty folder for what does not fit into memory. Raises DataError naming
    file and row of what can't be used, and for findings that `config.fail_on` refuses.
    """
    detector = SchemeDetector()
    splits = {
        split: stage_examples(split, source.splits[split].origin, source.splits[split].examples, scratch, detector)
        for split in SPLITS
        if split in source.splits
    }
    _require_equal_columns(splits)
    labels = _Labels.of(source, splits, config, detector)
    are_pairs = PAIR in splits["train"].schema.names
    report = DataReport(config.name, labels.names, labels.scheme, _findings(splits, labels), source.sha256, are_pairs)
    report.stop_on(config.fail_on)
    selected = select(splits, config, config.validation_fraction if isinstance(config, TabularData) else 0.0)
    features = _features(splits["train"].schema, labels.names)
    report.splits = {split: SplitSummary(labels.names) for split in selected}
    written: dict[str, Iterator[pa.RecordBatch]] = {
        split: _written(splits[selection.source], selection, labels, report.splits[split])
        for split, selection in selected.items()
    }
    write_splits(written, features, path)
    return report


@dataclass(frozen=True)
class _Labels:
    """The labels as the source has them, and as they are written."""

    found: tuple[str, ...]
    names: tuple[str, ...]
    scheme: Scheme
    """The scheme of the tags as found; `plain` for anything but entity tags."""
    config: DataBase

    @classmethod
    def of(
        cls, source: Source, splits: Mapping[Split, StagedSplit], config: DataBase, detector: SchemeDetector
    ) -> "_Labels":
        if _holds_numbers(splits["train"].schema):
            return cls((), (), "plain", config)
        _refuse_mixed_labels(source, splits)
        everywhere = {label for split in splits.values() for label in split.labels}
        found = label_order(source.label_names, everywhere, splits["train"].labels)
        if TAGS not in splits["train"].schema.names or not isinstance(config, TabularData):
            return cls(found, found, detector.scheme, config)
        scheme = detector.scheme if config.scheme == "auto" else config.scheme
        if config.convert_to is None:
            return cls(found, found, scheme, config)
        if scheme == "plain":
            raise DataError(
                f"data.convert_to={config.convert_to}: the tags ({', '.join(found[:5])}, …) mark no entities; set null"
            )
        return cls(found, names_in_scheme(found, config.convert_to), scheme, config)

    def written(self, batch: pa.RecordBatch, *, may_be_missing: bool) -> pa.Array:
        """Return the batch's labels as codes into `names`, or its numbers."""
        if _holds_numbers(batch.schema):
            return batch[LABEL]
        if TAGS not in batch.schema.names:
            return coded(batch[LABEL], batch, self.names, may_be_missing=may_be_missing)
        tags = batch[TAGS]
        if isinstance(self.config, TabularData) and self.config.convert_to is not None:
            target = self.config.convert_to
            tags = pa.array([convert(sentence, target) for sentence in tags.to_pylist()], tags.type)
        return coded(tags, batch, self.names, may_be_missing=False)


def _refuse_mixed_labels(source: Source, splits: Mapping[Split, StagedSplit]) -> None:
    """Raise DataError for integer labels in one split and text in another, unless `data.label_names` says how they match."""
    unnamed = {name: split.labels - set(source.label_names or ()) - {UNLABELLED} for name, split in splits.items()}
    integers = [name for name, labels in unnamed.items() if labels and all(map(is_integer, labels))]
    texts = [name for name in splits if name not in integers and splits[name].labels - {UNLABELLED}]
    if integers and texts:
        raise DataError(
            f"data: labels are integers in {', '.join(integers)} but text in {', '.join(texts)}; "
            "write them alike, or give the names that the integers stand for as data.label_names=[...]"
        )


def _findings(splits: Mapping[Split, StagedSplit], labels: _Labels) -> Findings:
    findings = Findings()
    counts: dict[Split, np.ndarray[tuple[int], np.dtype[np.int64]]] = {}
    for name, split in splits.items():
        summary = SplitSummary(labels.found)
        for batch in split.batches():
            check_examples(findings, name, batch)
            if _holds_numbers(batch.schema):
                continue
            column = batch[TAGS] if TAGS in batch.schema.names else batch[LABEL]
            codes = coded(column, batch, labels.found, may_be_missing=name == "test")
            if TAGS in batch.schema.names:
                check_transitions(findings, name, batch, codes, labels.found, labels.scheme)
            summary.count(codes)
        counts[name] = summary.counts
        findings.add("unlabelled", name, summary.unlabelled)
    check_repeats(findings, splits)
    if not _holds_numbers(splits["train"].schema):
        check_labels(findings, labels.found, counts)
    return findings


def _features(schema: pa.Schema, names: Sequence[str]) -> Features:
    inputs = {ID: Value("string")}
    inputs |= {name: Value("string") for name in (TEXT, PAIR) if name in schema.names}
    kept = {name.removeprefix(KEPT): Value("string") for name in schema.names if name.startswith(KEPT)}
    label = ClassLabel(names=list(names))
    if TOKENS in schema.names:
        return Features({**inputs, TOKENS: List(Value("string")), TAGS: List(label), **kept})
    if _holds_numbers(schema):
        return Features({**inputs, LABEL: Value("float64"), **kept})
    return Features({**inputs, LABEL: List(label) if pa.types.is_list(schema.field(LABEL).type) else label, **kept})


def _holds_numbers(schema: pa.Schema) -> bool:
    """Return whether texts are labelled with a number each."""
    return LABEL in schema.names and pa.types.is_floating(schema.field(LABEL).type)


def _require_equal_columns(splits: Mapping[Split, StagedSplit]) -> None:
    train = splits["train"].schema
    for name, split in splits.items():
        if (PAIR in split.schema.names) != (PAIR in train.names):
            raise DataError(
                f"{name} ({split.origin}): {'has' if PAIR in split.schema.names else 'lacks'} a second text, "
                "unlike train; set data.pair_column, and data.text_column where there is only one"
            )


def _written(
    split: StagedSplit, selection: Selection, labels: _Labels, summary: SplitSummary
) -> Iterator[pa.RecordBatch]:
    """Yield the selected rows in canonical form, and count them into `summary`."""
    start = 0
    for batch in split.batches():
        first, last = np.searchsorted(selection.rows, [start, start + batch.num_rows])
        rows = selection.rows[first:last]
        if len(rows):
            chosen = _canonical(batch.take(pa.array(rows - start)), split.name, rows, labels)
            summary.add(chosen)
            yield chosen
        start += batch.num_rows


def _canonical(
    batch: pa.RecordBatch, split: Split, rows: np.ndarray[tuple[int], np.dtype[np.int64]], labels: _Labels
) -> pa.RecordBatch:
    ids = batch[ID] if ID in batch.schema.names else pa.array([f"{split}-{row}" for row in rows.tolist()], pa.string())
    inputs = {name: batch[name] for name in (TEXT, PAIR, TOKENS) if name in batch.schema.names}
    written = labels.written(batch, may_be_missing=split == "test")
    kept = {name.removeprefix(KEPT): batch[name] for name in batch.schema.names if name.startswith(KEPT)}
    return pa.record_batch({ID: ids, **inputs, TAGS if TOKENS in inputs else LABEL: written, **kept})
