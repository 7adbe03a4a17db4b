"""What is told of entities besides their headline scores."""

from collections.abc import Sequence, Set

import numpy as np

from stages.configuration.schema import ScoringMode
from stages.scoring.core.entities import EntityPairs, EntityPredictions, scheme_of
from stages.scoring.core.rates import GOLD, PREDICTED, RIGHT, Array, micro
from stages.scoring.core.scores import Average, LabelScore
from stages.scoring.evaluation.entity_errors import paired
from stages.scoring.evaluation.final_scores import EntityDetails
from stages.scoring.evaluation.surfaces import are_seen
from stages.tags.spans import Reading


def entity_details(
    predictions: EntityPredictions, mode: ScoringMode, tokens: Sequence[str] = (), seen: Set[str] | None = None
) -> EntityDetails:
    """Return what else there is to tell. `tokens`, [words]; `seen`: the wordings of entities in train."""
    pairs = predictions.pairs
    halves: tuple[LabelScore | None, LabelScore | None] = (None, None)
    if tokens and seen is not None:
        unseen_sums, seen_sums = _sums_of_seen(pairs, tokens, seen)
        halves = LabelScore.of(seen_sums), LabelScore.of(unseen_sums)
    return EntityDetails(paired(pairs.gold, pairs.predicted).counts(), _other_readings(predictions, mode), *halves)


def _other_readings(predictions: EntityPredictions, mode: ScoringMode) -> dict[str, Average]:
    """The micro average of the other mode than the headline's, where it differs."""
    is_strict = mode == "strict"
    reading: Reading = "conll" if is_strict else scheme_of(predictions.entity_tags, predictions.scheme)
    other = EntityPairs.read(predictions.tags_read_in(reading), reading)
    averages = [Average.of(micro, pairs.sums().sum(axis=0)) for pairs in (predictions.pairs, other)]
    return {} if averages[0] == averages[1] else {"conll" if is_strict else "strict": averages[1]}


def _sums_of_seen(pairs: EntityPairs, words: Sequence[str], seen: Set[str]) -> Array:
    """[2, 3]: the sums of the entities whose wording is not seen, and of those whose is, of all types."""
    sums = np.zeros((2, 3))
    for which, spans in ((RIGHT, pairs.right), (PREDICTED, pairs.predicted), (GOLD, pairs.gold)):
        sums[:, which] = np.bincount(are_seen(spans, words, seen), minlength=2)
    return sums
