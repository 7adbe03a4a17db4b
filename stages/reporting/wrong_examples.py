"""The examples that runs got wrong."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from stages.columns.names import SECOND_TEXT
from stages.pipeline.errors import DataError
from stages.reporting.annotations import entities_of
from stages.reporting.content import Example, Mistake, MistakeKind, TextExample, TextPrediction, TokensExample, change
from stages.reporting.run_predictions import RunPredictions
from stages.scoring.core.entities import EntityPairs, EntityPredictions
from stages.scoring.core.metrics import Form
from stages.scoring.core.predicted import LabelPredictions
from stages.scoring.evaluation.entity_errors import CLASSES, paired
from stages.scoring.evaluation.predictions_file import GOLD, PREDICTED, SCORE
from stages.tags.schemes import Entity
from stages.tags.spans import Integers, Spans


def wrong_examples(runs: Sequence[RunPredictions | None], texts: Dataset | None) -> tuple[Example, ...]:
    """Return the examples that at least one run got wrong, in the order of the split; for numbers, every text.

    `texts` is the split that texts are taken from: without it there are none, as without any gold. Raises DataError if runs
    are not of the same examples.
    """
    known = [run for run in runs if run is not None]
    if len(known) < len(runs):
        return ()
    if known[0].file.has_words:
        return wrong_sentences(known)
    return () if texts is None else wrong_texts(known, texts)


# Texts


@dataclass(frozen=True)
class _Judged:
    """What a run says of a text, and how wrong that is."""

    gold: str
    predicted: TextPrediction
    mistakes: tuple[Mistake, ...]
    rank: float | None
    """None where it is not known."""


def wrong_texts(runs: Sequence[RunPredictions], raw: Dataset) -> tuple[TextExample, ...]:
    """Return the texts that at least one run has wrong. `raw`: the split."""
    row_of = _rows(runs, raw)
    form = runs[0].predictions.form
    errors = np.stack([run.predictions.errors for run in runs], axis=1)
    wrong = np.flatnonzero(np.ones(len(errors), bool) if form == "number" else errors.any(axis=1))
    columns = [name for name in ("id", "text", SECOND_TEXT) if name in raw.column_names]
    texts = raw.select(row_of[wrong].tolist()).select_columns(columns).to_list() if len(wrong) else []
    judged = [[_JUDGES[form](row, index) for row in _columns(run, wrong)] for index, run in enumerate(runs)]
    return tuple(
        TextExample(
            id=text["id"],
            change=change(of_text, can_be_right=form != "number"),
            rank=_largest(run.rank for run in of_runs if run.mistakes),
            text=text["text"],
            second_text=text.get(SECOND_TEXT),
            gold=of_runs[0].gold,
            predicted=tuple(run.predicted for run in of_runs),
            mistakes=tuple(mistake for run in of_runs for mistake in run.mistakes),
        )
        for text, of_text, *of_runs in zip(texts, errors[wrong].tolist(), *judged, strict=True)
    )


def _columns(run: RunPredictions, examples: Integers) -> list[dict[str, Any]]:
    columns = [name for name in (GOLD, PREDICTED, SCORE) if name in run.file.table.column_names]
    rows: list[dict[str, Any]] = run.file.table.select(columns).take(examples).to_pylist()
    return rows


def _rows(runs: Sequence[RunPredictions], raw: Dataset) -> Integers:
    """Return the rows of the split that the examples are. Raises DataError if runs and split are not of the same examples."""
    ids, known = runs[0].file.ids, {id_: row for row, id_ in enumerate(raw["id"][:])}
    is_whole = not runs[0].is_complete or len(ids) == len(known)
    if not is_whole or not known.keys() >= set(ids) or any(run.file.ids != ids for run in runs[1:]):
        raise DataError(
            "predictions and test split: are not of the same examples; run `dvc repro` in the revision that is reported on"
        )
    return np.array([known[id_] for id_ in ids], np.int64)


def _judged_label(row: Mapping[str, Any], run: int) -> _Judged:
    """Judge one label. Its rank is its probability."""
    gold, predicted, score = row[GOLD], row[PREDICTED], row.get(SCORE)
    mistakes = () if gold == predicted else (Mistake("wrong label", gold, predicted, run),)
    return _Judged(gold, TextPrediction(predicted, score), mistakes, score)


def _judged_labels(row: Mapping[str, Any], run: int) -> _Judged:
    """Judge several labels. Their rank is the largest probability of a wrong decision on one of them."""
    gold, predicted, scores = row[GOLD], row[PREDICTED], row.get(SCORE) or {}
    missed = [label for label in gold if label not in predicted]
    spurious = [label for label in predicted if label not in gold]
    certain = [1 - scores[label] for label in missed if label in scores]
    certain += [scores[label] for label in spurious if label in scores]
    mistakes = [Mistake("missed", label, None, run) for label in missed]
    mistakes += [Mistake("spurious", None, label, run) for label in spurious]
    return _Judged(_listed(gold), TextPrediction(_listed(predicted)), tuple(mistakes), max(certain, default=None))


def _judged_number(row: Mapping[str, Any], run: int) -> _Judged:
    """Judge a number. Its rank is the absolute error: it is neither right nor wrong."""
    gold, predicted = (f"{row[column]:.6g}" for column in (GOLD, PREDICTED))
    rank = abs(row[PREDICTED] - row[GOLD])
    return _Judged(gold, TextPrediction(predicted), (Mistake("wrong number", run=run),), rank)


def _largest(ranks: Iterable[float | None]) -> float | None:
    """Return the largest known rank; None if none is known."""
    return max((rank for rank in ranks if rank is not None), default=None)


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels) or "(none)"


_JUDGES: Mapping[Form, Callable[[Mapping[str, Any], int], _Judged]] = {
    "label": _judged_label,
    "labels": _judged_labels,
    "number": _judged_number,
}


# Sentences

_KINDS: Mapping[str, MistakeKind] = {
    "type": "wrong type",
    "span": "wrong span",
    "type_and_span": "wrong type and span",
    "missed": "missed",
    "spurious": "spurious",
}
"""What a page calls the classes of errors in entities."""


def wrong_sentences(runs: Sequence[RunPredictions]) -> tuple[TokensExample, ...]:
    """Return the sentences in which at least one run has an entity, or a plain tag, wrong.

    Plain tags are shown like entities of one word each, of those words that some run has wrong.
    """
    tokens, starts = runs[0].file.tokens, runs[0].file.starts
    if any(run.file.tokens != tokens or not np.array_equal(run.file.starts, starts) for run in runs[1:]):
        raise DataError("predictions: runs are not of the same words; compare runs on the same test split")
    wrong_words = [_wrong_words(run) for run in runs]
    any_wrong = np.logical_or.reduce(wrong_words)
    tagged = [
        _TaggedRun(index, run, wrong, any_wrong)
        for index, (run, wrong) in enumerate(zip(runs, wrong_words, strict=True))
    ]
    return tuple(
        TokensExample(
            id=runs[0].file.ids[sentence],
            change=change([run.errors(sentence) for run in tagged]),
            rank=_largest(run.surest(sentence) for run in tagged if sentence in run.mistakes),
            tokens=tuple(tokens[starts[sentence] : starts[sentence + 1]]),
            gold=tagged[0].entities(tagged[0].pairs.gold, sentence),
            predicted=tuple(run.entities(run.pairs.predicted, sentence) for run in tagged),
            mistakes=tuple(mistake for run in tagged for mistake in run.mistakes.get(sentence, ())),
        )
        for sentence in sorted({sentence for run in tagged for sentence in run.mistakes})
    )


class _TaggedRun:
    """A run's entities and mistakes, by sentence."""

    def __init__(self, index: int, run: RunPredictions, wrong: NDArray[np.bool_], any_wrong: NDArray[np.bool_]) -> None:
        self._run, self._starts = index, run.file.starts
        is_plain = isinstance(run.predictions, LabelPredictions)
        self.pairs = _entities(run, any_wrong)
        self.mistakes: dict[int, list[Mistake]] = {}
        for sentence, mistake in sorted(self._found(is_plain=is_plain), key=_place):
            self.mistakes.setdefault(sentence, []).append(mistake)
        score = run.file.column(SCORE)
        self._surest = None if score is None else np.maximum.reduceat(np.where(wrong, score, 0.0), self._starts[:-1])

    def surest(self, sentence: int) -> float | None:
        """Return the probability of the wrong tag that the run is surest of; None where probabilities are not known."""
        return None if self._surest is None else float(self._surest[sentence])

    def errors(self, sentence: int) -> int:
        """Return how many gold and predicted entities have no equal."""
        return sum((each.gold is not None) + (each.predicted is not None) for each in self.mistakes.get(sentence, ()))

    def entities(self, spans: Spans, sentence: int) -> tuple[Entity, ...]:
        """Return the gold or predicted entities of a sentence."""
        return tuple(entities_of(spans, self.pairs.types, sentence, int(self._starts[sentence])))

    def _found(self, *, is_plain: bool) -> Iterator[tuple[int, Mistake]]:
        """Yield each mistake after its sentence."""
        gold, predicted, types = self.pairs.gold, self.pairs.predicted, self.pairs.types
        pairing = paired(gold, predicted)
        for g, p, code in zip(pairing.gold.tolist(), pairing.predicted.tolist(), pairing.code.tolist(), strict=True):
            if CLASSES[code] == "exact":
                continue
            entities = [(spans, k) for spans, k in ((gold, g), (predicted, p)) if k >= 0]
            sentence = int(entities[0][0].sentence[entities[0][1]])
            offset = int(self._starts[sentence])
            yield (
                sentence,
                Mistake(
                    "wrong tag" if is_plain else _KINDS[CLASSES[code]],
                    types[gold.type[g]] if g >= 0 else None,
                    types[predicted.type[p]] if p >= 0 else None,
                    self._run,
                    min(int(spans.start[k]) for spans, k in entities) - offset,
                    max(int(spans.end[k]) for spans, k in entities) - offset,
                ),
            )


def _place(found: tuple[int, Mistake]) -> tuple[int, int, int, str]:
    sentence, mistake = found
    return sentence, mistake.start, mistake.end, mistake.kind


def _wrong_words(run: RunPredictions) -> NDArray[np.bool_]:
    words = run.predictions
    assert isinstance(words, LabelPredictions | EntityPredictions)  # the file has words
    wrong: NDArray[np.bool_] = words.gold != words.predicted
    return wrong


def _entities(run: RunPredictions, shown: NDArray[np.bool_]) -> EntityPairs:
    """Return the entities as they are scored. Plain tags of the `shown` words become entities of one word."""
    if isinstance(run.predictions, EntityPredictions):
        return run.predictions.pairs
    words = run.predictions
    assert isinstance(words, LabelPredictions) and words.lengths is not None
    start = np.flatnonzero(shown)
    sentence = np.repeat(np.arange(len(words.lengths)), words.lengths)[start]
    gold, predicted = (Spans(start, start + 1, codes[start], sentence) for codes in (words.gold, words.predicted))
    return EntityPairs(gold, predicted, words.names, len(words.lengths))
