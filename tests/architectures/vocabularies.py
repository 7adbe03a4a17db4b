"""Make small vocabularies of each kind from this file's own sentences, the same ones everywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

from tokenizers import pre_tokenizers

LIMIT = 128  # the tokens a model reads, where the family's tokenizer says so at all
SENTENCES = (
    "The ferry was late again and nobody told us why, but the coffee on board was good.",
    "Our neighbour grows tomatoes, beans and 14 kinds of pepper behind a low brick wall.",
    "I would not buy this lamp a second time: it hums, it flickers and it broke in May.",
    "Anna Müller met José Niño and Zoë Brontë in Kraków, near the old café by the river.",
    "What a lovely film! The actors were warm, the music was bright, the ending was sad.",
    "Please send the report to the office in Oslo before Friday, or call Mr. Ngata at 9.",
    "It's cheap (only €3), it's quick & it works; who could ask for more than that?",
    "The train from Paris to Geneva stops at Bellegarde, where the hills turn to mountains.",
    "Bad service, cold soup, no apology - we left after ten minutes and ate at home.",
    "Она читает книгу. 東京は大きい。 Ελλάδα, naïve façade, smørrebrød, über, straße.",
    "A worker of the city bank said that the new bridge will open in the spring of 2031.",
    "Good morning, good evening and good night: the shop is open, the shop is closed.",
)
_ASCII = "".join(map(chr, range(33, 127)))


@cache
def counted_words() -> tuple[tuple[str, int], ...]:
    """Give the sentences' words and how often each comes, the commonest first."""
    words = (word.strip(".,:;!?()&-。") for sentence in SENTENCES for word in sentence.split())
    return tuple(sorted(Counter(word for word in words if len(word) > 1).items(), key=lambda item: (-item[1], item[0])))


@cache
def letters() -> tuple[str, ...]:
    """Give every printable ASCII character, and the others of the sentences."""
    written = "".join(SENTENCES).replace(" ", "")
    return tuple(dict.fromkeys(_ASCII + "".join(sorted(set(written + written.lower())))))


def _merge(pieces: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged: list[str] = []
    position = 0
    while position < len(pieces):
        together = pieces[position : position + 2] == pair
        merged.append("".join(pair) if together else pieces[position])
        position += 2 if together else 1
    return tuple(merged)


def _learned(words: Iterable[tuple[tuple[str, ...], int]], count: int = 260) -> list[tuple[str, str]]:
    """Learn byte-pair merges; ties break by spelling, so that they are the same everywhere."""
    counted = list(words)
    merges: list[tuple[str, str]] = []
    for _ in range(count):
        pairs: Counter[tuple[str, str]] = Counter()
        for pieces, number in counted:
            for pair in pairwise(pieces):
                pairs[pair] += number
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        counted = [(_merge(pieces, best), number) for pieces, number in counted]
    return merges


@cache
def _byte_merges() -> tuple[tuple[str, str], ...]:
    split = pre_tokenizers.ByteLevel(add_prefix_space=True)
    found = Counter(word for sentence in SENTENCES for word, _ in split.pre_tokenize_str(sentence))
    return tuple(_learned((tuple(word), number) for word, number in sorted(found.items())))


@cache
def _space_merges() -> tuple[tuple[str, str], ...]:
    return tuple(_learned((("▁", *word), number) for word, number in counted_words()))


@cache
def _end_merges() -> tuple[tuple[str, str], ...]:
    found: Counter[tuple[str, ...]] = Counter()
    for word, number in counted_words():
        found[(*word.lower()[:-1], word.lower()[-1] + "</w>")] += number
    return tuple(_learned(sorted(found.items())))


def numbered(*groups: Iterable[str]) -> dict[str, int]:
    """Number pieces from zero in their order, each once."""
    return {piece: code for code, piece in enumerate(dict.fromkeys(piece for group in groups for piece in group))}


def _byte_pieces() -> list[str]:
    return [*sorted(pre_tokenizers.ByteLevel.alphabet()), *map("".join, _byte_merges())]


def byte_bpe(first: Sequence[str] = (), last: Sequence[str] = ()) -> dict[str, Any]:
    """Give byte-level BPE's vocabulary and merges: special tokens before the pieces, or after them."""
    return {"vocab": numbered(first, _byte_pieces(), last), "merges": list(_byte_merges())}


def space_bpe(first: Sequence[str]) -> dict[str, Any]:
    """Give BPE over words that begin with a low line, with a piece for each byte as a fallback."""
    bytes_ = [f"<0x{code:02X}>" for code in range(256)]
    return {
        "vocab": numbered(first, bytes_, ["▁", *letters()], map("".join, _space_merges())),
        "merges": list(_space_merges()),
    }


def end_bpe(first: Sequence[str]) -> dict[str, Any]:
    """Give BPE over lower-case words whose last piece is marked."""
    spelt = [form for letter in letters() for form in (letter, f"{letter}</w>")]
    return {"vocab": numbered(first, spelt, map("".join, _end_merges())), "merges": list(_end_merges())}


def wordpieces(first: Sequence[str]) -> dict[str, int]:
    """Give WordPiece's vocabulary: letters, their continuations, words and a few endings."""
    words = [spelt for word, _ in counted_words() for spelt in (word, word.lower())]
    continued = [f"##{piece}" for piece in (*letters(), "s", "ed", "ing", "er", "ly", "es")]
    return numbered(first, letters(), continued, words)


def unigrams(first: Sequence[str], last: Sequence[str] = ()) -> list[tuple[str, float]]:
    """Give a Unigram model's pieces and scores: the words, then the low line and letters as fallbacks."""
    total = sum(number for _, number in counted_words())
    scored = {f"▁{word}": -3.0 - total / (number * 60) for word, number in counted_words()}
    for ending in ("s", "ed", "ing", "er", "ly", "es"):
        scored[ending] = -7.0
    scored |= {"▁": -4.0} | dict.fromkeys(letters(), -9.0)
    return [*((token, 0.0) for token in first), *scored.items(), *((token, 0.0) for token in last)]
