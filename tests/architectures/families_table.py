"""The table of families in docs/models.md, from the committed result of `make architectures`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.imports import ROOT

RESULTS = Path(__file__).parent / "results.json"
PAGE = ROOT / "docs/models.md"
BEGIN, END = "<!-- families: written by `make architectures` -->", "<!-- end of families -->"

_REASONS = {
    "takes more than": "needs more than text: boxes, tables or shapes",
    "from sub-words alone": "needs more than text: boxes, tables or shapes",
    "don't depend on": "computes nothing without a GPU kernel of its own",
    "detectron2": "not tried: needs a package that is on no index",
}


def write_table() -> None:
    """Put the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(before + BEGIN + "\n\n" + table() + "\n" + END + rest.split(END)[1], encoding="utf-8")


def table() -> str:
    """Return the table as Markdown."""
    outcomes = json.loads(RESULTS.read_text(encoding="utf-8"))
    of_kind = {kind: [each for each in outcomes if each["kind"] == kind] for kind in ("text", "tokens")}

    def row(told: str, name: str, value: str) -> str:
        return f"| {told} | {' | '.join(_counted(of_kind[kind], name, value) for kind in of_kind)} |"

    others = sorted({_reason(each["told"]) for each in outcomes if each["result"] != "right"})
    lines = [
        f"| | text ({len(of_kind['text'])}) | tokens ({len(of_kind['tokens'])}) |",
        "|---|---|---|",
        row("predictions and export are plain transformers'", "result", "right"),
        row("of these: ONNX with the same logits", "onnx", "equal"),
        row("of these: no ONNX, as PyTorch's exporter can't", "onnx", "declined"),
        row("of these: predicted in batches of equal length", "notes", "equal_lengths=True"),
        *(f"| {reason} | {' | '.join(_named(of_kind[kind], reason) for kind in of_kind)} |" for reason in others),
    ]
    return "\n".join(lines) + "\n"


def _counted(outcomes: Sequence[dict[str, Any]], name: str, value: str) -> str:
    """Count the outcomes that have a value, and name them if they are few."""
    found = [each["family"] for each in outcomes if value == each[name] or (name == "notes" and value in each[name])]
    return f"{len(found)}: {', '.join(found)}" if 0 < len(found) <= 10 else str(len(found))


def _named(outcomes: Sequence[dict[str, Any]], reason: str) -> str:
    return ", ".join(
        each["family"] for each in outcomes if each["result"] != "right" and _reason(each["told"]) == reason
    )


def _reason(told: str) -> str:
    """Return in few words why a family is refused."""
    return next((reason for part, reason in _REASONS.items() if part in told), told)
