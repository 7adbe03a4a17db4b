"""Check the data for mistakes and oddities before anything is trained on them."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.columns.names import SECOND_TEXT, TAGS, TEXT, TOKENS
from stages.configuration.schema import Scheme, Split
from stages.pipeline.findings import Findings, Kind, Kinds
from stages.sources.examples import PLACE
from stages.sources.label_coding import unlabelled
from stages.sources.readers.offset_units import UNITS, OffsetUnit, SpanFit
from stages.sources.readers.span_tags import SPAN_FITS
from stages.sources.staging import NO_TARGET, StagedSplit
from stages.sources.values import list_lengths
from stages.tags.schemes import illegal_transitions

Mask: TypeAlias = NDArray[np.bool_]


KINDS: Kinds = {
    "single_label": Kind("error", "every example has the same label, so there is nothing to learn"),
    "duplicate_ids": Kind("error", "examples have the id of an earlier one"),
    "many_foreign_tags": Kind(
        "error", "tags are spelled differently from the others (data.scheme=plain if they mark no entities)"
    ),
    "duplicates": Kind("warning", "examples repeat an earlier input of their split (data.deduplicate=within)"),
    "shared_inputs": Kind("warning", "inputs occur in two splits, so scores are too high (data.deduplicate=across)"),
    "conflicting_labels": Kind("warning", "identical inputs have different labels"),
    "unseen_labels": Kind("warning", "labels do not occur in train, so they can't be learned"),
    "named_in_vain": Kind(
        "warning",
        "labels are named and have no example, so they can't be learned (integers count from 0, unless data.label_names is a "
        "mapping)",
    ),
    "ignored_in_vain": Kind("warning", "labels of data.ignore_labels do not occur"),
    "label_as_header": Kind(
        "warning",
        "label columns are named like a label, so the first line may be an example, not a header (if so, give columns by "
        "position, such as data.label_column=0)",
    ),
    "integer_names": Kind("note", "label names are integers, so integers were read as names, not as positions"),
    "foreign_tags": Kind(
        "warning", "tags are spelled differently from the others and were read as the entity that they name, or as O"
    ),
    "illegal_transitions": Kind("warning", "tags may not follow the one before, or end a sentence, in their scheme"),
    "utf16_spans": Kind(
        "error",
        "spans fit words as UTF-16 code units, as JavaScript counts, and not as characters (convert their offsets)",
    ),
    "utf8_spans": Kind("error", "spans fit words as bytes of UTF-8, and not as characters (convert their offsets)"),
    "ambiguous_spans": Kind(
        "warning",
        "spans fit words as characters, and other words as UTF-16 code units or bytes of UTF-8 (they were read as characters; "
        "check what the annotation tool counts)",
    ),
    "misaligned_spans": Kind("warning", "spans begin or end inside a word and were widened to whole words"),
    "empty_inputs": Kind("warning", "examples hold no text"),
    "empty_words": Kind("warning", "examples hold words without a visible character"),
    "control_characters": Kind("warning", "examples hold control characters"),
    "unreadable_characters": Kind("warning", "examples hold U+FFFD, the sign of a wrong encoding"),
    "similar_labels": Kind("warning", "labels differ only in case, white space, invisible characters or Unicode form"),
    "odd_white_space": Kind("note", "examples hold no-break or zero-width spaces, or words with a space inside"),
    "no_labels": Kind(
        "warning",
        "examples have no label, in a split without any: they can be predicted (evaluate.score=false), not scored",
    ),
    "ignored": Kind("note", "examples have a label of data.ignore_labels and were left out"),
    "unlabelled": Kind("note", "examples have no label (-1): they can be predicted, not scored"),
}
"""Every kind of finding, the most severe first."""


def check_examples(findings: Findings, split: Split, batch: pa.RecordBatch) -> None:
    """Check each example on its own."""
    for code, check in _CHECKS.items():
        found = check(batch)
        if found.any():
            findings.add(code, split, int(found.sum()), _place(batch, int(found.argmax())))


def check_transitions(
    findings: Findings, split: Split, batch: pa.RecordBatch, codes: pa.ListArray, names: Sequence[str], scheme: Scheme
) -> None:
    """Check that each tag may follow the one before it."""
    known = pa.array(~unlabelled(codes))
    batch, codes = batch.filter(known), codes.filter(known)
    lengths = list_lengths(codes)
    wrong = illegal_transitions(pc.list_flatten(codes).to_numpy(zero_copy_only=False), lengths, names, scheme)
    if len(wrong):
        row = int(np.searchsorted(np.cumsum(lengths), wrong[0], side="right"))
        findings.add("illegal_transitions", split, len(wrong), _place(batch, row))


@dataclass
class ForeignTags:
    """The tags of a split that are spelled unlike most of train, counted batch by batch."""

    tags: frozenset[str]
    words: int = 0
    count: int = 0
    first: str = ""
    """The first of them, and its place."""

    def add(self, batch: pa.RecordBatch) -> None:
        """Count those in a batch."""
        flat = pc.list_flatten(batch[TAGS])
        self.words += len(flat)
        found = np.flatnonzero(pc.is_in(flat, value_set=pa.array(sorted(self.tags), pa.string())).to_numpy(False))
        if len(found) and not self.count:
            row = pc.list_parent_indices(batch[TAGS])[int(found[0])].as_py()
            self.first = f"{flat[int(found[0])].as_py()} in {_place(batch, row)}"
        self.count += len(found)

    def report(self, findings: Findings, split: Split) -> None:
        """Add the finding: an error if there are so many that most tags may not be what they are taken for."""
        share = self.count / max(1, self.words)
        code = "many_foreign_tags" if share > _MANY else "foreign_tags"
        findings.add(code, split, self.count, f"{self.first}; {share:.2%} of the words")


class SpanOffsets:
    """What the offsets of a split's spans count, file by file, as each is of one tool. Read batch by batch."""

    def __init__(self) -> None:
        self._cutting = _Counted()
        self._by_file: dict[str, dict[str, _Offsets]] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Count the spans in a batch, if it is of files with spans."""
        if SPAN_FITS not in batch.schema.names:
            return
        fits = pc.list_flatten(batch[SPAN_FITS]).to_numpy(zero_copy_only=False)
        rows = pc.list_parent_indices(batch[SPAN_FITS]).to_numpy()
        for fit, row in zip(fits[fits != 0].tolist(), rows[fits != 0].tolist(), strict=True):
            place = _place(batch, row)
            if fit & SpanFit.CUTS_WORD:
                self._cutting.add(place)
            units = self._by_file.setdefault(place.rpartition(", ")[0], {})
            for code, unit in UNITS.items():
                if fit & unit.differs:
                    units.setdefault(code, _Offsets()).count_fit(place, fit, unit)

    def report(self, findings: Findings, split: Split) -> None:
        """Add the findings: the unit of a file in which most of its spans fit, and more than as characters."""
        for units in self._by_file.values():
            likely = [code for code, offsets in units.items() if offsets.fit_better]
            if likely:
                code = max(likely, key=lambda code: units[code].fitting / units[code].count)
                findings.add(f"{code}_spans", split, units[code].count, units[code].first)
            elif either := [offsets for offsets in units.values() if offsets.fit_both_ways]:
                findings.add("ambiguous_spans", split, either[0].count, either[0].first)
        findings.add("misaligned_spans", split, self._cutting.count, self._cutting.first)


@dataclass
class _Counted:
    """How many there are, and the place of the first."""

    count: int = 0
    first: str | None = None

    def add(self, place: str) -> None:
        self.count += 1
        self.first = self.first or place


@dataclass
class _Offsets(_Counted):
    """The spans of a file that are elsewhere if their offsets count another unit."""

    fitting: int = 0
    fitting_as_characters: int = 0

    def count_fit(self, place: str, fit: int, unit: OffsetUnit) -> None:
        self.add(place)
        self.fitting += bool(fit & unit.fits)
        self.fitting_as_characters += not fit & SpanFit.CUTS_WORD

    @property
    def fit_better(self) -> bool:
        return self.fitting > self.fitting_as_characters and self.fitting >= self.count / 2

    @property
    def fit_both_ways(self) -> bool:
        return self.fitting == self.fitting_as_characters == self.count >= _SEVERAL


_SEVERAL = 3
"""How many spans of a file don't fit in a wrong unit all by chance."""
_MANY = 0.01
"""The share of words with a foreign tag that is an error."""


