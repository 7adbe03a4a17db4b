"""Which examples become what: repeats dropped, validation carved out, samples taken, all by content and seed alone."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.configuration.schema import DataBase, Split, TabularData
from stages.pipeline.errors import DataError
from stages.sources.spool import DIGEST, SpooledSplit

Indices = NDArray[np.int64]

_FEWEST_DOCUMENTS = 20


@dataclass(frozen=True)
class Selection:
    """The rows, ascending, of a spooled split that become (a part of) a final one."""

    source: Split
    rows: Indices


def select(
    splits: Mapping[Split, SpooledSplit], config: DataBase, validation_fraction: float
) -> dict[Split, Selection]:
    """The examples of `train`, `validation` and `test`, in this order.

    Raises DataError if train is too small to carve validation out of, or nothing is left of a split.
    """
    kept = {name: np.arange(split.examples) for name, split in splits.items()}
    if config.deduplicate != "none":
        kept = {name: rows[_first_of_each(splits[name].contents[rows])] for name, rows in kept.items()}
    if config.deduplicate == "across":
        kept = _without_later(splits, kept)
    chosen: dict[Split, Selection] = {"train": Selection("train", kept["train"])}
    if "validation" in splits:
        chosen["validation"] = Selection("validation", kept["validation"])
    else:
        rest, carved = _carved(
            splits["train"],
            kept["train"],
            validation_fraction,
            config.seed,
            is_grouped=isinstance(config, TabularData) and config.group_column is not None,
        )
        chosen = {"train": Selection("train", rest), "validation": Selection("train", carved)}
    chosen["test"] = Selection("test", kept["test"])
    for name, selection in chosen.items():
        if not len(selection.rows):
            raise DataError(f"{name}: nothing is left of it; set data.deduplicate=none, or give other files")
    return {name: _limited(splits, selection, name, config) for name, selection in chosen.items()}


def sample_rows(strata: Indices, digests: NDArray[np.void], count: int, seed: int) -> Indices:
    """The indices, ascending, of `count` rows with each stratum's share kept as nearly as whole rows allow.

    Within a stratum the rows with the smallest digest of (seed, content) are taken. Shares are rounded by the
    largest-remainder method. `count` must be at most the number of rows.
    """
    assert len(strata) == len(digests) and 0 <= count <= len(strata)
    ranks = _ranks(digests, seed)
    chosen = [members[:share] for members, share in _shared_out(strata, ranks, count)]
    return np.sort(np.concatenate(chosen)) if chosen else np.arange(0)


def _first_of_each(contents: NDArray[np.void]) -> Indices:
    return np.sort(np.unique(contents, return_index=True)[1])


def _without_later(splits: Mapping[Split, SpooledSplit], kept: Mapping[Split, Indices]) -> dict[Split, Indices]:
    """Drop from train what validation or test hold, and from validation what test holds."""
    left: dict[Split, Indices] = {}
    held: list[NDArray[np.void]] = []
    names: tuple[Split, ...] = ("test", "validation", "train")
    for name in [name for name in names if name in splits]:
        contents = splits[name].contents[kept[name]]
        is_new = ~np.isin(contents, np.concatenate(held)) if held else np.ones(len(contents), bool)
        left[name] = kept[name][is_new]
        held.append(contents)
    return left


def _carved(
    split: SpooledSplit, rows: Indices, fraction: float, seed: int, *, is_grouped: bool
) -> tuple[Indices, Indices]:
    """Train without validation, and validation: whole groups, or else whole sets of equal inputs."""
    count = max(1, round(len(rows) * fraction))
    groups, group = np.unique(_groups(split, configured=is_grouped)[rows], return_inverse=True)
    if count >= len(rows) or len(groups) < 2:
        what = "groups" if is_grouped else "examples"
        raise DataError(f"train: too few {what} to carve validation out of; give data.validation")
    ranks = _ranks(groups, seed)
    sizes = np.bincount(group)
    chosen: set[int] = set()
    for members, share in _shared_out(_commonest(group, split.strata[rows]), ranks, count, sizes):
        chosen.update(_fitting(members.tolist(), sizes, share))
    if not chosen:
        chosen = {int(np.lexsort((ranks, sizes))[0])}
    is_carved = np.isin(group, list(chosen))
    return rows[~is_carved], rows[is_carved]


def _fitting(groups: list[int], sizes: Indices, share: int) -> Iterator[int]:
    """Of the groups in their order, those that still fit into `share` examples."""
    for group in groups:
        if share <= 0:
            return
        if sizes[group] <= share:
            share -= int(sizes[group])
            yield group


def _commonest(group: Indices, strata: Indices) -> Indices:
    """The stratum that most examples of each group have; among equals the one with the smallest number."""
    pairs, counts = np.unique(np.stack([group, strata]), axis=1, return_counts=True)
    order = np.lexsort((pairs[1], -counts, pairs[0]))
    leaders = order[np.unique(pairs[0][order], return_index=True)[1]]
    found: Indices = pairs[1][leaders]
    return found


def _shared_out(
    strata: Indices, ranks: NDArray[np.void], count: int, sizes: Indices | None = None
) -> list[tuple[Indices, int]]:
    """Each stratum's members in the order of their ranks, and its share of `count`."""
    order = np.lexsort((np.arange(len(strata)), ranks["low"], ranks["high"], strata))
    names, begins = np.unique(strata[order], return_index=True)
    weights = np.add.reduceat(np.ones(len(strata), np.int64) if sizes is None else sizes[order], begins)
    exact = count * weights / weights.sum()
    shares = exact.astype(np.int64)
    by_remainder = np.lexsort((names, shares - exact))
    shares[by_remainder[: count - shares.sum()]] += 1
    return list(zip(np.split(order, begins[1:]), shares.tolist(), strict=True))


def _limited(splits: Mapping[Split, SpooledSplit], selection: Selection, name: Split, config: DataBase) -> Selection:
    limit = getattr(config.max_examples, name)
    if limit is None or limit >= len(selection.rows):
        return selection
    split, rows = splits[selection.source], selection.rows
    return Selection(selection.source, rows[sample_rows(split.strata[rows], split.contents[rows], limit, config.seed)])


def _ranks(digests: NDArray[np.void], seed: int) -> NDArray[np.void]:
    """A digest of each (seed, content): an order that neither the source's nor the hash function's favours."""
    salt, raw, size = f"{seed}\0".encode(), digests.tobytes(), digests.dtype.itemsize
    hashed = (hashlib.blake2b(salt + raw[place : place + size], digest_size=size) for place in range(0, len(raw), size))
    return np.frombuffer(b"".join(each.digest() for each in hashed), digests.dtype)


def _groups(split: SpooledSplit, *, configured: bool) -> NDArray[np.void]:
    """What must not be parted. A file's own documents count only where there are enough of them to choose among."""
    if split.groups is None or not (configured or len(np.unique(split.groups)) >= _FEWEST_DOCUMENTS):
        return split.contents
    return _as_digests(split.groups)


def _as_digests(numbers: Indices) -> NDArray[np.void]:
    digests = np.zeros(len(numbers), DIGEST)
    digests["low"] = numbers.view(np.uint64)
    return digests
