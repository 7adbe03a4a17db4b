"""Write a source's examples in the one form that all later stages read.

The examples are read once and staged on disk. Then the examples of each split are selected, with all of them known.
Then they are written. Memory holds a few batches of rows, and some numbers for each example.
"""

import logging
import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Features, List, Value

from stages.configuration.schema import SPLITS, DataBase, EntityScheme, Scheme, Split, TabularData
from stages.pipeline.arrow import write_splits
from stages.pipeline.errors import DataError
from stages.pipeline.findings import Findings
from stages.sources.data_report import DataReport, SplitSummary, count_entities
from stages.sources.examples import ID, KEPT, LABEL, PAIR, TAGS, TEXT, TOKENS
from stages.sources.findings import (
    KINDS,
    ForeignTags,
    check_carved,
    check_examples,
    check_labels,
    check_repeats,
    check_transitions,
)
from stages.sources.label_coding import coded, label_order, unlabelled
from stages.sources.label_names import UNLABELLED, LeftOut, canonical_label, ignored_labels, is_integer
from stages.sources.reading import Line
from stages.sources.selection import Selection, carved, select
from stages.sources.staging import StagedSplit, stage_examples
from stages.tags.schemes import Bigrams, SchemeDetector, convert, names_in_scheme, parse
from stages.tags.spellings import spelling_of

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
    """What each of its files without types (CSV) calls the column of labels."""


@dataclass(frozen=True)
class Source:
    """All splits of a data set: what every data source returns."""

    splits: Mapping[Split, SourceSplit]
    label_names: tuple[str, ...] | None
    """The labels in order, if the source knows them; none that is ignored."""
    takes_integers_as_names: bool = False
    """Whether `data.label_names` has integers, which are names then and no indices."""
    sha256: Mapping[Split, Sequence[str]] = field(default_factory=dict)
    """The digests of each split's files, if there are files."""
    read: Sequence[Line] = ()
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
    labels = _Labels.of(source, splits, config)
    splits = {name: split.stratified_by_type(labels.types(split.labels)) for name, split in splits.items()}
    are_pairs = PAIR in splits["train"].schema.names
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
    """Return in words how a split was made of examples; nothing where it is all of its own."""
    made = []
    if name == "test" and config.fold is not None:
        made.append(f"a part of train (data.fold={config.fold}, data.seed={config.seed})")
    elif selection.source != name:
        fraction = getattr(config, f"{name}_fraction")
        made.append(f"carved out of {selection.source} (data.{name}_fraction={fraction:g}, data.seed={config.seed})")
    if getattr(config.max_examples, name) is not None:
        made.append(f"at most data.max_examples.{name}")
    return ", ".join(made)


