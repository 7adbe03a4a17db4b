"""Write a source's examples in the one form that all later stages read.

The examples are read once and staged on disk. Then the examples of each split are selected, with all of them known.
Then they are written. Memory holds a few batches of rows, and some numbers for each example.
"""

import logging
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Features, List, Value

from stages.columns.names import ID, LABEL, SECOND_TEXT, TAGS, TEXT, TOKENS
from stages.configuration.schema import SPLITS, DataBase, Split, TabularData
from stages.pipeline.arrow import write_splits
from stages.pipeline.errors import DataError
from stages.pipeline.findings import Findings
from stages.sources.data_checks import (
    KINDS,
    ForeignTags,
    SpanOffsets,
    check_carved,
    check_examples,
    check_labels,
    check_repeats,
    check_transitions,
)
from stages.sources.data_report import DataReport, SplitSummary
from stages.sources.examples import KEPT
from stages.sources.label_coding import coded
from stages.sources.label_names import LeftOut, canonical_label, ignored_labels, is_integer
from stages.sources.reading import ReportLine
from stages.sources.selection import Selection, carved, select
from stages.sources.split_labels import SplitLabels, holds_numbers
from stages.sources.staging import StagedSplit, stage_examples

log = logging.getLogger("stages.sources")


@dataclass(frozen=True)
class SourceSplit:
    """A split of a source."""

    origin: str
    """Its name in messages, such as its file's."""
    examples: Iterable[pa.RecordBatch]
    """As `stages.sources.examples.checked_examples` yields them. They can be read once."""
    left_out: LeftOut = field(default_factory=LeftOut)
    """What is left out of them, counted as they are read."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The name of the label column in each of its files that have a header line (CSV)."""


@dataclass(frozen=True)
class Source:
    """All splits of a data set: what every data source returns."""

    splits: Mapping[Split, SourceSplit]
    label_names: tuple[str, ...] | None
    """The labels in order, if the source knows them; none that is ignored."""
    takes_integers_as_names: bool = False
    """Whether `data.label_names` has integers, so that integers are read as names and not as indices."""
    sha256: Mapping[Split, Sequence[str]] = field(default_factory=dict)
    """The digests of each split's files, if there are files."""
    read: Sequence[ReportLine] = ()
    """How the files are read, if there are files."""


def write_canonical(source: Source, config: DataBase, path: Path | None, scratch: Path) -> DataReport:
    """Write splits `train`, `validation` and `test` with `id`, the inputs and labels to `path`; None: nowhere.

    Labels are those of train, ordered as the source names them, else naturally. Behind them each of the other splits has
    those that only it has: no row of validation or test shapes what is trained. Missing splits are carved out
    of train. `scratch` is an empty folder for what does not fit into memory. Raises DataError naming
    file and row of what can't be used, and for findings that `config.fail_on` refuses.
    """
    splits = {
        split: stage_examples(split, source.splits[split].origin, source.splits[split].examples, scratch)
        for split in SPLITS
        if split in source.splits
    }
    _require_equal_columns(splits)
    labels = SplitLabels.of(source.label_names or (), splits, config)
    splits = {name: split.stratified_by_type(labels.types(split.labels)) for name, split in splits.items()}
    are_pairs = SECOND_TEXT in splits["train"].schema.names
    findings = _findings(source, splits, labels, config)
    selected = select(splits, config)
    if splits["train"].groups is not None:
        check_carved(findings, {name: splits["train"].contents[rows] for name, rows in carved(selected).items()})
    report = DataReport(config.name, labels.scheme, findings, source.sha256, are_pairs, source.read)
    report.findings.log(log)
    report.stop_on(config.fail_on)
    features: dict[str, Features] = {
        split: _features(splits["train"].schema, labels.written[split]) for split in selected
    }
    report.splits = {split: SplitSummary(labels.written[split]) for split in selected}
    report.origins = {split: text for split, each in selected.items() if (text := _origin(split, each, config))}
    written: dict[str, Iterator[pa.RecordBatch]] = {
        split: _written(split, splits[selection.source], selection, labels, report.splits[split])
        for split, selection in selected.items()
    }
    if path is not None:
        write_splits(written, features, path)
    for batches in written.values():  # they are counted as they come
        deque(batches, maxlen=0)
    return report


def _origin(name: Split, selection: Selection, config: DataBase) -> str:
    """Return a description of how a split was selected; empty if it is all of its own files."""
    made = []
    if name == "test" and config.fold is not None:
        made.append(f"a part of train (data.fold={config.fold}, data.seed={config.seed})")
    elif selection.source != name:
        fraction = getattr(config, f"{name}_fraction")
        made.append(f"carved out of {selection.source} (data.{name}_fraction={fraction:g}, data.seed={config.seed})")
    if getattr(config.max_examples, name) is not None:
        made.append(f"at most data.max_examples.{name}")
    return ", ".join(made)


