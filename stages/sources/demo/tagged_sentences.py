"""Demo data for token classification: short news, notes and chat with the names in them tagged (IOB2).

Many names are of several types by turns, and a third of all names occur in validation and test only.
"""

import pyarrow as pa

from stages.configuration.schema import Split
from stages.sources.demo.grammar import Writer, capitalized, distinct, with_articles
from stages.sources.demo.sentence_phrases import GRAMMAR, SENTENCES

TYPES = ("person", "location", "organization", "product", "event")
LABELS: tuple[str, ...] = ("O", *(f"{prefix}-{kind}" for kind in TYPES for prefix in "BI"))

LOWER_CASE_SHARE = 0.2
"""The share of sentences written without capital letters."""

SCHEMA = pa.schema([("tokens", pa.list_(pa.string())), ("tags", pa.list_(pa.string()))])

Tagged = dict[str, list[str]]


def generate(split: Split, count: int, seed: int) -> pa.Table:
    """Return `count` sentences of a split, with the columns `tokens` and `tags`, word by word."""
    writer = Writer(GRAMMAR, split, seed)

    def tagged_sentence() -> tuple[str, Tagged]:
        sentence = _tagged(with_articles(writer.fill(writer.weighted(SENTENCES))))
        tokens = sentence["tokens"]
        if writer.happens(LOWER_CASE_SHARE):
            tokens[:] = [token.lower() for token in tokens]
        else:
            tokens[0] = capitalized(tokens[0])
        return " ".join(tokens), sentence

    return pa.Table.from_pylist(distinct(split, count, tagged_sentence), schema=SCHEMA)


def _tagged(marked: str) -> Tagged:
    """Return the words and tags of a sentence in which `<type> … </>` encloses each name."""
    tokens: list[str] = []
    tags: list[str] = []
    tag = "O"
    for piece in marked.split():
        if piece == "</>":
            tag = "O"
        elif piece.startswith("<"):
            tag = f"B-{piece[1:-1]}"
        else:
            tokens.append(piece)
            tags.append(tag)
            tag = tag.replace("B-", "I-")
    return {"tokens": tokens, "tags": tags}
