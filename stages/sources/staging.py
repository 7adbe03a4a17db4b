"""Stage a split's examples on disk until they are selected. What selection needs of all of them stays in memory."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.columns.names import ID, LABEL, SECOND_TEXT, TAGS, TEXT, TOKENS
from stages.configuration.schema import Split
from stages.pipeline.errors import DataError
from stages.sources.examples import GROUP
from stages.sources.values import list_lengths
from stages.tags.schemes import Bigrams, bigrams

NO_TARGET = np.iinfo(np.int64).min
"""What `StagedSplit.targets` has for an example without a label."""
DIGEST = np.dtype([("high", ">u8"), ("low", ">u8")])


@dataclass(frozen=True)
class StagedSplit:
    """A split that has been read once and is staged on disk. Arrays have shape [examples]."""

    name: Split
    origin: str
    path: Path
    schema: pa.Schema
    contents: NDArray[np.void]
    """A digest of each example's input."""
    targets: NDArray[np.int64]
    """A number that is equal for equal labels; `NO_TARGET` for none."""
    strata: NDArray[np.int64]
    """The stratum, whose share a sample keeps: the label or, for words, what `stratified_by_type` returns."""
    groups: NDArray[np.int64] | None
    """A number that is equal for equal groups, where the source has them."""
    ids: NDArray[np.int64] | None
    """A number that is equal for equal ids, where the source has them."""
    labels: frozenset[str]
    """All labels that occur; none if they are numbers."""
    bigrams: Bigrams
    """How often each tag stands right before each other; empty if the labels are no tags of words."""
    tag_sets: "TagSets | None" = None
    """The tags of each example, if labels are tags of words."""

    def stratified_by_type(self, types: Mapping[str, str]) -> "StagedSplit":
        """Return the split with the rarest type of an example's words as its stratum. `types`: the type of each tag, if any."""
        if self.tag_sets is None:
            return self
        return replace(self, strata=self.tag_sets.rarest(self.examples, types), tag_sets=None)  # they are large

    @property
    def examples(self) -> int:
        """The number of examples."""
        return len(self.contents)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read the examples again, in order, each batch into memory that is freed afterwards."""
        with pa.OSFile(str(self.path)) as file, pa.ipc.open_stream(file) as stream:
            yield from stream


@dataclass(frozen=True)
class TagSets:
    """Which tags occur in each example."""

    rows: NDArray[np.int32]
    """[occurrences]: the example; one for each different tag of it."""
    tags: NDArray[np.int32]
    """[occurrences]: the tag, a place in `names`."""
    names: Sequence[str]

    def rarest(self, examples: int, types: Mapping[str, str]) -> NDArray[np.int64]:
        """Return a number for the type in each example that fewest examples have, [examples]; 0 for those without a type."""
        names = sorted(set(types.values()))
        place = {name: number for number, name in enumerate(names)}
        type_of = np.array([place[types[tag]] if tag in types else -1 for tag in self.names], np.int64)[self.tags]
        is_typed, kinds = type_of >= 0, max(1, len(names))
        typed = np.divmod(np.unique(self.rows[is_typed].astype(np.int64) * kinds + type_of[is_typed]), kinds)
        by_count = np.argsort(np.bincount(typed[1], minlength=len(names)), kind="stable")
        strata = np.zeros(examples, np.int64)
        order = np.argsort(by_count)[typed[1]]
        np.maximum.at(strata, typed[0], len(names) - order)
        return strata


def stage_examples(name: Split, origin: str, batches: Iterable[pa.RecordBatch], folder: Path) -> StagedSplit:
    """Write a split's examples to `folder`.

    Raises DataError if there are no examples, or files differ in their columns.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, schema, writer = folder / f"{name}.arrow", None, None
    facts: list[_Facts] = []
    labels: set[str] = set()
    tag_sets = _TagSetsBuilder()
    neighbours: Counter[tuple[str | None, str | None]] = Counter()
    for batch in batches:
        if writer is None:
            schema, writer = batch.schema, pa.ipc.new_stream(str(path), batch.schema)
        if batch.schema != schema:
            raise DataError(
                f"{name} ({origin}): its files have different columns ({_named(schema)} and {_named(batch.schema)}); "
                "give them the same columns"
            )
        writer.write_batch(batch)
        facts.append(_facts(batch))
        labels |= _labels(batch, neighbours)
        if TAGS in batch.schema.names:
            tag_sets.add(batch[TAGS])
    if writer is None:
        raise DataError(f"{name} ({origin}): holds no examples; give a file that does")
    writer.close()
    return StagedSplit(
        name,
        origin,
        path,
        schema,
        contents=np.concatenate([each.contents for each in facts]),
        targets=np.concatenate([each.targets for each in facts]),
        strata=np.concatenate([each.strata for each in facts]),
        groups=_joined([each.groups for each in facts]),
        ids=_joined([each.ids for each in facts]),
        labels=frozenset(labels),
        bigrams=neighbours,
        tag_sets=tag_sets.build(),
    )


