"""The sentences that runs got wrong, from their predictions files."""

from collections.abc import Sequence
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


def wrong_sentences(runs: Sequence[pa.Table]) -> tuple[TokensExample, ...]:
    """One example a sentence in which at least one run has an entity, or a plain tag, wrong, in the order of the split.

    `runs` are predictions files of the same words, the base first. Without gold there are no mistakes. Raises
    DataError if they are not of the same words.
    """
    base = runs[0]
    _require_same_words(runs)
    wrong = [pc.fill_null(pc.not_equal(run["gold"], run["predicted"]), False).to_numpy().astype(bool) for run in runs]
    starts = np.flatnonzero(base["word"].to_numpy() == 0)
    ends = np.append(starts[1:], base.num_rows)
    in_sentence = np.add.reduceat(np.logical_or.reduce(wrong), starts) if len(starts) else starts
    are_entities = schemes.are_entity_tags(_tags(runs))
    examples = (
        _example([run.slice(start, end - start) for run in runs], [each[start:end] for each in wrong], are_entities)
        for start, end in zip(starts[in_sentence > 0].tolist(), ends[in_sentence > 0].tolist(), strict=True)
    )
    return tuple(example for example in examples if example is not None)


def _example(runs: Sequence[pa.Table], wrong: Sequence[_Wrong], are_entities: bool) -> TokensExample | None:
    """The example of one sentence; None where tags differ and their entities do not (`I-` for a `B-` at the start)."""
    gold_tags = runs[0]["gold"].to_pylist()
    tags = [run["predicted"].to_pylist() for run in runs]
    if are_entities:
        gold, predicted = schemes.decode(gold_tags), [schemes.decode(each) for each in tags]
        mistakes = [entity_mistakes(gold, each, run) for run, each in enumerate(predicted)]
    else:
        any_wrong = np.logical_or.reduce(wrong)
        gold, predicted = _words(gold_tags, any_wrong), [_words(each, any_wrong) for each in tags]
        mistakes = [_tag_mistakes(gold_tags, each, run) for run, each in enumerate(tags)]
    if not any(mistakes):
        return None
    scores = [_highest_score(run, where) for run, where in zip(runs, wrong, strict=True)]
    return TokensExample(
        id=runs[0]["id"][0].as_py(),
        change=change([len(set(gold) ^ set(of_run)) for of_run in predicted]),
        rank=max(score for score, of_run in zip(scores, mistakes, strict=True) if of_run),
        tokens=tuple(runs[0]["token"].to_pylist()),
        gold=tuple(gold),
        predicted=tuple(tuple(each) for each in predicted),
        mistakes=tuple(mistake for of_run in mistakes for mistake in of_run),
    )


def _highest_score(run: pa.Table, wrong: _Wrong) -> float:
    """The probability of the wrong tag that the run is surest of."""
    if "score" not in run.column_names or not wrong.any():
        return 0.0
    return float(run["score"].to_numpy()[wrong].max())


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
