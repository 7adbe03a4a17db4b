"""Select the examples of each split: drop repeats, carve splits out of train, take samples. Only content and seed decide."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stages.configuration.schema import SPLITS, DataBase, Split, TabularData
from stages.pipeline.errors import DataError
from stages.sources.staging import DIGEST, StagedSplit

log = logging.getLogger("stages.sources")

Indices = NDArray[np.int64]

_FEWEST_DOCUMENTS = 20
"""A file of fewer documents is split by examples."""


@dataclass(frozen=True)
class Selection:
    """The rows of a staged split that become a final split, ascending."""

    source: Split
    rows: Indices


def select(splits: Mapping[Split, StagedSplit], config: DataBase) -> dict[Split, Selection]:
    """Select the examples of `train`, `validation` and `test`, in this order. Those that `splits` lacks are carved out of train.

    Raises DataError if train is too small to be divided, or nothing is left of a split.
    """
    kept = {name: np.arange(split.examples) for name, split in splits.items()}
    if config.deduplicate != "none":
        kept = {name: np.sort(np.unique(split.contents, return_index=True)[1]) for name, split in splits.items()}
    if config.deduplicate == "across":
        kept = _without_later(splits, kept)
    chosen = _with_carved(splits["train"], {name: Selection(name, rows) for name, rows in kept.items()}, config)
    for name, selection in chosen.items():
        if not len(selection.rows):
            raise DataError(
                f"{name}: no example is left after deduplication; set data.deduplicate=none, or give other files"
            )
        chosen[name] = _limited(splits[selection.source], selection, getattr(config.max_examples, name), config.seed)
    return {name: chosen[name] for name in SPLITS}


def carved(chosen: Mapping[Split, Selection]) -> dict[Split, Indices]:
    """Return the rows of the selections that are parts of train, by their split."""
    return {name: selection.rows for name, selection in chosen.items() if selection.source == "train"}


def _with_carved(train: StagedSplit, given: Mapping[Split, Selection], config: DataBase) -> dict[Split, Selection]:
    """Return the selections that are given, and those that are carved out of train.

    A fold divides what a run without folds may train on at most, so `max_examples.train` is taken first.
    """
    are_grouped = isinstance(config, TabularData) and config.group_column is not None
    pool = _Pool(train, config.seed, are_grouped=are_grouped)
    chosen = dict(given)

    def carve(split: Split, divided: tuple[Indices, Indices], how: str) -> None:
        chosen[split], chosen["train"] = (Selection("train", part) for part in divided)
        taken, rest = map(len, divided)
        log.info("%s: %s of train's %s examples%s, %s", split, f"{taken:,}", f"{taken + rest:,}", pool.in_groups, how)

    if config.fold is not None:
        chosen["train"] = _limited(train, chosen["train"], config.max_examples.train, config.seed)
        part, parts = map(int, config.fold.split("/"))
        carve("test", pool.fold(chosen["train"].rows, part, parts), f"data.fold={config.fold}")
    for split in ("test", "validation"):
        if split not in chosen:
            assert isinstance(config, TabularData)
            fraction = config.test_fraction if split == "test" else config.validation_fraction
            found = pool.carve(chosen["train"].rows, fraction, split)
            carve(split, found, f"as there are no other files (data.{split}_fraction={fraction:g})")
    return chosen


def _limited(split: StagedSplit, selection: Selection, limit: int | None, seed: int) -> Selection:
    rows = selection.rows
    if limit is None or limit >= len(rows):
        return selection
    return Selection(selection.source, rows[sample_rows(split.strata[rows], split.contents[rows], limit, seed)])


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


@dataclass(frozen=True)
class _Pool:
    """Train, out of which other splits are carved by whole groups, or else by whole sets of equal inputs."""

    train: StagedSplit
    seed: int
    are_grouped: bool
    """Whether the groups are configured."""

    def carve(self, rows: Indices, fraction: float, split: Split) -> tuple[Indices, Indices]:
        """Return a part of the rows, of at least one group, and the rest. Raises DataError if there is but one group."""
        count = max(1, round(len(rows) * fraction))
        if count >= len(rows) or (self._keys[rows] == self._keys[rows[0]]).all():
            raise DataError(f"train: too few {self._units} to carve {split} out of; give data.{split}")
        is_carved = self._carved(rows, count, leave=1)
        return rows[is_carved], rows[~is_carved]

    def fold(self, rows: Indices, part: int, parts: int) -> tuple[Indices, Indices]:
        """Return one of the parts, counted from 1, that rows are divided into, and the rest. Every part has a group at least.

        The parts are carved one after the other out of what those before them leave. Raises DataError if there are fewer groups
        than parts.
        """
        groups = len(np.unique(self._keys[rows]))
        if groups < parts:
            raise DataError(
                f"train: has {groups} {'different ' * (not self.are_grouped)}{self._units}, too few for the {parts} parts of "
                f"data.fold={part}/{parts}; ask for fewer parts"
            )
        left = found = rows
        for number in range(1, part + 1):
            count = len(left) // (parts + 1 - number)
            is_carved = self._carved(left, count, leave=parts - number)
            found, left = left[is_carved], left[~is_carved]
        return found, np.setdiff1d(rows, found, assume_unique=True)

    def _carved(self, rows: Indices, count: int, *, leave: int) -> NDArray[np.bool_]:
        """Return which rows are carved out: about `count` of them, of a group all or none, with each stratum's share.

        Of groups that are in no stratum's share the first are taken for what is missing of `count`. At least one group is
        taken, and at least `leave` stay.
        """
        if not leave:
            return np.ones(len(rows), bool)
        contents = self.train.contents[rows]
        if self._keys is self.train.contents:
            distinct, group = np.unique(contents, return_inverse=True)
            ranks = _ranks(distinct, self.seed)
        else:
            group = np.unique(self._keys[rows], return_inverse=True)[1]
            ranks = _ranks_of_groups(group, contents, self.seed)
        most, sizes = len(ranks) - leave, np.bincount(group)
        chosen: dict[int, None] = {}

        def take(members: Indices, share: int) -> None:
            for member in members.tolist():
                if sizes[member] <= share and member not in chosen and len(chosen) < most:
                    chosen[member] = None
                    share -= int(sizes[member])

        for members, share in _shared_out(_commonest(group, self.train.strata[rows]), ranks, count, sizes):
            take(members, share)
        missing = count - sum(int(sizes[member]) for member in chosen)
        if missing:
            take(np.lexsort((ranks["low"], ranks["high"])), missing)
        smallest = int(np.lexsort((ranks["low"], ranks["high"], sizes))[0])
        is_carved: NDArray[np.bool_] = np.isin(group, list(chosen) or [smallest])
        return is_carved

    @cached_property
    def _keys(self) -> NDArray[np.void] | Indices:
        """[examples]: what must stay together. A file's documents are groups only if there are enough of them."""
        groups = self.train.groups
        if groups is None or not (self.are_grouped or len(np.unique(groups)) >= _FEWEST_DOCUMENTS):
            return self.train.contents
        return groups

    @property
    def in_groups(self) -> str:
        """What is kept together besides equal inputs, for the log."""
        has_documents = not self.are_grouped and self._keys is self.train.groups
        return " in whole groups" if self.are_grouped else " in whole documents" if has_documents else ""

    @property
    def _units(self) -> str:
        return "groups" if self.are_grouped else "examples"