def check_repeats(findings: Findings, splits: Mapping[Split, StagedSplit]) -> None:
    """Check for equal ids, equal inputs within and across splits, and equal inputs with different labels."""
    distinct = {name: np.unique(split.contents) for name, split in splits.items()}
    for name, split in splits.items():
        findings.add("duplicates", name, split.examples - len(distinct[name]))
        if split.ids is not None:
            findings.add("duplicate_ids", name, split.examples - len(np.unique(split.ids)))
    names = list(splits)
    for place, name in enumerate(names):
        for other in names[place + 1 :]:
            shared = np.intersect1d(distinct[name], distinct[other], assume_unique=True)
            findings.add("shared_inputs", f"{name}, {other}", len(shared))
    contents = np.concatenate([split.contents for split in splits.values()])
    targets = np.concatenate([split.targets for split in splits.values()])
    contents, targets = contents[targets != NO_TARGET], targets[targets != NO_TARGET]
    order = np.lexsort((targets, contents["low"], contents["high"]))
    same_input = contents[order][1:] == contents[order][:-1]
    differs = same_input & (targets[order][1:] != targets[order][:-1])
    findings.add("conflicting_labels", "all", len(np.unique(contents[order][1:][differs])))


def check_carved(findings: Findings, contents: Mapping[Split, NDArray[np.void]]) -> None:
    """Check for equal inputs in splits of one file, which groups can have in common. `contents`: of each split."""
    for one, other in combinations(contents, 2):
        findings.add("shared_inputs", f"{one}, {other}", len(np.intersect1d(contents[one], contents[other])))


