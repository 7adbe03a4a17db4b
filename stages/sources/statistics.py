"""What `metrics/download.json` says of the data."""

from datasets import Dataset, DatasetDict

from stages.pipeline.arrow import rows
from stages.pipeline.json_files import Json


def describe(splits: DatasetDict) -> Json:
    """Examples, words, entities and labels of each split."""
    return {str(name): _describe_split(split) for name, split in splits.items()}


def _describe_split(split: Dataset) -> Json:
    if "tags" in split.column_names:
        return _describe_tokens(split)
    names = split.features["label"].names
    labels = split.with_format("numpy")["label"][:]
    counts = {name: int((labels == code).sum()) for code, name in enumerate(names)}
    words = sum(len(text.split()) for text in split["text"][:])
    return {"examples": rows(split), "words": words, "labels": counts}


def _describe_tokens(split: Dataset) -> Json:
    names = split.features["tags"].feature.names
    counts = dict.fromkeys(names, 0)
    entities = 0
    for codes in split["tags"][:]:
        previous = "O"
        for code in codes:
            counts[names[code]] += 1
            entities += _begins_entity(previous, names[code])
            previous = names[code]
    description: dict[str, Json] = {"examples": rows(split), "words": sum(counts.values())}
    if any(name.startswith(("B-", "I-")) for name in names):
        description["entities"] = entities
    return description | {"labels": counts}


def _begins_entity(previous: str, tag: str) -> bool:
    """As CoNLL's script reads tags: B-, S- and U- always begin an entity, others where they do not continue one of their type."""
    prefix, _, entity = tag.partition("-")
    last_prefix, _, last_entity = previous.partition("-")
    return prefix in ("B", "S", "U") or (
        prefix in ("I", "E", "L") and (last_entity != entity or last_prefix in ("E", "S", "L", "U"))
    )
