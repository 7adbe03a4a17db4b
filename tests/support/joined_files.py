"""Files of gold and predictions in any format, written and joined."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stages.systems.joining import Columns, read_pair


def write(name: str, content: str | dict[str, Any]) -> Path:
    """A text file, or a Parquet file of columns."""
    if isinstance(content, str):
        Path(name).write_text(content, encoding="utf-8")
    else:
        pq.write_table(pa.table(content), name)
    return Path(name)


def pair(gold: str | Path, predictions: str | Path | None = None, **options: Any) -> pa.Table:
    columns = Columns(options.pop("columns", None), options.pop("predicted", None))
    return read_pair(Path(gold), None if predictions is None else Path(predictions), columns, **options).table


def labels(table: pa.Table) -> tuple[list[Any], list[Any]]:
    return table["gold"].to_pylist(), table["predicted"].to_pylist()


def write_rows(path: Path, table: list[dict[str, Any]]) -> None:
    """The rows in the format of the suffix; `.txt` has the last column alone."""
    match path.suffix:
        case ".parquet":
            pq.write_table(pa.Table.from_pylist(table), path)
        case ".json":
            path.write_text(json.dumps(table))
        case ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in table))
        case ".txt":
            path.write_text("".join(f"{list(row.values())[-1]}\n" for row in table))
        case suffix:
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(table[0]), delimiter="," if suffix == ".csv" else "\t")
                writer.writeheader()
                writer.writerows(table)
