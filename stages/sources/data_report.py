"""The data report: what the log, `metrics/download.json` and the page `data/report.md` say of the data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.columns.arrays import quantiles
from stages.columns.names import LABEL, SECOND_TEXT, TAGS, TEXT, TOKENS
from stages.configuration.schema import Scheme, Split
from stages.pipeline.escaping import code, shortened, visible
from stages.pipeline.findings import FailOn, Findings
from stages.pipeline.json_files import Json
from stages.sources.label_coding import unlabelled
from stages.sources.label_names import UNLABELLED
from stages.sources.reading import ReportLine
from stages.sources.values import NO_CODE, list_lengths
from stages.tags.schemes import are_entity_tags
from stages.tags.spans import TagSequences, spans_of, types_in


@dataclass
class SplitSummary:
    """Counts over a split's examples, added batch by batch. Labels are codes into `names`, or numbers if `names` is empty."""

    names: Sequence[str]
    lengths: list[NDArray[np.int64]] = field(default_factory=list)
    """Words in each example."""
    entities: int = 0
    unlabelled: int = 0
    values: list[NDArray[np.float64]] = field(default_factory=list)
    shown: list[tuple[str, str]] = field(default_factory=list)
    """The first examples as text, each with its labels."""
    counts: NDArray[np.int64] = field(init=False)
    """[labels]: how often each occurs."""

    def __post_init__(self) -> None:
        self.counts = np.zeros(len(self.names), np.int64)

    def add(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Count the examples of a canonical batch."""
        self.lengths.append(words(batch))
        labels = batch[TAGS if TAGS in batch.schema.names else LABEL]
        self.shown += [self._as_text(row) for row in batch.slice(0, _MOST_SHOWN - len(self.shown)).to_pylist()]
        if pa.types.is_floating(labels.type):
            self.values.append(labels.drop_null().to_numpy())
            self.unlabelled += labels.null_count
            return
        self.count(labels)
        if TAGS in batch.schema.names and self.has_entities:
            self.entities += count_entities(labels, self.names)

    def _as_text(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """Return an example of a canonical batch and its labels as text."""
        found = row[TAGS if TAGS in row else LABEL]
        codes = found if isinstance(found, list) else [-1 if found is None else found]
        labels = [str(code) if not self.names else UNLABELLED if code < 0 else self.names[code] for code in codes]
        texts = row[TOKENS] if TOKENS in row else [row[name] for name in (TEXT, SECOND_TEXT) if name in row]
        shown = (" " if TOKENS in row else " | ").join(text[:_WIDTH] for text in texts)
        return visible(shown[:_WIDTH]), visible(" ".join(labels)[:_WIDTH])

    def count(self, labels: pa.Array) -> None:
        """Count labels alone, and the examples without any."""
        codes = _flat(labels)
        self.unlabelled += int(unlabelled(labels).sum())
        self.counts += np.bincount(codes[codes != NO_CODE], minlength=len(self.names))

    @property
    def has_entities(self) -> bool:
        """Whether the labels are entity tags."""
        return are_entity_tags(self.names)

    @property
    def examples(self) -> int:
        """The number of examples that have been added."""
        return sum(map(len, self.lengths))

    @property
    def words(self) -> int:
        """The number of words in the examples."""
        return int(sum(each.sum() for each in self.lengths))

    def to_json(self) -> dict[str, Json]:
        """Return the summary as `metrics/download.json` holds it."""
        found: dict[str, Json] = {"examples": self.examples, "words": self.words}
        if self.has_entities:
            found["entities"] = self.entities
        if self.unlabelled:
            found["unlabelled"] = self.unlabelled
        if self.values:
            return found | {"words_per_example": self.quantiles(), "numbers": self._numbers()}
        counts: Json = {name: int(count) for name, count in zip(self.names, self.counts, strict=True)}
        return found | {"words_per_example": self.quantiles(), "labels": counts}

    def quantiles(self) -> dict[str, int]:
        """Return quantiles of the words in an example."""
        return quantiles(np.concatenate(self.lengths))

    def range_of_numbers(self) -> str:
        """Return between which numbers the labels are, as text."""
        values = np.concatenate(self.values)
        if not len(values):
            return "no numbers"
        return f"numbers from {values.min():g} to {values.max():g}"

    def _numbers(self) -> dict[str, Json]:
        values = np.concatenate(self.values)
        if not len(values):
            return {}
        statistics = {"mean": values.mean(), "deviation": values.std(), "min": values.min(), "max": values.max()}
        return {name: float(value) for name, value in statistics.items()}


def words(batch: pa.RecordBatch | pa.Table) -> NDArray[np.int64]:
    """Return the number of words in each example: its tokens, or its texts split at white space."""
    if TOKENS in batch.schema.names:
        return list_lengths(batch[TOKENS])
    texts = [name for name in (TEXT, SECOND_TEXT) if name in batch.schema.names]
    total = np.zeros(batch.num_rows, np.int64)
    for name in texts:
        trimmed = pc.utf8_trim_whitespace(batch[name])
        counts = list_lengths(pc.utf8_split_whitespace(trimmed))
        total += np.where(_array(pc.binary_length(trimmed)) == 0, 0, counts)
    return total


def count_entities(tags: pa.ListArray, names: Sequence[str]) -> int:
    """Return how many entities lists of tags mark, as CoNLL's script reads them.

    `tags`: codes into `names`, which are entity tags. Lists without labels mark none.
    """
    known = tags.filter(pa.array(~unlabelled(tags)))
    sequences = TagSequences(_flat(known), list_lengths(known), names)
    return len(spans_of(sequences, types_in(names), "conll").start)


def _flat(labels: pa.Array) -> NDArray[np.int64]:
    return _array(pc.list_flatten(labels) if pa.types.is_list(labels.type) else labels)


def _array(values: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
    array: NDArray[np.int64] = values.to_numpy(zero_copy_only=False).astype(np.int64)
    return array


_MOST_SHOWN = 2
"""How many examples of each split are shown."""
_WIDTH = 96
"""Columns of a terminal that a line takes at most."""
_TEXT_WIDTH, _LABELS_WIDTH = 56, 24
"""Columns of these that an example and its labels take."""
_MOST_LABELS = 200
"""How many labels the page lists at most."""


@dataclass
class DataReport:
    """The findings about all the data as the source has them, and a summary of each split as it is written."""

    name: str
    scheme: Scheme
    findings: Findings
    sha256: Mapping[Split, Sequence[str]]
    """The digests of the files that the data were read from, if there are files."""
    pairs: bool = False
    """Whether an example is a pair of texts."""
    read: Sequence[ReportLine] = ()
    """How the files are read, if there are files."""
    origins: Mapping[Split, str] = field(default_factory=dict)
    """What was done to a split's files, or in place of files, in words; nothing for all rows of its own files."""
    splits: Mapping[Split, SplitSummary] = field(default_factory=dict)

    @property
    def labels(self) -> Sequence[str]:
        """The labels of all splits, those of train first."""
        return list(dict.fromkeys(label for summary in self.splits.values() for label in summary.names))

    def stop_on(self, fail_on: FailOn) -> None:
        """Raise DataError for findings that `data.fail_on` refuses."""
        self.findings.stop_on(fail_on, f"data={self.name}", "correct the data")

    def to_json(self) -> dict[str, Json]:
        """Return what `metrics/download.json` holds: the splits as written, and the findings with their counts."""
        splits: Json = {name: summary.to_json() for name, summary in self.splits.items()}
        digests: dict[str, Json] = {name: list(found) for name, found in self.sha256.items()}
        pairs: dict[str, Json] = {"pairs": True} if self.pairs else {}
        return {
            **pairs,
            "splits": splits,
            **({"sha256": digests} if digests else {}),
            "findings": self.findings.to_json(),
        }

    def to_markdown(self) -> str:
        """Return the page `data/report.md`."""
        head = [*self.read, *self.summary_lines()]
        parts = [
            f"# Data: {code(self.name)}",
            _table([["", "as it was read"], *([subject, code(text)] for subject, text in head)]),
        ]
        parts += ["## Splits", _table(self._splits(), has_numbers=True), "## Findings", self._findings()]
        if self.labels:
            parts += ["## Labels", _table(self._labels(), has_numbers=True)]
            if len(self.labels) > _MOST_LABELS:
                parts.append(f"And {len(self.labels) - _MOST_LABELS} more; all are in `metrics/download.json`.")
        return "\n\n".join(parts) + "\n"

    def summary_lines(self) -> list[ReportLine]:
        """Return lines on the data as they are written: the size of each split, the labels, and two examples of each split."""
        found: list[ReportLine] = [(name, self._size(name)) for name in self.splits]
        if self.labels:
            found.append(("labels" if self.scheme == "plain" else f"tags, {self.scheme}", self._first_labels()))
        return found + [
            (name, f"{shortened(text, _TEXT_WIDTH)} → {shortened(labels, _LABELS_WIDTH)}")
            for name, summary in self.splits.items()
            for text, labels in summary.shown
        ]

    def _size(self, split: Split) -> str:
        summary = self.splits[split]
        counts = [_counted(summary.examples, "example", "examples"), _counted(summary.words, "word", "words")]
        counts += [_counted(summary.entities, "entity", "entities")] if summary.has_entities else []
        counts += [summary.range_of_numbers()] if summary.values else []
        return ", ".join(counts) + (f"; {self.origins[split]}" if split in self.origins else "")

    def _first_labels(self) -> str:
        return f"{len(self.labels):,}: " + shortened(", ".join(self.labels), _WIDTH - len("tags, iobes: 1,000: "))

    def _splits(self) -> list[list[str]]:
        has_entities = any(summary.has_entities for summary in self.splits.values())
        head = ["split", "examples", "words", *(["entities"] if has_entities else [])]
        rows = [[*head, "words in an example: median", "95 %", "longest"]]
        for name, summary in self.splits.items():
            counts = [summary.examples, summary.words, *([summary.entities] if has_entities else [])]
            rows.append([name, *(f"{count:,}" for count in counts), *map(str, summary.quantiles().values())])
        return rows

    def _findings(self) -> str:
        findings = list(self.findings)
        if not findings:
            return "Nothing odd was found."
        rows = [["severity", "finding", "how many, where"]]
        rows += [[each.kind.severity, each.kind.meaning, each.counted()] for each in findings]
        return "Of the data as the source has them, before any sample is taken.\n\n" + _table(rows)

    def _labels(self) -> list[list[str]]:
        rows = [["label", *self.splits]]
        counts = [dict(zip(each.names, each.counts.tolist(), strict=True)) for each in self.splits.values()]
        for label in self.labels[:_MOST_LABELS]:
            shares = [
                f"{each.get(label, 0):,} ({each.get(label, 0) / max(1, sum(each.values())):.1%})" for each in counts
            ]
            rows.append([code(label), *shares])
        return rows


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _table(rows: Sequence[Sequence[str]], *, has_numbers: bool = False) -> str:
    """Return a Markdown table. The first row is its head. `has_numbers`: in all columns but the first, aligned right."""
    head, *body = rows
    alignment = "---:" if has_numbers else "---"
    lines = [head, ["---", *[alignment] * (len(head) - 1)], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