@dataclass(frozen=True)
class _Labels:
    """The labels of each split as the source has them, and as they are written: those of train come first everywhere."""

    found: Mapping[Split, tuple[str, ...]]
    written: Mapping[Split, tuple[str, ...]]
    scheme: Scheme
    """The scheme of train's tags as found; `plain` for anything but entity tags."""
    read: Mapping[str, str]
    """What each label of the source is read as; empty where that is as it stands."""
    named: tuple[str, ...]
    """Those that the source names."""
    foreign: frozenset[str] = frozenset()
    """The tags that are spelled unlike most of train's."""
    target: EntityScheme | None = None
    """The scheme that tags are converted to."""

    @classmethod
    def of(cls, source: Source, splits: Mapping[Split, StagedSplit], config: DataBase) -> "_Labels":
        if _holds_numbers(splits["train"].schema):
            return cls(dict.fromkeys(SPLITS, ()), dict.fromkeys(SPLITS, ()), "plain", {}, ())
        _refuse_mixed_labels(source, splits)
        wanted, target = (config.scheme, config.convert_to) if isinstance(config, TabularData) else ("auto", None)
        spelling = spelling_of(_counts(splits["train"].bigrams), wanted)
        named, tags = source.label_names or (), {label for split in splits.values() for label in split.labels}
        if spelling is None:
            if target is not None and TAGS in splits["train"].schema.names:
                shown = ", ".join(label_order(named, splits["train"].labels)[:5])
                raise DataError(
                    f"data.convert_to={target}: the tags ({shown}, …) mark no entities; set null, or data.scheme=io if they are "
                    "types without a prefix"
                )
            read = _spelled_alike(splits, named)
            labels = {name: {read.get(label, label) for label in split.labels} for name, split in splits.items()}
            found = _in_each_split(named, labels)
            return cls(found, found, "plain", read, tuple(named))
        no_label = {UNLABELLED} - splits["train"].labels - set(named)
        foreign = frozenset(tag for tag in tags - no_label if spelling.read(tag) is None)
        read = {tag: spelling.read(tag) or spelling.read_anyhow(tag) for tag in (*named, *(tags - no_label))}
        read |= {tag: tag for tag in no_label}
        named = tuple(dict.fromkeys(read[tag] for tag in named))
        found = _in_each_split(named, {name: {read[tag] for tag in split.labels} for name, split in splits.items()})
        scheme = _detected(splits["train"].bigrams, read) if wanted == "auto" or wanted == "io" else wanted  # noqa: PLR1714 (mypy narrows so)
        written = found if target is None else {key: names_in_scheme(names, target) for key, names in found.items()}
        return cls(found, written, scheme, read, tuple(named), foreign, target)

    def types(self, tags: Set[str]) -> dict[str, str]:
        """Return the entity type of each of the tags that marks one; where none does, tags are types themselves."""
        parsed = {tag: parse(self.read[tag]) for tag in tags if tag in self.read}
        return (
            {tag: found.type for tag, found in parsed.items() if found and found.type}
            if self.read
            else {tag: tag for tag in tags}
        )

    def column(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the batch's labels, or lists of labels or tags, as they are read."""
        labels = batch[TAGS if TAGS in batch.schema.names else LABEL]
        if not self.read:
            return labels
        is_list = pa.types.is_list(labels.type)
        codes = (pc.list_flatten(labels) if is_list else labels).dictionary_encode()
        names = pa.array([self.read[label] for label in codes.dictionary.to_pylist()], pa.string()).take(codes.indices)
        if not is_list:
            return names
        lengths = pc.fill_null(pc.list_value_length(labels), 0).to_numpy()
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        return pa.ListArray.from_arrays(offsets, names, mask=pc.is_null(labels))

    def codes(self, batch: pa.RecordBatch, split: Split, *, may_be_missing: bool) -> pa.Array:
        """Return the batch's labels as codes into what is written of the split, or its numbers."""
        if _holds_numbers(batch.schema):
            return batch[LABEL]
        tags = self.column(batch)
        if self.target is None:
            return coded(tags, batch, self.written[split], may_be_missing=may_be_missing)
        before = coded(tags, batch, self.found[split], may_be_missing=may_be_missing)
        known = (~unlabelled(before)).tolist()
        sentences = zip(tags.to_pylist(), known, strict=True)
        converted = pa.array(
            [convert(tags, self.target) if is_known else tags for tags, is_known in sentences], tags.type
        )
        after = coded(converted, batch, self.written[split], may_be_missing=may_be_missing)
        assert count_entities(after, self.written[split]) == count_entities(before, self.found[split])
        return after


def _in_each_split(named: Sequence[str], labels: Mapping[Split, Set[str]]) -> dict[Split, tuple[str, ...]]:
    """Return the labels of each split: those of train in order, and then those that only the split has, in natural order."""
    no_label = {UNLABELLED} - (set(named) or labels["train"])  # among names, -1 is a label only if it is one of them
    train = label_order(named, labels["train"] - no_label)
    return {split: label_order(train, labels.get(split, frozenset()) - no_label) for split in SPLITS}


def _spelled_alike(splits: Mapping[Split, StagedSplit], named: Sequence[str]) -> dict[str, str]:
    """Return how labels are read, if those of train are all booleans or all whole numbers: as every format has them.

    `True` is `true` then, and `4.0` is `4`. Empty if they are neither, or named.
    """
    train = splits["train"]
    canonical = {canonical_label(label) for label in train.labels}
    if named or TAGS in train.schema.names or not (canonical <= {"true", "false"} or all(map(is_integer, canonical))):
        return {}
    return {label: canonical_label(label) for split in splits.values() for label in split.labels}


def _counts(bigrams: Bigrams) -> Mapping[str, int]:
    """Return how often each tag occurs: it has one neighbour before it."""
    counts: Counter[str] = Counter()
    for (_, tag), count in bigrams.items():
        if tag is not None:
            counts[tag] += count
    return counts


def _detected(bigrams: Bigrams, read: Mapping[str, str]) -> Scheme:
    detector = SchemeDetector()
    for pair, count in bigrams.items():
        before, after = (None if tag is None else read[tag] for tag in pair)
        detector.add_bigrams({(before, after): count})
    return detector.scheme


def _refuse_mixed_labels(source: Source, splits: Mapping[Split, StagedSplit]) -> None:
    """Raise DataError for integer labels in one split and text in another, unless `data.label_names` says how they match."""
    named = {*(source.label_names or ()), UNLABELLED}
    unnamed = {name: set(map(canonical_label, split.labels)) - named for name, split in splits.items()}
    integers = [name for name, labels in unnamed.items() if labels and all(map(is_integer, labels))]
    texts = [name for name in splits if name not in integers and splits[name].labels - {UNLABELLED}]
    if integers and texts:
        raise DataError(
            f"data: labels are integers in {', '.join(integers)} but text in {', '.join(texts)}; "
            "write them alike, or give the names that the integers stand for as data.label_names=[...]"
        )


def _findings(source: Source, splits: Mapping[Split, StagedSplit], labels: _Labels, config: DataBase) -> Findings:
    findings = Findings(KINDS)
    counts: dict[Split, Mapping[str, int]] = {}
    for name, split in splits.items():
        names = labels.found[name]
        summary, foreign = SplitSummary(names), ForeignTags(labels.foreign)
        for batch in split.batches():
            check_examples(findings, name, batch)
            if _holds_numbers(batch.schema):
                summary.unlabelled += batch[LABEL].null_count
                continue
            codes = coded(labels.column(batch), batch, names, may_be_missing=name == "test")
            if TAGS in batch.schema.names:
                foreign.add(batch)
                check_transitions(findings, name, batch, codes, names, labels.scheme)
            summary.count(codes)
        counts[name] = dict(zip(names, summary.counts.tolist(), strict=True))
        without = "no_labels" if summary.unlabelled == split.examples else "unlabelled"
        findings.add(without, name, summary.unlabelled, split.origin if without == "no_labels" else None)
        foreign.tell(findings, name)
    check_repeats(findings, splits)
    if source.takes_integers_as_names:
        findings.add("integer_names", "all", sum(map(is_integer, source.label_names or ())))
    _tell_ignored(findings, source, config)
    _tell_headers(findings, source, splits)
    if not _holds_numbers(splits["train"].schema):
        check_labels(findings, counts, labels.named)
    return findings


def _tell_ignored(findings: Findings, source: Source, config: DataBase) -> None:
    for name, split in source.splits.items():
        findings.add("ignored", name, split.left_out.rows, split.left_out.first)
    if isinstance(config, TabularData):
        met = {label for split in source.splits.values() for label in split.left_out.labels}
        in_vain = sorted(ignored_labels(config) - met)
        findings.add("ignored_in_vain", "all", len(in_vain), ", ".join(in_vain))


def _tell_headers(findings: Findings, source: Source, splits: Mapping[Split, StagedSplit]) -> None:
    """Tell of columns of labels that are called like a label: the first line may be an example, and no header."""
    names = {name: set(map(canonical_label, split.labels)) for name, split in splits.items()}
    for name, split in splits.items():
        alike = [
            file
            for file, header in source.splits[name].headers.items()
            if (_is_number(header) if _holds_numbers(split.schema) else canonical_label(header) in names[name])
        ]
        findings.add("label_as_header", name, len(alike), f"{', '.join(alike[:1])}, line 1" if alike else None)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


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
    name: Split, split: StagedSplit, selection: Selection, labels: _Labels, summary: SplitSummary
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
    inputs = {name: batch[name] for name in (TEXT, PAIR, TOKENS) if name in batch.schema.names}
    kept = {name.removeprefix(KEPT): batch[name] for name in batch.schema.names if name.startswith(KEPT)}
    return pa.record_batch({ID: ids, **inputs, TAGS if TOKENS in inputs else LABEL: labels, **kept})
