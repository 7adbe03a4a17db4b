"""What kind of mistake each entity that does not match is."""

from collections.abc import Iterable, Sequence

from stages.reporting.content import Mistake, MistakeKind
from stages.tasks.schemes import Entity

_PREFERENCE: Sequence[MistakeKind] = ("wrong type", "wrong span", "wrong type and span")


def entity_mistakes(gold: Iterable[Entity], predicted: Iterable[Entity], run: int = 0) -> tuple[Mistake, ...]:
    """Every gold and every predicted entity that has no equal is in exactly one mistake, in the order of the sentence.

    The kinds are those of MUC-5 (Chinchor and Sundheim 1993) and SemEval-2013 task 9: entities that have words in common
    make one mistake. Those with the same words are paired first, then those of equal type, with more words in common,
    further left. What is left over is missed or spurious.
    """
    gold, predicted = set(gold), set(predicted)
    lonely_gold, lonely_predicted = gold - predicted, predicted - gold
    pairs = sorted(
        (
            (_PREFERENCE.index(_kind(truth, guess)), -_shared(truth, guess), truth.start, guess.start, truth, guess)
            for truth in lonely_gold
            for guess in lonely_predicted
            if _shared(truth, guess) > 0
        ),
        key=lambda pair: pair[:4],
    )
    mistakes = []
    for *_, truth, guess in pairs:
        if truth in lonely_gold and guess in lonely_predicted:
            lonely_gold.remove(truth)
            lonely_predicted.remove(guess)
            start, end = min(truth.start, guess.start), max(truth.end, guess.end)
            mistakes.append(Mistake(_kind(truth, guess), truth.type, guess.type, run, start, end))
    mistakes += [Mistake("missed", each.type, None, run, each.start, each.end) for each in lonely_gold]
    mistakes += [Mistake("spurious", None, each.type, run, each.start, each.end) for each in lonely_predicted]
    return tuple(sorted(mistakes, key=lambda mistake: (mistake.start, mistake.end, mistake.kind)))


def _kind(truth: Entity, guess: Entity) -> MistakeKind:
    if truth.type == guess.type:
        return "wrong span"
    return "wrong type" if (truth.start, truth.end) == (guess.start, guess.end) else "wrong type and span"


def _shared(truth: Entity, guess: Entity) -> int:
    """How many words both have; 0 or less if none."""
    return min(truth.end, guess.end) - max(truth.start, guess.start)
