"""The labels of each split: what they are read as, in which order and scheme they are written, and their codes."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from stages.columns.arrays import as_lists
from stages.columns.names import LABEL, TAGS
from stages.configuration.schema import SPLITS, DataBase, DataScheme, EntityScheme, Scheme, Split, TabularData
from stages.pipeline.errors import DataError
from stages.sources.data_report import count_entities
from stages.sources.label_coding import coded, label_order, unlabelled
from stages.sources.label_names import UNLABELLED, canonical_label, is_integer
from stages.sources.staging import StagedSplit
from stages.tags.schemes import Bigrams, SchemeDetector, convert, names_in_scheme, parse
from stages.tags.spellings import Spelling, spelling_of


@dataclass(frozen=True)
class SplitLabels:
    """The labels of each split as the source has them, and as they are written: those of train come first everywhere."""

    found: Mapping[Split, tuple[str, ...]]
    written: Mapping[Split, tuple[str, ...]]
    scheme: Scheme
    """The scheme of train's tags as found; `plain` for anything but entity tags."""
    read: Mapping[str, str]
    """What each label of the source is read as. Empty if labels are read as they stand."""
    named: tuple[str, ...]
    """The labels that the source names."""
    foreign: frozenset[str] = frozenset()
    """The tags that are spelled unlike most of train's."""
    target: EntityScheme | None = None
    """The scheme that tags are converted to."""

    @classmethod
    def of(cls, named: Sequence[str], splits: Mapping[Split, StagedSplit], config: DataBase) -> "SplitLabels":
        """Return the labels of staged splits. `named`: those that the source names, in order.

        Raises DataError if splits have labels of different types, or tags that mark no entities are to be converted.
        """
        train = splits["train"]
        if holds_numbers(train.schema):
            return cls(dict.fromkeys(SPLITS, ()), dict.fromkeys(SPLITS, ()), "plain", {}, ())
        _refuse_mixed_labels(named, splits)
        wanted, target = (config.scheme, config.convert_to) if isinstance(config, TabularData) else ("auto", None)
        spelling = spelling_of(_counts(train.bigrams), wanted)
        if spelling is not None:
            return cls._of_entity_tags(named, splits, spelling, wanted, target)
        if target is not None and TAGS in train.schema.names:
            shown = ", ".join(label_order(named, train.labels)[:5])
            raise DataError(
                f"data.convert_to={target}: the tags ({shown}, …) mark no entities; set null, or data.scheme=io if they are "
                "types without a prefix"
            )
        read = _spelled_alike(splits, named)
        found = _in_each_split(
            named, {name: {read.get(label, label) for label in split.labels} for name, split in splits.items()}
        )
        return cls(found, found, "plain", read, tuple(named))

    @classmethod
    def _of_entity_tags(
        cls,
        named: Sequence[str],
        splits: Mapping[Split, StagedSplit],
        spelling: Spelling,
        wanted: DataScheme,
        target: EntityScheme | None,
    ) -> "SplitLabels":
        """Return the labels of words whose tags mark entities. `wanted`, `target`: `data.scheme` and `data.convert_to`."""
        train = splits["train"]
        no_label = {UNLABELLED} - train.labels - set(named)
        tags = {tag for split in splits.values() for tag in split.labels} - no_label
        foreign = frozenset(tag for tag in tags if spelling.read(tag) is None)
        read = {tag: spelling.read(tag) or spelling.read_leniently(tag) for tag in (*named, *tags)}
        read |= {tag: tag for tag in no_label}
        names = tuple(dict.fromkeys(read[tag] for tag in named))
        found = _in_each_split(names, {name: {read[tag] for tag in split.labels} for name, split in splits.items()})
        scheme = _detected(train.bigrams, read) if wanted == "auto" or wanted == "io" else wanted  # noqa: PLR1714 (mypy narrows so)
        written = found if target is None else {key: names_in_scheme(labels, target) for key, labels in found.items()}
        return cls(found, written, scheme, read, names, foreign, target)

    def types(self, tags: Set[str]) -> dict[str, str]:
        """Return the entity type of each of the tags that marks one; where none does, tags are types themselves."""
        if not self.read:
            return {tag: tag for tag in tags}
        parsed = {tag: parse(self.read[tag]) for tag in tags if tag in self.read}
        return {tag: found.type for tag, found in parsed.items() if found and found.type}

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
        return as_lists(names, lengths, pc.is_null(labels).to_numpy(zero_copy_only=False))

    def codes(self, batch: pa.RecordBatch, split: Split, *, may_be_missing: bool) -> pa.Array:
        """Return the batch's labels as codes into what is written of the split, or its numbers."""
        if holds_numbers(batch.schema):
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


def holds_numbers(schema: pa.Schema) -> bool:
    """Return whether texts are labelled with a number each."""
    return LABEL in schema.names and pa.types.is_floating(schema.field(LABEL).type)


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


def _refuse_mixed_labels(names: Sequence[str], splits: Mapping[Split, StagedSplit]) -> None:
    """Raise DataError for integer labels in one split and text in another, unless `data.label_names` says how they match."""
    named = {*names, UNLABELLED}
    unnamed = {name: set(map(canonical_label, split.labels)) - named for name, split in splits.items()}
    integers = [name for name, labels in unnamed.items() if labels and all(map(is_integer, labels))]
    texts = [name for name in splits if name not in integers and splits[name].labels - {UNLABELLED}]
    if integers and texts:
        raise DataError(
            f"data: labels are integers in {', '.join(integers)} but text in {', '.join(texts)}; "
            "use one of them, or give the names that the integers stand for as data.label_names=[...]"
        )