class _TagSetsBuilder:
    """Gathers the tags of examples, batch by batch."""

    def __init__(self) -> None:
        self._examples = 0
        self._places: dict[str, int] = {}
        self._rows: list[NDArray[np.int32]] = []
        self._tags: list[NDArray[np.int32]] = []

    def add(self, tags: pa.ListArray) -> None:
        flat, rows = pc.list_flatten(tags), pc.list_parent_indices(tags)
        if flat.null_count:  # words of which the tag is not known
            flat, rows = (column.filter(pc.is_valid(flat)) for column in (flat, rows))
        coded = flat.dictionary_encode()
        names = [self._places.setdefault(name, len(self._places)) for name in coded.dictionary.to_pylist()]
        if names:
            codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
            pairs = np.unique(rows.to_numpy().astype(np.int64) * len(names) + codes)
            self._rows.append((self._examples + pairs // len(names)).astype(np.int32))
            self._tags.append(np.array(names, np.int32)[pairs % len(names)])
        self._examples += len(tags)

    def build(self) -> TagSets | None:
        if not self._rows:
            return None
        return TagSets(np.concatenate(self._rows), np.concatenate(self._tags), list(self._places))


@dataclass(frozen=True)
class _Facts:
    contents: NDArray[np.void]
    targets: NDArray[np.int64]
    strata: NDArray[np.int64]
    groups: NDArray[np.int64] | None
    ids: NDArray[np.int64] | None


def _facts(batch: pa.RecordBatch) -> _Facts:
    has_tags = TAGS in batch.schema.names
    labels = batch[TAGS if has_tags else LABEL]
    targets = _targets(labels, are_sets=not has_tags)
    has_shares = not pa.types.is_floating(labels.type)  # numbers have none to keep
    return _Facts(
        contents=np.frombuffer(b"".join(map(_digest, _inputs(batch))), DIGEST),
        targets=targets,
        strata=targets if has_shares and not has_tags else np.zeros_like(targets),
        groups=_numbers(batch[GROUP].to_pylist()) if GROUP in batch.schema.names else None,
        ids=_numbers(batch[ID].to_pylist()) if ID in batch.schema.names else None,
    )


def _labels(batch: pa.RecordBatch, neighbours: Counter[tuple[str | None, str | None]]) -> set[str]:
    """Return the labels in a batch; count which tags are neighbours."""
    column = batch[TAGS] if TAGS in batch.schema.names else batch[LABEL]
    if pa.types.is_floating(column.type):
        return set()
    coded = (pc.list_flatten(column) if pa.types.is_list(column.type) else column).dictionary_encode()
    names = coded.dictionary.to_pylist()
    if TAGS in batch.schema.names and not coded.null_count:
        codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        neighbours.update(bigrams(codes, list_lengths(column), names))
    return set(names)


def _inputs(batch: pa.RecordBatch) -> list[str]:
    if TOKENS in batch.schema.names:
        return ["\n".join(words) for words in batch[TOKENS].to_pylist()]
    texts: list[str] = batch[TEXT].to_pylist()
    if SECOND_TEXT in batch.schema.names:
        return [f"{first}\0{second}" for first, second in zip(texts, batch[SECOND_TEXT].to_pylist(), strict=True)]
    return texts


def _digest(content: str) -> bytes:
    return hashlib.blake2b(content.encode(), digest_size=DIGEST.itemsize).digest()


def _numbers(values: Sequence[object]) -> NDArray[np.int64]:
    """Return equal numbers for equal values, the same in every process (Python's own hash of strings is not)."""
    texts = ["\0".join(map(str, value)) if isinstance(value, list) else str(value) for value in values]
    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, ">i8").astype(np.int64)


def _targets(labels: pa.Array, *, are_sets: bool) -> NDArray[np.int64]:
    """Return `StagedSplit.targets`. `are_sets`: lists of labels are equal in any order, unlike the tags of words."""
    unknown = pc.is_null(labels).to_numpy(zero_copy_only=False).copy()
    if pa.types.is_list(labels.type):
        is_null = pc.is_null(pc.list_flatten(labels)).to_numpy(zero_copy_only=False)
        unknown[pc.list_parent_indices(labels).to_numpy()[is_null]] = True
    values = labels.to_pylist()
    if are_sets:
        values = [sorted(set(map(str, value))) if isinstance(value, list) else value for value in values]
    return np.where(unknown, NO_TARGET, _numbers(values))


def _joined(parts: list[NDArray[np.int64] | None]) -> NDArray[np.int64] | None:
    present = [part for part in parts if part is not None]
    return np.concatenate(present) if present else None


def _named(schema: pa.Schema | None) -> str:
    assert schema is not None
    return ", ".join(f"{field.name}: {field.type}" for field in schema)
