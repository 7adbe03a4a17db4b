"""Choosing rows by content and seed alone, so that the choice survives any reordering of the source."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence


def select_stratified(contents: Sequence[str], strata: Sequence[str], count: int, seed: int) -> list[int]:
    """The indices, ascending, of `count` rows with each stratum's share kept as nearly as whole rows allow.

    Within a stratum the rows with the smallest digest of (seed, content) are taken. Shares are rounded by the
    largest-remainder method. `count` must be at most the number of rows.
    """
    assert len(contents) == len(strata) and 0 <= count <= len(contents)
    members: dict[str, list[int]] = defaultdict(list)
    for index, stratum in enumerate(strata):
        members[stratum].append(index)
    sizes = {stratum: len(indices) for stratum, indices in members.items()}
    chosen: list[int] = []
    for stratum, share in _shares(sizes, count).items():
        ranked = sorted(members[stratum], key=lambda index: (_digest(seed, contents[index]), index))
        chosen += ranked[:share]
    return sorted(chosen)


def _shares(sizes: dict[str, int], count: int) -> dict[str, int]:
    total = sum(sizes.values())
    exact = {stratum: count * size / total for stratum, size in sizes.items()}
    shares = {stratum: int(value) for stratum, value in exact.items()}
    by_remainder = sorted(exact, key=lambda stratum: (shares[stratum] - exact[stratum], stratum))
    for stratum in by_remainder[: count - sum(shares.values())]:
        shares[stratum] += 1
    return shares


def _digest(seed: int, content: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{content}".encode("utf-8", "surrogatepass")).digest()
