"""Findings, which are what is odd in the data: logged, counted in the metrics, and errors if `data.fail_on` says so."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from stages.pipeline.errors import DataError
from stages.pipeline.json_files import Json

Severity = Literal["error", "warning", "note"]
FailOn = Literal["error", "warning", "never"]
Kinds: TypeAlias = Mapping[str, "Kind"]
"""The kinds of finding that a stage may have, by their codes, the most severe first."""

_REFUSED: Mapping[FailOn, tuple[Severity, ...]] = {"error": ("error",), "warning": ("error", "warning"), "never": ()}


@dataclass(frozen=True)
class Kind:
    """A kind of finding."""

    severity: Severity
    meaning: str
    """What the report says."""


@dataclass
class Finding:
    """Something odd: its count in each split, or between two (`train, test`), and its first place."""

    code: str
    kind: Kind
    counts: dict[str, int] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    """The totals that the counts are shares of, where shares are shown."""
    first: str | None = None
    """The first place, as messages name it. It may hold a path of this machine, so only the log shows it."""

    def __str__(self) -> str:
        first = f" (first: {self.first})" if self.first else ""
        return f"{self.kind.meaning}: {self.counted()}{first}"

    def counted(self) -> str:
        """Return how many there are, and where."""
        return ", ".join(
            f"{count:,}{self._share(where)} in {where.replace(', ', ' and ')}" for where, count in self.counts.items()
        )

    def _share(self, where: str) -> str:
        return f" ({self.counts[where] / self.totals[where]:.1%})" if where in self.totals else ""


class Findings:
    """All findings, in the order of their kinds."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._by_code: dict[str, Finding] = {}

    def __iter__(self) -> Iterator[Finding]:
        return (self._by_code[code] for code in self._kinds if code in self._by_code)

    def add(self, code: str, where: str, count: int, first: str | None = None, *, of: int | None = None) -> None:
        """Add `count` of a kind in a split, or between two; nothing if it is 0. `of`: the total, to show a share of it."""
        if not count:
            return
        finding = self._by_code.setdefault(code, Finding(code, self._kinds[code]))
        finding.counts[where] = finding.counts.get(where, 0) + count
        if of is not None:
            finding.totals[where] = finding.totals.get(where, 0) + of
        finding.first = finding.first or first

    def log(self, log: logging.Logger) -> None:
        """Log each finding in one line."""
        for finding in self:
            level = logging.INFO if finding.kind.severity == "note" else logging.WARNING
            log.log(level, "data: %s: %s", finding.kind.severity, finding)

    def stop_on(self, fail_on: FailOn, origin: str, advice: str) -> None:
        """Raise DataError for findings that `data.fail_on` refuses. `origin`: of the data; `advice`: how to mend them."""
        faults = [finding for finding in self if finding.kind.severity in _REFUSED[fail_on]]
        if faults:
            weaker = "error" if all(fault.kind.severity == "warning" for fault in faults) else "never"
            raise DataError(
                f"{origin}: {'; '.join(map(str, faults))}; {advice}, or set data.fail_on={weaker} to continue anyway"
            )

    def to_json(self) -> dict[str, Json]:
        """Return what the metrics hold: the severity of each and its counts, by its code."""
        return {finding.code: {"severity": finding.kind.severity, **finding.counts} for finding in self}
