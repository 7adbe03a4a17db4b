"""The sentences that runs got wrong, from their predictions files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.pipeline.errors import DataError
from stages.reporting.changes import change
from stages.reporting.content import Mistake, TokensExample
from stages.reporting.entity_mistakes import entity_mistakes
from stages.tasks import schemes
from stages.tasks.schemes import Entity

_Wrong: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class _Sentence:
    """What all runs share."""

    id: str
    tokens: tuple[str, ...]
    gold: list[str]


@dataclass(frozen=True)
class _Tagged:
    """A run's tags of all words, of the split or of a sentence."""

    tags: list[str]
    wrong: _Wrong
    """[words]"""
    score: NDArray[np.float64]
    """[words]: the probability of the tag; 0 where the run does not tell."""

    def part(self, start: int, end: int) -> "_Tagged":
        return _Tagged(self.tags[start:end], self.wrong[start:end], self.score[start:end])

    def surest_mistake(self) -> float:
        """The probability of the wrong tag that the run is surest of; 0 if none is wrong."""
        return float(self.score[self.wrong].max(initial=0.0))


def wrong_sentences(runs: Sequence[pa.Table]) -> tuple[TokensExample, ...]:
    """One example a sentence in which at least one run has an entity, or a plain tag, wrong, in the order of the split.

    `runs` are predictions files of the same words, the base first. Without gold there are no mistakes. Raises
    DataError if they are not of the same words.
    """
    base = runs[0]
    _require_same_words(runs)
    ids, tokens, gold = (base[name].to_pylist() for name in ("id", "token", "gold"))
    tagged = [_tagged(run) for run in runs]
    starts = np.flatnonzero(base["word"].to_numpy() == 0)
    ends = np.append(starts[1:], base.num_rows)
    wrong = np.logical_or.reduce([run.wrong for run in tagged])
    in_sentence = np.add.reduceat(wrong, starts, dtype=np.int64) if len(starts) else starts
    are_entities = schemes.are_entity_tags(_tags(runs))
    examples = (
        _example(
            _Sentence(ids[start], tuple(tokens[start:end]), gold[start:end]),
            [run.part(start, end) for run in tagged],
            are_entities,
        )
        for start, end in zip(starts[in_sentence > 0].tolist(), ends[in_sentence > 0].tolist(), strict=True)
    )
    return tuple(example for example in examples if example is not None)


def _tagged(run: pa.Table) -> _Tagged:
    wrong = pc.fill_null(pc.not_equal(run["gold"], run["predicted"]), False)
    score = run["score"].to_numpy() if "score" in run.column_names else np.zeros(run.num_rows)
    return _Tagged(run["predicted"].to_pylist(), np.asarray(wrong, bool), score)


def _example(sentence: _Sentence, runs: Sequence[_Tagged], are_entities: bool) -> TokensExample | None:
    """The example of one sentence; None where tags differ and their entities do not (`I-` for a `B-` at the start)."""
    if are_entities:
        gold, predicted = schemes.decode(sentence.gold), [schemes.decode(run.tags) for run in runs]
        mistakes = [entity_mistakes(gold, each, run) for run, each in enumerate(predicted)]
    else:
        any_wrong = np.logical_or.reduce([run.wrong for run in runs])
        gold, predicted = _words(sentence.gold, any_wrong), [_words(run.tags, any_wrong) for run in runs]
        mistakes = [_tag_mistakes(sentence.gold, run.tags, place) for place, run in enumerate(runs)]
    if not any(mistakes):
        return None
    return TokensExample(
        id=sentence.id,
        change=change([len(set(gold) ^ set(each)) for each in predicted]),
        rank=max(run.surest_mistake() for run, of_run in zip(runs, mistakes, strict=True) if of_run),
        tokens=sentence.tokens,
        gold=tuple(gold),
        predicted=tuple(tuple(each) for each in predicted),
        mistakes=tuple(mistake for of_run in mistakes for mistake in of_run),
    )


def _words(tags: Sequence[str], wrong: _Wrong) -> list[Entity]:
    """Plain tags of words that some run has wrong, as if each were an entity."""
    return [Entity(tags[place], place, place + 1) for place in np.flatnonzero(wrong).tolist()]


def _tag_mistakes(gold: Sequence[str], predicted: Sequence[str], run: int) -> tuple[Mistake, ...]:
    return tuple(
        Mistake("wrong tag", truth, guess, run, place, place + 1)
        for place, (truth, guess) in enumerate(zip(gold, predicted, strict=True))
        if truth != guess
    )


def _tags(runs: Sequence[pa.Table]) -> set[str]:
    columns = [run[name] for run in runs for name in ("gold", "predicted")]
    return {tag for column in columns for tag in pc.unique(column).to_pylist() if tag is not None}


def _require_same_words(runs: Sequence[pa.Table]) -> None:
    words = runs[0].select(["id", "word", "token", "gold"])
    if any(not run.select(words.column_names).equals(words) for run in runs[1:]):
        raise DataError("predictions: runs are not of the same words; compare runs on the same test split")
