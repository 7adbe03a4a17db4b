"""Examples whose text or words a model was trained on, under the id of another example: it may repeat the label of that one."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise

from stages.columns.names import SECOND_TEXT, TEXT, TOKENS
from stages.pipeline.arrow import load_split
from stages.pipeline.errors import DataError
from stages.pipeline.paths import RAW_DATA
from stages.scoring.label_errors.issue_table import Source


def note_on_seen(sources: Sequence[Source]) -> str | None:
    """Tell how many examples of test and validation have an input of train; None if none do, or train is not at hand."""
    with suppress(DataError):
        raw = load_split(RAW_DATA, "train")
        columns = [raw[name][:] for name in (TEXT, SECOND_TEXT) if name in raw.column_names] or [raw[TOKENS][:]]
        trained = set(zip(*columns, strict=True)) if TEXT in raw.column_names else set(map(tuple, columns[0]))
        return _note(sum(each in trained for source in sources for each in _inputs(source)), "across")
    return None


def note_on_seen_in_folds(parts: Sequence[Source]) -> str | None:
    """Tell how many examples have an input of another part, which their model was trained on; None if none do."""
    inputs: list[Collection[tuple[str, ...]]] = [list(_inputs(part)) for part in parts]
    in_parts = Counter(each for part in inputs for each in set(part))
    return _note(sum(in_parts[each] > 1 for part in inputs for each in part), "within")


def _inputs(source: Source) -> Iterator[tuple[str, ...]]:
    """Yield the text or texts, or the words, of each example."""
    if not source.file.has_words:
        yield from source.texts
    elif tokens := source.file.tokens:
        starts = source.file.starts.tolist()
        yield from (tuple(tokens[start:end]) for start, end in pairwise(starts))


def _note(count: int, deduplicate: str) -> str | None:
    if not count:
        return None
    return (
        f"{count:,} of these examples repeat an input that their model was trained on, so it may repeat that label and hide "
        f"an error; data.deduplicate={deduplicate} leaves repeats out"
    )
