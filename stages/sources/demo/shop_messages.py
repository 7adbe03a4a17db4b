"""Demo data for text classification: messages to a shop, each with the reason why it was written.

Most messages touch several topics, and only one of them is the reason: words alone do not tell.
"""

import re
from itertools import permutations

import pyarrow as pa

from stages.configuration.schema import Split
from stages.sources.demo.grammar import Writer, capitalized, distinct, with_articles
from stages.sources.demo.shop_phrases import CONTRAST, GRAMMAR, INFORMAL, PLAIN, PRAISE

LABELS: tuple[str, ...] = ("delivery", "billing", "defect", "returns", "account", "praise")

TOPICS = LABELS[:-1]
SHARES = {"delivery": 0.24, "billing": 0.2, "defect": 0.19, "returns": 0.14, "account": 0.13, "praise": 0.1}
"""How often each label is drawn."""
OTHER_TOPICS = {label: tuple(pair for pair in permutations(TOPICS, 2) if label not in pair) for label in TOPICS}
THREE_TOPICS = tuple(permutations(TOPICS, 3))

PLAIN_SHARE = 0.35
"""The share of complaints that have one topic only."""
INFORMAL_SHARE = 0.2
"""The share of messages written as one writes on a phone."""
SHORTEST = 5
"""A message of fewer words gets an ending."""
INFORMAL_WORDS = re.compile(r"\b(" + "|".join(sorted(INFORMAL, key=len, reverse=True)) + r")\b")

SCHEMA = pa.schema([("text", pa.string()), ("label", pa.string())])


def generate(split: Split, count: int, seed: int) -> pa.Table:
    """Return `count` messages of a split, with the columns `text` and `label`."""
    writer = Writer(GRAMMAR, split, seed)

    def labelled_message() -> tuple[str, dict[str, str]]:
        label = writer.weighted(SHARES)
        text = _finished(writer, _message(writer, label))
        return text, {"text": text, "label": label}

    return pa.Table.from_pylist(distinct(split, count, labelled_message), schema=SCHEMA)


def _message(writer: Writer, label: str) -> str:
    """Return a message, without punctuation yet, that may mention two topics besides its label's."""
    topics = (label, *writer.pick(OTHER_TOPICS[label])) if label in TOPICS else writer.pick(THREE_TOPICS)
    roles = dict(zip(("this", "other", "third"), topics, strict=True))
    if label == "praise":
        return _framed(writer, writer.fill(writer.pick(PRAISE), roles), "joy", 0.25)
    frames = PLAIN if writer.happens(PLAIN_SHARE) else CONTRAST
    return _framed(writer, writer.fill(writer.pick(frames), roles), "closing", 0.1)


def _framed(writer: Writer, body: str, ending: str, how_often: float) -> str:
    """Return the message between a greeting, an aside and an ending, each of which may be missing."""
    sentences = [body]
    if writer.happens(0.08):
        sentences.insert(0, writer.fill("{greeting}"))
    if writer.happens(0.06):
        sentences.append(writer.fill("{aside}"))
    if writer.happens(how_often) or body.count(" ") < SHORTEST - 1:
        sentences.append(writer.fill(f"{{{ending}}}"))
    return ". ".join(sentences)


def _finished(writer: Writer, message: str) -> str:
    """Return the message with capitals and a full stop or, now and then, as one types it on a phone."""
    message = with_articles(message)
    if writer.happens(INFORMAL_SHARE):
        short = INFORMAL_WORDS.sub(lambda found: INFORMAL[found[0]], message).lower()
        return _with_typo(writer, short) if writer.happens(0.5) else short
    sentences = re.split(r"(?<=[.!?]) ", message + writer.pick((".", ".", ".", "!", "")))
    return " ".join(capitalized(sentence) for sentence in sentences)


def _with_typo(writer: Writer, message: str) -> str:
    """Return the message with two letters of a word swapped."""
    words = message.split(" ")
    place = writer.pick(range(len(words)))
    word = words[place]
    if len(word) > 4 and word.isalpha():
        words[place] = word[:2] + word[3] + word[2] + word[4:]
    return " ".join(words)
