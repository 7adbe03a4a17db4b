"""Select the examples of each split: drop repeats, split off validation, take samples. Only content and seed decide."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.configuration.schema import DataBase, Split, TabularData
from stages.pipeline.errors import DataError
from stages.sources.staging import DIGEST, StagedSplit

Indices = NDArray[np.int64]

_FEWEST_DOCUMENTS = 20
"""A file of fewer documents is split by examples."""


@dataclass(frozen=True)
class Selection:
    """The rows of a staged split that become a final split, ascending."""

    source: Split
    rows: Indices


def select(splits: Mapping[Split, StagedSplit], config: DataBase, validation_fraction: float) -> dict[Split, Selection]:
    """Select the examples of `train`, `validation` and `test`, in this order.

    Raises DataError if train is too small to split off validation, or nothing is left of a split.
    """
    kept = {name: np.arange(split.examples) for name, split in splits.items()}
    if config.deduplicate != "none":
        kept = {name: np.sort(np.unique(split.contents, return_index=True)[1]) for name, split in splits.items()}
    if config.deduplicate == "across":
        kept = _without_later(splits, kept)
    chosen: dict[Split, Selection] = {"train": Selection("train", kept["train"])}
    if "validation" in splits:
        chosen["validation"] = Selection("validation", kept["validation"])
    else:
        rest, validation = _split_off_validation(
            splits["train"],
            kept["train"],
            validation_fraction,
            config.seed,
            is_grouped=isinstance(config, TabularData) and config.group_column is not None,
        )
        chosen = {"train": Selection("train", rest), "validation": Selection("train", validation)}
    chosen["test"] = Selection("test", kept["test"])
    for name, selection in chosen.items():
        if not len(selection.rows):
            raise DataError(f"{name}: nothing is left of it; set data.deduplicate=none, or give other files")
        limit = getattr(config.max_examples, name)
        if limit is not None and limit < len(selection.rows):
            split, rows = splits[selection.source], selection.rows
            sampled = rows[sample_rows(split.strata[rows], split.contents[rows], limit, config.seed)]
            chosen[name] = Selection(selection.source, sampled)
    return chosen


def sample_rows(strata: Indices, digests: NDArray[np.void], count: int, seed: int) -> Indices:
    """Return the indices, ascending, of `count` rows. Each stratum keeps its share, up to rounding to whole rows.

    Within a stratum the rows with the smallest digest of (seed, content) are taken. Shares are rounded by the
    largest-remainder method. `count` must be at most the number of rows.
    """
    assert len(strata) == len(digests) and 0 <= count <= len(strata)
    ranks = _ranks(digests, seed)
    chosen = [members[:share] for members, share in _shared_out(strata, ranks, count)]
    return np.sort(np.concatenate(chosen)) if chosen else np.arange(0)


def _without_later(splits: Mapping[Split, StagedSplit], kept: Mapping[Split, Indices]) -> dict[Split, Indices]:
    """Drop examples from train that validation or test hold, and from validation those that test holds."""
    left: dict[Split, Indices] = {}
    held: list[NDArray[np.void]] = []
    names: tuple[Split, ...] = ("test", "validation", "train")
    for name in [name for name in names if name in splits]:
        contents = splits[name].contents[kept[name]]
        is_new = ~np.isin(contents, np.concatenate(held)) if held else np.ones(len(contents), bool)
        left[name] = kept[name][is_new]
        held.append(contents)
    return left


def _split_off_validation(
    split: StagedSplit, rows: Indices, fraction: float, seed: int, *, is_grouped: bool
) -> tuple[Indices, Indices]:
    """Split train into train and validation, by whole groups or else whole sets of equal inputs."""
    count = max(1, round(len(rows) * fraction))
    groups, group = np.unique(_groups(split, configured=is_grouped)[rows], return_inverse=True)
    if count >= len(rows) or len(groups) < 2:
        what = "groups" if is_grouped else "examples"
        raise DataError(f"train: too few {what} to carve validation out of; give data.validation")
    ranks = _ranks(groups, seed)
    sizes = np.bincount(group)
    chosen: set[int] = set()
    for members, share in _shared_out(_commonest(group, split.strata[rows]), ranks, count, sizes):
        for member in members.tolist():
            if sizes[member] <= share:
                chosen.add(member)
                share -= int(sizes[member])  # noqa: PLW2901 (what is left of the share)
    if not chosen:
        chosen = {int(np.lexsort((ranks, sizes))[0])}
    is_validation = np.isin(group, list(chosen))
    return rows[~is_validation], rows[is_validation]


def _commonest(group: Indices, strata: Indices) -> Indices:
    """Return each group's most common stratum; of equally common ones the smallest number."""
    pairs, counts = np.unique(np.stack([group, strata]), axis=1, return_counts=True)
    order = np.lexsort((pairs[1], -counts, pairs[0]))
    leaders = order[np.unique(pairs[0][order], return_index=True)[1]]
    found: Indices = pairs[1][leaders]
    return found


def _shared_out(
    strata: Indices, ranks: NDArray[np.void], count: int, sizes: Indices | None = None
) -> list[tuple[Indices, int]]:
    """Return each stratum's members in the order of their ranks, and its share of `count`."""
    order = np.lexsort((np.arange(len(strata)), ranks["low"], ranks["high"], strata))
    names, begins = np.unique(strata[order], return_index=True)
    weights = np.add.reduceat(np.ones(len(strata), np.int64) if sizes is None else sizes[order], begins)
    exact = count * weights / weights.sum()
    shares = exact.astype(np.int64)
    by_remainder = np.lexsort((names, shares - exact))
    shares[by_remainder[: count - shares.sum()]] += 1
    return list(zip(np.split(order, begins[1:]), shares.tolist(), strict=True))


def _ranks(digests: NDArray[np.void], seed: int) -> NDArray[np.void]:
    """Return a digest of each (seed, content): a random order that depends on nothing else."""
    salt, raw, size = f"{seed}\0".encode(), digests.tobytes(), digests.dtype.itemsize
    hashed = (hashlib.blake2b(salt + raw[place : place + size], digest_size=size) for place in range(0, len(raw), size))
    return np.frombuffer(b"".join(each.digest() for each in hashed), digests.dtype)


def _groups(split: StagedSplit, *, configured: bool) -> NDArray[np.void]:
    """Return what must stay together. A file's documents are groups only if there are enough of them."""
    if split.groups is None or not (configured or len(np.unique(split.groups)) >= _FEWEST_DOCUMENTS):
        return split.contents
    digests = np.zeros(len(split.groups), DIGEST)
    digests["low"] = split.groups.view(np.uint64)
    return digests