def _commonest(group: Indices, strata: Indices) -> Indices:
    """Return each group's most common stratum; of equally common ones the smallest number."""
    names, kind = np.unique(strata, return_inverse=True)
    pairs, counts = np.unique(
        group * len(names) + kind, return_counts=True
    )  # as one number, which sorts faster than two
    groups, kinds = np.divmod(pairs, len(names))
    order = np.lexsort((kinds, -counts, groups))
    leaders = order[np.unique(groups[order], return_index=True)[1]]
    found: Indices = names[kinds[leaders]]
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


def _ranks_of_groups(group: Indices, contents: NDArray[np.void], seed: int) -> NDArray[np.void]:
    """Return a rank of each group that its set of contents alone decides: the sum of their ranks. `group`: of each row."""
    distinct, content = np.unique(contents, return_inverse=True)
    of_contents = _ranks(distinct, seed)
    pairs = np.divmod(np.unique(group * len(distinct) + content), len(distinct))
    ranks = np.zeros(group.max() + 1, DIGEST)
    for part in ("high", "low"):
        total = np.zeros(len(ranks), np.uint64)
        np.add.at(total, pairs[0], of_contents[part].astype(np.uint64)[pairs[1]])
        ranks[part] = total
    return ranks


def _ranks(digests: NDArray[np.void], seed: int) -> NDArray[np.void]:
    """Return a digest of each (seed, content): a random order that depends on nothing else."""
    salt, raw, size = f"{seed}\0".encode(), digests.tobytes(), digests.dtype.itemsize
    hashed = bytearray()  # joining would hold all of them twice, in an object each
    for place in range(0, len(raw), size):
        hashed += hashlib.blake2b(salt + raw[place : place + size], digest_size=size).digest()
    return np.frombuffer(hashed, digests.dtype)
