"""The gold labels of predictions files that are probably wrong, the surest first.

What is looked at depends on what is labelled:

- **One label a text, or a plain tag a word**: each text or word whose label the model contradicts. The suggested label is the
  most probable one.
- **Several labels a text**: each label of each text by itself, as one that the text either has or has not.
- **Entities**: gold and predicted entities are paired as errors are counted (`stages.scoring.evaluation.entity_errors`).
  Each pair that is not equal is an issue (wrong type, wrong span, or both), as is an entity that is gold alone (no entity)
  or predicted alone (missed entity). Its probabilities are means over the words that it turns on: those of its entities
  whose gold and predicted tags differ. Elsewhere, too, an entity is as sure as its words are on average.

An issue's margin is the given label's probability less the suggested one's, between -1 and 1. Issues that confident learning
counts among the errors come first (of an entity: one of its words), then the others; within both the smallest margin comes
first. Ranking by this margin, and words as the units that errors are counted in, are those of Northcutt et al. (2021) and of
Wang and Mueller, "Detecting Label Errors in Token Classification Data" (2022); reading entities off words is ours.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stages.pipeline.errors import DataError
from stages.scoring.core.entities import EntityPredictions, TaggedWords
from stages.scoring.core.predicted import (
    LabelPredictions,
    LabelSetPredictions,
    NumberPredictions,
    Predictions,
    ScoringRules,
)
from stages.scoring.evaluation.entity_errors import CLASSES, paired
from stages.scoring.evaluation.predictions_file import PredictionsFile
from stages.scoring.label_errors.confident_learning import (
    Array,
    Codes,
    label_errors,
    margins_of,
    most_probable_others,
)
from stages.tags.spans import Spans

IssueKind: TypeAlias = Literal[
    "wrong label",
    "extra label",
    "missing label",
    "wrong tag",
    "wrong type",
    "wrong span",
    "wrong type and span",
    "no entity",
    "missed entity",
]
"""What is probably wrong with gold: a text has one label too many or too few, or a gold entity is none, or one is not marked."""

_KIND_OF_CLASS: Mapping[str, IssueKind] = {
    "type": "wrong type",
    "span": "wrong span",
    "type_and_span": "wrong type and span",
    "missed": "no entity",
    "spurious": "missed entity",
}
"""From the errors of a model whose gold is right to those of gold, if the model is right."""


@dataclass(frozen=True)
class Marked:
    """A label, and the words that it is given to."""

    label: str
    start: int = 0
    """Words: the first one, counted in the sentence."""
    end: int = 0
    """The word behind the last one; 0 for the label of a text."""


@dataclass(frozen=True)
class LabelIssue:
    """A gold label that is probably wrong."""

    file: int
    """The place of its file among those that were looked at."""
    example: int
    """The place of its text or sentence in that file."""
    kind: IssueKind
    given: Marked | None
    """What gold says; None where it marks no entity, or lacks the label."""
    suggested: Marked | None
    """What the model says; None likewise."""
    given_probability: float
    suggested_probability: float
    is_error: bool
    """Whether confident learning counts it among the errors."""

    @property
    def margin(self) -> float:
        """How much more probable the given label is than the suggested one, from -1 to 1."""
        return self.given_probability - self.suggested_probability


def label_issues(files: Sequence[PredictionsFile], rules: ScoringRules) -> list[LabelIssue]:
    """Rank the labels of all files together: thresholds and numbers of errors are estimated on all of them.

    `rules` say how entities are read. Raises DataError for numbers, which are not labels, and for files without the
    probability of every label.
    """
    names = list(dict.fromkeys(name for file in files for name in file.description.names))
    predictions = [file.predictions(rules, names) for file in files]
    for file, each in zip(files, predictions, strict=True):
        if isinstance(each, NumberPredictions):
            raise DataError(
                f"{file.name}: holds numbers, and errors are looked for among labels; choose a task with labels"
            )
    found = [*_issues(files, predictions, names)]
    return sorted(found, key=lambda issue: (not issue.is_error, issue.margin, issue.file, issue.example, _place(issue)))


def _issues(
    files: Sequence[PredictionsFile], predictions: Sequence[Predictions], names: Sequence[str]
) -> Iterator[LabelIssue]:
    """Yield the issues of all files. `names`: the labels that they share, which may be in another order in each of them."""
    probabilities = [_probabilities(file, names) for file in files]
    everywhere = np.concatenate(probabilities)
    if isinstance(predictions[0], LabelSetPredictions):
        matrices = [each.gold for each in predictions if isinstance(each, LabelSetPredictions)]
        yield from _of_label_sets(matrices, everywhere, names)
        return
    given = np.concatenate([_codes(each, names) for each in predictions])
    is_error = label_errors(given, everywhere)
    ends = np.cumsum([len(each) for each in probabilities]).tolist()
    for place, (file, each, end) in enumerate(zip(files, predictions, ends, strict=True)):
        rows = slice(end - len(probabilities[place]), end)
        units = _Units(place, file, given[rows], everywhere[rows], is_error[rows])
        yield from _of_entities(units, each, names) if isinstance(each, EntityPredictions) else _of_units(units, names)


@dataclass(frozen=True)
class _Units:
    """The texts or words of one file."""

    place: int
    """Of the file."""
    file: PredictionsFile
    given: Codes
    """[units]."""
    probabilities: Array
    """[units, labels]."""
    is_error: NDArray[np.bool_]
    """[units]."""


def _of_units(units: _Units, names: Sequence[str]) -> Iterator[LabelIssue]:
    """Yield the issues of texts, or of words with plain tags."""
    others = most_probable_others(units.given, units.probabilities)
    kind: IssueKind = "wrong tag" if units.file.has_words else "wrong label"
    for unit in np.flatnonzero(margins_of(units.given, units.probabilities) < 0).tolist():
        example = int(np.searchsorted(units.file.starts, unit, side="right")) - 1
        word = unit - int(units.file.starts[example])
        place = (word, word + 1) if units.file.has_words else (0, 0)
        given, other = int(units.given[unit]), int(others[unit])
        yield LabelIssue(
            units.place,
            example,
            kind,
            Marked(names[given], *place),
            Marked(names[other], *place),
            float(units.probabilities[unit, given]),
            float(units.probabilities[unit, other]),
            bool(units.is_error[unit]),
        )


def _of_label_sets(
    given: Sequence[NDArray[np.bool_]], probabilities: Array, names: Sequence[str]
) -> Iterator[LabelIssue]:
    """Yield the issues of each label by itself. `given`: the gold labels of each file, [texts, labels]."""
    file_of = np.repeat(np.arange(len(given)), [len(each) for each in given])
    example_of = np.concatenate([np.arange(len(each)) for each in given])
    for label, name in enumerate(names):
        has = np.concatenate([each[:, label] for each in given])
        lacking_and_having = np.stack([1 - probabilities[:, label], probabilities[:, label]], axis=1)
        is_error = label_errors(has.astype(np.int64), lacking_and_having)
        for text in np.flatnonzero(margins_of(has.astype(np.int64), lacking_and_having) < 0).tolist():
            of_has = float(probabilities[text, label])
            marked = Marked(name)
            yield LabelIssue(
                int(file_of[text]),
                int(example_of[text]),
                "extra label" if has[text] else "missing label",
                marked if has[text] else None,
                None if has[text] else marked,
                of_has if has[text] else 1 - of_has,
                1 - of_has if has[text] else of_has,
                bool(is_error[text]),
            )


def _of_entities(words: _Units, predictions: EntityPredictions, names: Sequence[str]) -> Iterator[LabelIssue]:
    gold, predicted, types = predictions.pairs.gold, predictions.pairs.predicted, predictions.pairs.types
    code_of = {name: code for code, name in enumerate(names)}
    suggested = np.array([code_of.get(name, -1) for name in predictions.words.names], np.int64)[predictions.predicted]
    rows = np.arange(len(suggested))
    of_given, of_suggested = words.probabilities[rows, words.given], words.probabilities[rows, suggested]
    pairing = paired(gold, predicted)
    for g, p, code in zip(pairing.gold.tolist(), pairing.predicted.tolist(), pairing.code.tolist(), strict=True):
        if CLASSES[code] == "exact":
            continue
        entities = [(spans, k) for spans, k in ((gold, g), (predicted, p)) if k >= 0]
        concerned = np.concatenate([np.arange(spans.start[k], spans.end[k]) for spans, k in entities])
        differing = np.unique(concerned[words.given[concerned] != suggested[concerned]])
        turned_on = differing if len(differing) else np.unique(concerned)
        sentence = int(entities[0][0].sentence[entities[0][1]])
        first = int(words.file.starts[sentence])
        yield LabelIssue(
            words.place,
            sentence,
            _KIND_OF_CLASS[CLASSES[code]],
            _marked(gold, g, types, first),
            _marked(predicted, p, types, first),
            float(of_given[turned_on].mean()),
            float(of_suggested[turned_on].mean()),
            bool(words.is_error[turned_on].any()),
        )


def _marked(spans: Spans, entity: int, types: Sequence[str], first_word: int) -> Marked | None:
    if entity < 0:
        return None
    return Marked(types[spans.type[entity]], int(spans.start[entity]) - first_word, int(spans.end[entity]) - first_word)


def _codes(predictions: Predictions, names: Sequence[str]) -> Codes:
    """Return the gold labels of all units as indices in `names`, [units]."""
    units = predictions.words if isinstance(predictions, EntityPredictions) else predictions
    assert isinstance(units, LabelPredictions | TaggedWords), "texts and words of one label each"
    codes: Codes = np.array([list(names).index(name) for name in units.names], np.int64)[units.gold]
    return codes


def _probabilities(file: PredictionsFile, names: Sequence[str]) -> Array:
    """Return the probability of every label, [units, labels]; 0 for labels that the file's model does not know."""
    found = file.probabilities
    if found is None:
        raise DataError(
            f"{file.name}: has no probability of every label; make it again with `dvc repro --force evaluate`"
        )
    known = [list(names).index(name) for name in file.description.names]
    probabilities = np.zeros((len(found), len(names)))
    probabilities[:, known] = found
    return probabilities


def _place(issue: LabelIssue) -> tuple[int, int, str]:
    first = issue.given or issue.suggested
    assert first is not None
    return first.start, first.end, first.label
