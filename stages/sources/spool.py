"""A split's examples on disk while it is not yet known what becomes of them, and in memory what must be known of all at once."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.configuration.schema import Split
from stages.pipeline.errors import DataError
from stages.sources.examples import GROUP, ID, LABEL, PAIR, TAGS, TEXT, TOKENS
from stages.sources.values import list_lengths
from stages.tasks.schemes import OUTSIDE, SchemeDetector

DIGEST = np.dtype([("high", ">u8"), ("low", ">u8")])


@dataclass(frozen=True)
class SpooledSplit:
    """A split that has been read once. Arrays have shape [examples]."""

    name: Split
    origin: str
    path: Path
    schema: pa.Schema
    contents: NDArray[np.void]
    """A digest of each example's input."""
    targets: NDArray[np.int64]
    """A number that is equal for equal labels."""
    strata: NDArray[np.int64]
    """What a sample keeps the shares of: the label; for words, whether any is tagged."""
    groups: NDArray[np.int64] | None
    """A number that is equal for equal groups, where the source has them."""
    ids: NDArray[np.int64] | None
    """A number that is equal for equal ids, where the source has them."""
    labels: frozenset[str]
    """All labels that occur; none if they are numbers."""

    @property
    def examples(self) -> int:
        """How many there are."""
        return len(self.contents)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read the examples again, in order, each batch into memory that is given back."""
        with pa.OSFile(str(self.path)) as file, pa.ipc.open_stream(file) as stream:
            yield from stream


def spool(
    name: Split, origin: str, batches: Iterable[pa.RecordBatch], folder: Path, detector: SchemeDetector
) -> SpooledSplit:
    """Write a split's examples to `folder`, and show tags to `detector`.

    Raises DataError if there are no examples, or files differ in their columns.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, schema, writer = folder / f"{name}.arrow", None, None
    facts: list[_Facts] = []
    labels: set[str] = set()
    for batch in batches:
        if writer is None:
            schema, writer = batch.schema, pa.ipc.new_stream(str(path), batch.schema)
        if batch.schema != schema:
            raise DataError(
                f"{name} ({origin}): its files have different columns ({_named(schema)} and {_named(batch.schema)}); "
                "write them alike"
            )
        writer.write_batch(batch)
        facts.append(_facts(batch))
        labels |= _labels(batch, detector)
    if writer is None:
        raise DataError(f"{name} ({origin}): holds no examples; give a file that does")
    writer.close()
    return SpooledSplit(
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
    )


@dataclass(frozen=True)
class _Facts:
    contents: NDArray[np.void]
    targets: NDArray[np.int64]
    strata: NDArray[np.int64]
    groups: NDArray[np.int64] | None
    ids: NDArray[np.int64] | None


def _facts(batch: pa.RecordBatch) -> _Facts:
    targets = _numbers(batch[TAGS] if TAGS in batch.schema.names else batch[LABEL])
    return _Facts(
        contents=np.frombuffer(b"".join(map(_digest, _inputs(batch))), DIGEST),
        targets=targets,
        strata=_any_tagged(batch[TAGS]) if TAGS in batch.schema.names else _stratum(batch[LABEL], targets),
        groups=_numbers(batch[GROUP]) if GROUP in batch.schema.names else None,
        ids=_numbers(batch[ID]) if ID in batch.schema.names else None,
    )


def _labels(batch: pa.RecordBatch, detector: SchemeDetector) -> set[str]:
    """The labels in a batch; the detector of schemes sees them, if they are tags, in their sentences."""
    column = batch[TAGS] if TAGS in batch.schema.names else batch[LABEL]
    if pa.types.is_floating(column.type):
        return set()
    coded = (pc.list_flatten(column) if pa.types.is_list(column.type) else column).dictionary_encode()
    names = coded.dictionary.to_pylist()
    if TAGS in batch.schema.names:
        codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        detector.add_codes(codes, list_lengths(column), names)
    return set(names)


def _inputs(batch: pa.RecordBatch) -> list[str]:
    if TOKENS in batch.schema.names:
        return ["\n".join(words) for words in batch[TOKENS].to_pylist()]
    texts: list[str] = batch[TEXT].to_pylist()
    if PAIR in batch.schema.names:
        return [f"{first}\0{second}" for first, second in zip(texts, batch[PAIR].to_pylist(), strict=True)]
    return texts


def _digest(content: str) -> bytes:
    return hashlib.blake2b(content.encode(), digest_size=DIGEST.itemsize).digest()


def _numbers(column: pa.Array) -> NDArray[np.int64]:
    """Equal numbers for equal values, and the same ones in every process (Python's own hash of text is not)."""
    values: list[object] = column.to_pylist()
    texts = ["\0".join(value) if isinstance(value, list) else str(value) for value in values]
    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, ">i8").astype(np.int64)


def _stratum(labels: pa.Array, targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number has no shares to keep."""
    return np.zeros_like(targets) if pa.types.is_floating(labels.type) else targets


def _any_tagged(tags: pa.ListArray) -> NDArray[np.int64]:
    tagged = np.zeros(len(tags), np.int64)
    is_tagged = pc.not_equal(pc.list_flatten(tags), OUTSIDE).to_numpy(zero_copy_only=False)
    tagged[pc.list_parent_indices(tags).to_numpy()[is_tagged]] = 1
    return tagged


def _joined(parts: list[NDArray[np.int64] | None]) -> NDArray[np.int64] | None:
    present = [part for part in parts if part is not None]
    return np.concatenate(present) if present else None


def _named(schema: pa.Schema | None) -> str:
    assert schema is not None
    return ", ".join(f"{field.name}: {field.type}" for field in schema)
