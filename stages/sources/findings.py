"""What a look at all the data finds odd about them, before anything is trained on them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.configuration.schema import Scheme, Split
from stages.sources.columns import MISALIGNED
from stages.sources.examples import PAIR, PLACE, TAGS, TEXT, TOKENS
from stages.sources.spool import SpooledSplit
from stages.sources.values import list_lengths
from stages.tasks.schemes import illegal_transitions

Severity = Literal["error", "warning", "note"]
Mask: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class Kind:
    """A kind of finding."""

    severity: Severity
    meaning: str
    """What a reader is told, in words."""


KINDS: Mapping[str, Kind] = {
    "single_label": Kind("error", "every example has the same label, so there is nothing to learn"),
    "duplicate_ids": Kind("error", "examples have the id of an earlier one"),
    "duplicates": Kind("warning", "examples repeat an earlier input of their split (data.deduplicate=within)"),
    "shared_inputs": Kind("warning", "inputs occur in two splits, so scores flatter (data.deduplicate=across)"),
    "conflicting_labels": Kind("warning", "inputs have different labels in different places"),
    "unseen_labels": Kind("warning", "labels or entity types do not occur in train, so they can't be learned"),
    "illegal_transitions": Kind("warning", "tags may not follow the one before, or end a sentence, in their scheme"),
    "misaligned_spans": Kind("warning", "spans begin or end inside a word and were widened to whole words"),
    "empty_inputs": Kind("warning", "examples hold no text"),
    "empty_words": Kind("warning", "examples hold words without a visible character"),
    "control_characters": Kind("warning", "examples hold control characters"),
    "unreadable_characters": Kind("warning", "examples hold U+FFFD, the sign of a wrong encoding"),
    "similar_labels": Kind("warning", "labels differ only in case or white space"),
    "odd_white_space": Kind("note", "examples hold no-break or zero-width spaces, or words with a space inside"),
    "unlabelled": Kind("note", "examples have no label (-1): they can be predicted, not scored"),
}
"""Every kind of finding, gravest first."""


@dataclass
class Finding:
    """Something odd: how often in each split, or between two (`train, test`), and where first."""

    code: str
    counts: dict[str, int] = field(default_factory=dict)
    first: str | None = None
    """The place of the first, as messages call it. It may name a path of this machine, so it goes into the log alone."""

    @property
    def kind(self) -> Kind:
        """What it is."""
        return KINDS[self.code]


class Findings:
    """All findings, in the order of `KINDS`."""

    def __init__(self) -> None:
        self._by_code: dict[str, Finding] = {}

    def add(self, code: str, where: str, count: int, first: str | None = None) -> None:
        """Count `count` more of a kind in a split, or between two; nothing if it is 0."""
        if not count:
            return
        finding = self._by_code.setdefault(code, Finding(code))
        finding.counts[where] = finding.counts.get(where, 0) + count
        finding.first = finding.first or first

    def all(self) -> list[Finding]:
        """Those there are, gravest first."""
        return [self._by_code[code] for code in KINDS if code in self._by_code]


def check_examples(findings: Findings, split: Split, batch: pa.RecordBatch) -> None:
    """What one can see in each example alone."""
    for code, check in _CHECKS.items():
        found = check(batch)
        if found.any():
            findings.add(code, split, int(found.sum()), _place(batch, int(found.argmax())))
    if MISALIGNED in batch.schema.names:
        spans = batch[MISALIGNED].to_numpy(zero_copy_only=False)
        if spans.any():
            findings.add("misaligned_spans", split, int(spans.sum()), _place(batch, int(spans.nonzero()[0][0])))


def check_transitions(
    findings: Findings, split: Split, batch: pa.RecordBatch, codes: pa.ListArray, names: Sequence[str], scheme: Scheme
) -> None:
    """Tags that may not stand where they stand."""
    lengths = list_lengths(codes)
    wrong = illegal_transitions(pc.list_flatten(codes).to_numpy(zero_copy_only=False), lengths, names, scheme)
    if len(wrong):
        row = int(np.searchsorted(np.cumsum(lengths), wrong[0], side="right"))
        findings.add("illegal_transitions", split, len(wrong), _place(batch, row))


def check_repeats(findings: Findings, splits: Mapping[Split, SpooledSplit]) -> None:
    """Equal ids, equal inputs inside and across splits, equal inputs with different labels."""
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
    findings.add("conflicting_labels", "all", _conflicts(list(splits.values())))


def check_labels(findings: Findings, names: Sequence[str], counts: Mapping[Split, NDArray[np.int64]]) -> None:
    """Labels (or entity types) that train does not have, or the only one it has; `counts` are how often each occurs."""
    types = [name.partition("-")[2] or name for name in names] if _are_tags(names) else list(names)
    seen = {label for label, count in zip(types, counts["train"], strict=True) if count}
    for split, numbers in counts.items():
        unseen = {label for label, count in zip(types, numbers, strict=True) if count} - seen
        findings.add("unseen_labels", split, len(unseen), ", ".join(sorted(unseen)))
    present = [name for name, count in zip(names, counts["train"], strict=True) if count]
    findings.add("single_label", "train", int(len(present) == 1), present[0] if present else None)
    alike = len(names) - len({" ".join(name.split()).casefold() for name in names})
    findings.add("similar_labels", "all", alike)


def _are_tags(names: Sequence[str]) -> bool:
    return "O" in names and any(name[1:2] == "-" for name in names)


def _conflicts(splits: Sequence[SpooledSplit]) -> int:
    """Distinct inputs that have more than one label."""
    contents = np.concatenate([split.contents for split in splits])
    targets = np.concatenate([split.targets for split in splits])
    order = np.lexsort((targets, contents["low"], contents["high"]))
    same_input = contents[order][1:] == contents[order][:-1]
    differs = same_input & (targets[order][1:] != targets[order][:-1])
    return len(np.unique(contents[order][1:][differs]))


def _place(batch: pa.RecordBatch, row: int) -> str:
    return str(batch[PLACE][row].as_py())


def _inputs(batch: pa.RecordBatch) -> list[pa.Array]:
    """Every string of the examples, and the example of each."""
    return [batch[name] for name in (TEXT, PAIR, TOKENS) if name in batch.schema.names]


def _holding(pattern: str, pattern_for_words: str | None = None) -> Callable[[pa.RecordBatch], Mask]:
    """A check for examples with a text that `pattern` matches, or a word that `pattern_for_words` does."""

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
    """Without a visible character in any of the texts; words: without any word."""
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
