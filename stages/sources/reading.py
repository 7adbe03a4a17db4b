"""Describe how a data set's files are read: which files, in which format, and what each column is used for."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import TypeAlias

from stages.configuration.kinds import labels_words
from stages.configuration.schema import Split, TabularData
from stages.pipeline.errors import DataError
from stages.pipeline.escaping import shortened
from stages.sources.examples import Columns
from stages.sources.readers.table_file import TableFile

ReportLine: TypeAlias = tuple[str, str]
"""A subject, such as `train` or `columns`, and what the report says of it."""

_MOST_NAMES = 3
"""How many files are named."""
_LONGEST_NAME, _LONGEST_VALUE = 28, 20
"""Columns of a terminal that a file's name and a value take at most."""


def describe_files(
    parts: Mapping[Split, Sequence[tuple[TableFile, Columns]]], config: TabularData
) -> Iterator[ReportLine]:
    """Yield a line on the files of each split, and one on the use of their columns where that differs from all before.

    Reads the first rows of one file for each use of columns.
    """
    described: list[Columns] = []
    for split, opened in parts.items():
        for (form, columns), alike in groupby(opened, key=lambda part: (part[0].format, part[1])):
            files = [file for file, _ in alike]
            yield split, f"from {_names(files)} ({form})"
            if columns not in described:
                yield "columns", _columns(files[0], columns, config)
            described.append(columns)


def _names(files: Sequence[TableFile]) -> str:
    """Name the first files, without their folders, which are this machine's."""
    names = [file.name.rpartition("/")[2] or file.name for file in files[:_MOST_NAMES]]
    more = f" and {len(files) - _MOST_NAMES:,} more" if len(files) > _MOST_NAMES else ""
    return ", ".join(shortened(name, _LONGEST_NAME) for name in names) + more


def _columns(file: TableFile, columns: Columns, config: TabularData) -> str:
    of_words = labels_words(config.kind)
    uses = [("words" if of_words else "text", columns.input), ("second text", columns.pair)]
    uses += [("tags" if of_words else config.target, columns.label)]
    uses += [(f"label {name}", column) for name, column in columns.flags.items()]
    uses += [("groups", columns.group), *(("kept", column) for column in columns.kept.values())]
    first: Mapping[str, object] = {}
    with suppress(DataError):  # it is told when the rows are read
        first = _first_row(file, columns.all)
    used = [f"{what} from {file.display_names.get(name, name)}{_first(name, first)}" for what, name in uses if name]
    used += [] if columns.has_labels else ["no tags" if of_words else "no labels"]
    used += ["groups from the files"] if columns.group_by_file and columns.group is None else []
    return ", ".join(used)


def _first_row(file: TableFile, columns: Sequence[str]) -> dict[str, object]:
    for rows in file.read(columns):
        return {
            name: values[0] if isinstance(values, list) else values[0].as_py() for name, values in rows.columns.items()
        }
    return {}


def _first(name: str, row: Mapping[str, object]) -> str:
    value = row.get(name)
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return f" (first: {shortened(' '.join(str(value).split()), _LONGEST_VALUE)})" if name in row else ""
