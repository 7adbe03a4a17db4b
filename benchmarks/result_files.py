"""Where a benchmark's figures are kept: a table to read, and the figures themselves."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any


def write_results(out: Path, table: str, figures: Iterable[Any]) -> None:
    """Write OUT.md, and OUT.json of dataclasses."""
    out.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps([asdict(each) for each in figures], indent=2)
    out.with_suffix(".json").write_text(f"{content}\n", encoding="utf-8")
    out.with_suffix(".md").write_text(table, encoding="utf-8")
