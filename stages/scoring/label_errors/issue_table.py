"""Ranked label issues beside the texts and sentences that they are in, for people and other programs to read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from stages.scoring.core.predicted import ScoringRules
from stages.scoring.evaluation.predictions_file import GOLD, PredictionsFile
from stages.scoring.label_errors.ranking import IssueKind, LabelIssue, Marked, label_issues

NO_ENTITY, NO_LABEL = "(no entity)", "(none)"
"""What stands for no entity, and for no label of several."""

_DECIMALS = 6


@dataclass(frozen=True)
class Source:
    """A predictions file, and the texts that it is of."""

    split: str
    file: PredictionsFile
    texts: Sequence[tuple[str, ...]]
    """[examples]: the text of each, or both of a pair; empty for words, which the file has itself."""


@dataclass(frozen=True)
class RankedIssue:
    """A row of the table."""

    rank: int
    """Counted from 1, the surest issue first."""
    id: str
    split: str
    issue: LabelIssue
    labels: tuple[str, ...] | None
    """Several labels a text: those that gold gives it."""
    texts: tuple[str, ...]
    """The text, or both of a pair; empty for words."""
    tokens: tuple[str, ...]
    """The words of the sentence; empty for texts."""

    @property
    def kind(self) -> IssueKind:
        """Return what is probably wrong."""
        return self.issue.kind

    @property
    def words(self) -> tuple[int, int]:
        """Return the words concerned, given or suggested: the first, and the one behind the last."""
        marked = [each for each in (self.issue.given, self.issue.suggested) if each is not None]
        return min(each.start for each in marked), max(each.end for each in marked)

    @property
    def given(self) -> str:
        """Return what gold says, in words."""
        return self._in_words(self.issue.given)

    @property
    def suggested(self) -> str:
        """Return what the model says, in words."""
        return self._in_words(self.issue.suggested)

    @property
    def text(self) -> str:
        """Return the text, both of a pair in lines of their own, or the sentence with the words concerned in brackets."""
        if not self.tokens:
            return "\n".join(self.texts)
        start, end = self.words
        return " ".join([*self.tokens[:start], f"[{' '.join(self.tokens[start:end])}]", *self.tokens[end:]])

    def to_json(self) -> dict[str, Any]:
        """Return the row for JSON: labels as lists where there may be several, words as places in `tokens`."""
        issue = self.issue
        row: dict[str, Any] = {"rank": self.rank, "id": self.id, "split": self.split, "kind": self.kind}
        for name, marked in (("given", issue.given), ("suggested", issue.suggested)):
            if self.labels is None:
                row[name] = None if marked is None else marked.label
            else:
                row[name] = list(self._labels_with(marked))
        row |= {
            "given_probability": round(issue.given_probability, _DECIMALS),
            "suggested_probability": round(issue.suggested_probability, _DECIMALS),
            "margin": round(issue.margin, _DECIMALS),
            "is_error": issue.is_error,
        }
        if self.tokens:
            for name, marked in (("given_words", issue.given), ("suggested_words", issue.suggested)):
                row[name] = None if marked is None else [marked.start, marked.end]
            return row | {"tokens": list(self.tokens)}
        return row | dict(zip(("text", "text_pair"), self.texts, strict=False))

    def to_cells(self) -> dict[str, str]:
        """Return the row for CSV, everything in words."""
        numbers = {name: f"{value:g}" for name, value in self.to_json().items() if isinstance(value, float)}
        return {
            "rank": str(self.rank),
            "id": self.id,
            "split": self.split,
            "kind": self.kind,
            "given": self.given,
            "suggested": self.suggested,
            **numbers,
            "is_error": "yes" if self.issue.is_error else "no",
            "text": self.text,
        }

    def _in_words(self, marked: Marked | None) -> str:
        if self.labels is not None:
            return ", ".join(self._labels_with(marked)) or NO_LABEL
        if marked is None:
            return NO_ENTITY
        words = " ".join(self.tokens[marked.start : marked.end])
        return f"{marked.label}: {words}" if words else marked.label

    def _labels_with(self, marked: Marked | None) -> tuple[str, ...]:
        """Return all labels of the text, with `marked` as the one in question; None leaves that out."""
        assert self.labels is not None
        in_question = self.issue.given or self.issue.suggested
        assert in_question is not None
        others = tuple(label for label in self.labels if label != in_question.label)
        return others if marked is None else (*others, marked.label)


@dataclass(frozen=True)
class IssueTable:
    """All issues of some predictions."""

    splits: tuple[str, ...]
    """The splits that were looked at."""
    issues: tuple[RankedIssue, ...]

    @property
    def errors(self) -> int:
        """How many labels confident learning counts among the errors."""
        return sum(each.issue.is_error for each in self.issues)

    def by_example(self) -> Iterator[Sequence[RankedIssue]]:
        """Yield the issues of each text or sentence together, in the order of the surest of each."""
        groups: dict[tuple[int, int], list[RankedIssue]] = {}
        for each in self.issues:
            groups.setdefault((each.issue.file, each.issue.example), []).append(each)
        yield from groups.values()


def issue_table(sources: Sequence[Source], rules: ScoringRules) -> IssueTable:
    """Rank the issues of all sources together. Raises DataError as `label_issues` does."""
    found = label_issues([source.file for source in sources], rules)
    golds = [_label_sets(source.file) for source in sources]
    rows = (
        RankedIssue(
            rank,
            sources[issue.file].file.ids[issue.example],
            sources[issue.file].split,
            issue,
            golds[issue.file].get(issue.example),
            sources[issue.file].texts[issue.example] if sources[issue.file].texts else (),
            _tokens(sources[issue.file].file, issue.example),
        )
        for rank, issue in enumerate(found, 1)
    )
    return IssueTable(tuple(dict.fromkeys(source.split for source in sources)), tuple(rows))


def _label_sets(file: PredictionsFile) -> Mapping[int, tuple[str, ...]]:
    """Return the gold labels of each text, by its index, if texts can have several; else nothing."""
    if not pa.types.is_list(file.table[GOLD].type):
        return {}
    return {place: tuple(labels) for place, labels in enumerate(file.table[GOLD].to_pylist())}


def _tokens(file: PredictionsFile, example: int) -> tuple[str, ...]:
    start, end = file.starts[example : example + 2].tolist()
    return tuple(file.tokens[start:end]) if file.has_words else ()
