"""The most probable tags of whole sentences that a scheme allows, by Viterbi's algorithm (1967).

Tags chosen word by word may contradict each other (`O I-PER`). The transitions that the scheme forbids, the edges of a sentence
included, are cut; all others cost nothing, so there is nothing to train.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from stages.configuration.schema import EntityScheme
from stages.tags.schemes import illegal_transitions, legal_transitions

_BLOCK = 1 << 18
"""How many candidates are weighed at once, [sentences, labels, labels]: as many as fit into a core's cache."""


def has_legal_tags(names: Sequence[str], scheme: EntityScheme) -> bool:
    """Return whether the tags can be well-formed in a sentence of any length: one of them, such as `O`, may stand alone."""
    legal = legal_transitions(tuple(names), scheme)
    may_stand_alone = legal[-1, :-1] & legal[:-1, -1] & legal.diagonal()[:-1]
    return bool(may_stand_alone.any())


def most_probable_tags(
    logits: NDArray[np.float32], lengths: NDArray[np.int64], names: Sequence[str], scheme: EntityScheme
) -> NDArray[np.int64]:
    """Return the tag of each word, [words]: in each sentence those with the largest sum of logits that the scheme allows.

    That is the largest product of probabilities: log-probabilities are a word's logits less a number that is the same for
    all its tags. Where the words' own most probable tags are well-formed, it is these.

    Args:
        logits: [words, labels], finite; one sentence after the other.
        lengths: [sentences], the words in each.
        names: The tags in the order of their codes. `has_legal_tags` holds for them.
        scheme: What is well-formed.
    """
    assert has_legal_tags(names, scheme)
    tags: NDArray[np.int64] = logits.argmax(axis=1).astype(np.int64)
    ends = np.cumsum(lengths)
    wrong = np.unique(np.searchsorted(ends, illegal_transitions(tags, lengths, names, scheme), side="right"))
    legal = legal_transitions(tuple(names), scheme)
    for sentences in _blocks(wrong[np.argsort(-lengths[wrong], kind="stable")], len(names)):
        starts, block_lengths = ends[sentences] - lengths[sentences], lengths[sentences]
        for step, found in enumerate(_viterbi(logits, starts, block_lengths, legal)):
            tags[starts[: len(found)] + step] = found
    return tags


def _blocks(sentences: NDArray[np.int64], labels: int) -> Iterator[NDArray[np.int64]]:
    size = max(1, _BLOCK // labels**2)
    yield from (sentences[start : start + size] for start in range(0, len(sentences), size))


def _viterbi(
    logits: NDArray[np.float32], starts: NDArray[np.int64], lengths: NDArray[np.int64], legal: NDArray[np.bool_]
) -> list[NDArray[np.int64]]:
    """Return the tags of the first words, of the second words, and so on, [sentences that have one].

    Sentences come from long to short, so that those which have a word at a step are the first ones.
    """
    cost = np.where(legal, 0.0, -np.inf)
    from_any = np.ascontiguousarray(cost[:-1, :-1].T)  # [labels, labels before]
    best = logits[starts] + cost[-1, :-1]
    """The sum of the best tags up to this step that end in each label, [sentences, labels]."""
    before: list[NDArray[np.int64]] = []
    """For each step but the first, the label before each label in these tags, [sentences, labels]."""
    for step, active in enumerate(np.searchsorted(-lengths, -np.arange(1, lengths[0])).tolist(), 1):
        candidates = best[:active, None, :] + from_any
        before.append(candidates.argmax(axis=2))
        best[:active] = candidates.max(axis=2) + logits[starts[:active] + step]
    tags: NDArray[np.int64] = (best + cost[:-1, -1]).argmax(axis=1).astype(np.int64)
    found: list[NDArray[np.int64]] = []
    for labels in reversed(before):
        rows = np.arange(len(labels))
        found.append(tags[rows])
        tags[rows] = labels[rows, tags[rows]]
    return [tags, *reversed(found)]