def check_labels(findings: Findings, counts: Mapping[Split, Mapping[str, int]], named: Sequence[str]) -> None:
    """Check for labels that train does not have, or has alone.

    `counts`: how often each label occurs in each split. `named`: the labels that the source names.
    """
    present = {split: {name for name, count in numbers.items() if count} for split, numbers in counts.items()}
    for split, labels in present.items():
        unseen = labels - present["train"]
        findings.add("unseen_labels", split, len(unseen), ", ".join(sorted(unseen)))
    findings.add("single_label", "train", int(len(present["train"]) == 1), min(present["train"], default=None))
    without = [name for name in named if name not in present["train"]]
    findings.add("named_in_vain", "train", len(without), ", ".join(without))
    names = {name for numbers in counts.values() for name in numbers}
    alike: dict[str, list[str]] = {}
    for name in sorted(names):
        alike.setdefault(_as_read(name), []).append(name)
    several = [spellings for spellings in alike.values() if len(spellings) > 1]
    first = " and ".join(map(ascii, several[0])) if several else None
    findings.add("similar_labels", "all", len(names) - len(alike), first)


def _as_read(label: str) -> str:
    """Return a label as a reader would take it: invisible characters, the kind of white space and letters' case left out."""
    visible = "".join(character for character in label if unicodedata.category(character) != "Cf")
    return " ".join(unicodedata.normalize("NFC", visible).split()).casefold()


def _place(batch: pa.RecordBatch, row: int) -> str:
    return str(batch[PLACE][row].as_py())


def _inputs(batch: pa.RecordBatch) -> list[pa.Array]:
    """Return the columns of strings, or of lists of strings."""
    return [batch[name] for name in (TEXT, SECOND_TEXT, TOKENS) if name in batch.schema.names]


def _holding(pattern: str, pattern_for_words: str | None = None) -> Callable[[pa.RecordBatch], Mask]:
    """Return a check for examples with a text that matches `pattern`, or a word that matches `pattern_for_words`."""

    def check(batch: pa.RecordBatch) -> Mask:
        found = np.zeros(batch.num_rows, bool)
        for column in _inputs(batch):
            if pa.types.is_list(column.type):
                matches = pc.match_substring_regex(pc.list_flatten(column), pattern_for_words or pattern)
                found[pc.list_parent_indices(column).filter(matches).to_numpy()] = True
            else:
                found |= pc.match_substring_regex(column, pattern).to_numpy(zero_copy_only=False)
        return found

    return check


def _without_text(batch: pa.RecordBatch) -> Mask:
    """Find examples without a visible character in any of their texts, or without any word."""
    if TOKENS in batch.schema.names:
        is_empty: Mask = list_lengths(batch[TOKENS]) == 0
        return is_empty
    return _holding(_EMPTY)(batch)


def _with_empty_words(batch: pa.RecordBatch) -> Mask:
    return _holding(_EMPTY)(batch) if TAGS in batch.schema.names else np.zeros(batch.num_rows, bool)


_EMPTY = r"^[\s\p{Z}\p{Cc}\x{200b}-\x{200d}\x{2060}\x{feff}\x{00ad}]*$"
_ODD_SPACE = r"[\x{00a0}\x{00ad}\x{2000}-\x{200d}\x{2028}\x{2029}\x{202f}\x{205f}\x{2060}\x{3000}\x{feff}]"
_CHECKS: Mapping[str, Callable[[pa.RecordBatch], Mask]] = {
    "empty_inputs": _without_text,
    "empty_words": _with_empty_words,
    "control_characters": _holding(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}]"),
    "unreadable_characters": _holding(r"\x{fffd}"),
    "odd_white_space": _holding(_ODD_SPACE, rf"{_ODD_SPACE}|\s"),
}