def _findings(source: Source, splits: Mapping[Split, StagedSplit], labels: SplitLabels, config: DataBase) -> Findings:
    """Return what is odd in the examples of all splits, before any are selected."""
    findings = Findings(KINDS)
    counts = {name: _check_split(findings, split, labels) for name, split in splits.items()}
    check_repeats(findings, splits)
    if source.takes_integers_as_names:
        findings.add("integer_names", "all", sum(map(is_integer, source.label_names or ())))
    _report_ignored(findings, source, config)
    _report_headers(findings, source, splits)
    if not holds_numbers(splits["train"].schema):
        check_labels(findings, counts, labels.named)
    return findings


def _check_split(findings: Findings, split: StagedSplit, labels: SplitLabels) -> Mapping[str, int]:
    """Check a split batch by batch. Return how often each label occurs."""
    name, names = split.name, labels.found[split.name]
    summary, foreign, spans = SplitSummary(names), ForeignTags(labels.foreign), SpanOffsets()
    for batch in split.batches():
        check_examples(findings, name, batch)
        spans.add(batch)
        if holds_numbers(batch.schema):
            summary.unlabelled += batch[LABEL].null_count
            continue
        codes = coded(labels.column(batch), batch, names, may_be_missing=name == "test")
        if TAGS in batch.schema.names:
            foreign.add(batch)
            check_transitions(findings, name, batch, codes, names, labels.scheme)
        summary.count(codes)
    has_none = summary.unlabelled == split.examples
    findings.add(
        "no_labels" if has_none else "unlabelled", name, summary.unlabelled, split.origin if has_none else None
    )
    foreign.report(findings, name)
    spans.report(findings, name)
    return dict(zip(names, summary.counts.tolist(), strict=True))


def _report_ignored(findings: Findings, source: Source, config: DataBase) -> None:
    for name, split in source.splits.items():
        findings.add("ignored", name, split.left_out.rows, split.left_out.first)
    if isinstance(config, TabularData):
        met = {label for split in source.splits.values() for label in split.left_out.labels}
        in_vain = sorted(ignored_labels(config) - met)
        findings.add("ignored_in_vain", "all", len(in_vain), ", ".join(in_vain))


def _report_headers(findings: Findings, source: Source, splits: Mapping[Split, StagedSplit]) -> None:
    """Tell of columns of labels that are called like a label: the first line may be an example, and no header."""
    names = {name: set(map(canonical_label, split.labels)) for name, split in splits.items()}
    for name, split in splits.items():
        alike = [
            file
            for file, header in source.splits[name].headers.items()
            if (_is_number(header) if holds_numbers(split.schema) else canonical_label(header) in names[name])
        ]
        findings.add("label_as_header", name, len(alike), f"{', '.join(alike[:1])}, line 1" if alike else None)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _features(schema: pa.Schema, names: Sequence[str]) -> Features:
    inputs = {ID: Value("string")}
    inputs |= {name: Value("string") for name in (TEXT, SECOND_TEXT) if name in schema.names}
    kept = {name.removeprefix(KEPT): Value("string") for name in schema.names if name.startswith(KEPT)}
    label = ClassLabel(names=list(names))
    if TOKENS in schema.names:
        return Features({**inputs, TOKENS: List(Value("string")), TAGS: List(label), **kept})
    if holds_numbers(schema):
        return Features({**inputs, LABEL: Value("float64"), **kept})
    return Features({**inputs, LABEL: List(label) if pa.types.is_list(schema.field(LABEL).type) else label, **kept})


def _require_equal_columns(splits: Mapping[Split, StagedSplit]) -> None:
    train = splits["train"].schema
    for name, split in splits.items():
        if (SECOND_TEXT in split.schema.names) != (SECOND_TEXT in train.names):
            raise DataError(
                f"{name} ({split.origin}): {'has' if SECOND_TEXT in split.schema.names else 'lacks'} a second text, "
                "unlike train; set data.pair_column, and data.text_column where there is only one"
            )


def _written(
    name: Split, split: StagedSplit, selection: Selection, labels: SplitLabels, summary: SplitSummary
) -> Iterator[pa.RecordBatch]:
    """Yield the selected rows in canonical form, and count them into `summary`."""
    start = 0
    for batch in split.batches():
        first, last = np.searchsorted(selection.rows, [start, start + batch.num_rows])
        rows = selection.rows[first:last]
        if len(rows):
            batch_chosen = batch.take(pa.array(rows - start))
            codes = labels.codes(batch_chosen, name, may_be_missing=name == "test")
            chosen = _canonical(batch_chosen, [f"{split.name}-{row}" for row in rows.tolist()], codes)
            summary.add(chosen)
            yield chosen
        start += batch.num_rows


def _canonical(batch: pa.RecordBatch, numbered: Sequence[str], labels: pa.Array) -> pa.RecordBatch:
    """Return rows with their labels. `numbered`: their ids if the source has none."""
    ids = batch[ID] if ID in batch.schema.names else pa.array(numbered, pa.string())
    inputs = {name: batch[name] for name in (TEXT, SECOND_TEXT, TOKENS) if name in batch.schema.names}
    kept = {name.removeprefix(KEPT): batch[name] for name in batch.schema.names if name.startswith(KEPT)}
    return pa.record_batch({ID: ids, **inputs, TAGS if TOKENS in inputs else LABEL: labels, **kept})
