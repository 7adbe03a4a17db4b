"""The data report: what the log, `metrics/download.json` and the page `metrics/data.md` say of the data."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stages.configuration.schema import Scheme, Split
from stages.pipeline.errors import DataError
from stages.pipeline.escaping import code
from stages.pipeline.json_files import Json
from stages.sources.findings import Finding, Findings
from stages.sources.statistics import SplitSummary

log = logging.getLogger("stages.sources")

_MOST_LABELS = 200
"""Labels that the page lists."""


@dataclass
class DataReport:
    """What is known of the data: findings about all of them as found, and a summary of each split as written."""

    name: str
    labels: Sequence[str]
    scheme: Scheme
    findings: Findings
    sha256: Mapping[Split, Sequence[str]]
    """The digests of the files that the data were read from; none where they were not."""
    splits: Mapping[Split, SplitSummary] = field(default_factory=dict)

    def stop_on(self, fail_on: str) -> None:
        """Log every finding. Raises DataError if there are some that `data.fail_on` refuses."""
        for finding in self.findings.all():
            level = logging.INFO if finding.kind.severity == "note" else logging.WARNING
            log.log(level, "data: %s: %s", finding.kind.severity, _told(finding))
        refused = {"error": ("error",), "warning": ("error", "warning"), "never": ()}[fail_on]
        faults = [finding for finding in self.findings.all() if finding.kind.severity in refused]
        if faults:
            raise DataError(
                f"data={self.name}: {'; '.join(map(_told, faults))}; mend the data, or let it pass with data.fail_on="
                f"{'error' if all(fault.kind.severity == 'warning' for fault in faults) else 'never'}"
            )

    def to_json(self) -> dict[str, Json]:
        """As the metrics hold it: the splits as written, and the findings with their counts as found."""
        findings: dict[str, Json] = {
            finding.code: {"severity": finding.kind.severity, **finding.counts} for finding in self.findings.all()
        }
        splits: Json = {name: summary.to_json() for name, summary in self.splits.items()}
        digests: dict[str, Json] = {name: list(found) for name, found in self.sha256.items()}
        return {"splits": splits, **({"sha256": digests} if digests else {}), "findings": findings}

    def to_markdown(self) -> str:
        """The page."""
        parts = [f"# Data: {code(self.name)}", "## Splits", _table(self._splits()), "## Findings", self._findings()]
        if self.labels:
            parts += ["## Labels", _table(self._labels())]
            if len(self.labels) > _MOST_LABELS:
                parts.append(f"And {len(self.labels) - _MOST_LABELS} more; all are in `metrics/download.json`.")
        return "\n\n".join(parts) + "\n"

    def _splits(self) -> list[list[str]]:
        has_entities = any(summary.has_entities for summary in self.splits.values())
        head = ["split", "examples", "words", *(["entities"] if has_entities else [])]
        rows = [[*head, "words in an example: median", "95 %", "longest"]]
        for name, summary in self.splits.items():
            counts = [summary.examples, summary.words, *([summary.entities] if has_entities else [])]
            rows.append([name, *(f"{count:,}" for count in counts), *map(str, summary.quantiles().values())])
        return rows

    def _findings(self) -> str:
        findings = self.findings.all()
        if not findings:
            return "Nothing odd was found."
        rows = [["severity", "finding", "how many, where"]]
        rows += [[each.kind.severity, each.kind.meaning, _counts(each)] for each in findings]
        return "Of the data as the source has them, before any sample is taken.\n\n" + _table(rows)

    def _labels(self) -> list[list[str]]:
        rows = [["label", *self.splits]]
        totals = {name: max(1, int(summary.counts.sum())) for name, summary in self.splits.items()}
        for place, label in list(enumerate(self.labels))[:_MOST_LABELS]:
            shares = [
                f"{summary.counts[place]:,} ({summary.counts[place] / totals[name]:.1%})"
                for name, summary in self.splits.items()
            ]
            rows.append([code(label), *shares])
        return rows


def _told(finding: Finding) -> str:
    first = f" (first: {finding.first})" if finding.first else ""
    return f"{finding.kind.meaning}: {_counts(finding)}{first}"


def _counts(finding: Finding) -> str:
    return ", ".join(f"{count:,} in {where.replace(', ', ' and ')}" for where, count in finding.counts.items())


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = [head, ["---", *["---:"] * (len(head) - 1)] if len(head) > 3 or not body else ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
