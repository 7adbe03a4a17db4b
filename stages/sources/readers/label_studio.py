"""Read texts with choices as Label Studio exports them: its JSON, and the short form that its JSON-MIN and CSV have."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pyarrow as pa

from stages.pipeline.errors import DataError
from stages.sources.column_names import LABEL_LISTS, AmbiguousColumnError, named_column, usual_column
from stages.sources.label_names import UNLABELLED
from stages.sources.readers.json_records import JsonFile, layout_of
from stages.sources.readers.strict_json import JsonObject
from stages.sources.readers.table_file import ReadOptions, Rows, TableFile, in_batches

log = logging.getLogger("stages.sources")

_OWN_COLUMNS = frozenset(
    {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement", "was_cancelled"}
)
"""What Label Studio adds to each row of the short form."""
_MARKS = ("annotation_id", "lead_time")
"""Those by which it is known."""
_VALUES = ("choices", "rating", "number", "taxonomy")
"""What the value of a control for whole texts is called."""
_LABEL = "label"


def is_label_studio(row: Mapping[str, object]) -> bool:
    """Whether a file's first object is a task with annotations."""
    return isinstance(row.get("data"), dict) and isinstance(row.get("annotations"), list)


def open_label_studio(path: Path, name: str, options: ReadOptions) -> TableFile:
    """Open Label Studio's JSON: the data's keys are columns, and so are the names of the controls (`sentiment`), with labels.

    Where there is one control, `label` means it too. Of several annotations of a task, the first that was not skipped is
    taken; tasks with skipped ones alone are left out. The log tells of both. In a file of the test split, a task may lack
    annotations: its labels are that of no label. Raises DataError naming file and row.
    """
    may_lack = options.split == "test"
    file = JsonFile(path, name, options.encoding, layout_of(path, name, options.encoding))
    columns_of_data, controls = _columns(file, may_lack_annotations=may_lack)
    alias = {_LABEL: controls[0]} if len(controls) == 1 and _LABEL not in (*columns_of_data, *controls) else {}
    columns = tuple(dict.fromkeys([*columns_of_data, *controls, *alias]))

    def rows() -> Iterator[tuple[int, JsonObject]]:
        for number, (data, results) in _tasks(file, may_lack_annotations=may_lack, tell=True):
            row = {**data, **({control: [UNLABELLED] for control in controls} if results is None else results)}
            yield number, {**row, **{name: row.get(column) for name, column in alias.items()}}

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        return in_batches(rows(), wanted)

    return TableFile(path, name, file.unit, columns, read)


def _columns(file: JsonFile, *, may_lack_annotations: bool) -> tuple[Sequence[str], Sequence[str]]:
    """Return the keys of the first task's data, and the controls of all tasks, as one may be left out in any."""
    keys: Sequence[str] | None = None
    controls: dict[str, None] = {}
    for _, (data, results) in _tasks(file, may_lack_annotations=may_lack_annotations, tell=False):
        keys = list(data) if keys is None else keys
        controls |= dict.fromkeys(results or ())
    if keys is None:
        raise DataError(f"{file.name}: every task was skipped; export annotated tasks")
    if not controls and not may_lack_annotations:
        raise DataError(f"{file.name}: no task has a choice; export tasks whose texts are labelled")
    return keys, list(controls)


def _tasks(
    file: JsonFile, *, may_lack_annotations: bool, tell: bool
) -> Iterator[tuple[int, tuple[JsonObject, JsonObject | None]]]:
    """Yield each task's data, and the labels that it got by the name of the control; None if nobody has annotated it."""
    skipped = differing = 0
    for number, task in file.records():
        where = f"{file.name}, {file.unit} {number}"
        data, annotations = task.get("data"), task.get("annotations", [] if may_lack_annotations else None)
        if not isinstance(data, dict) or not isinstance(annotations, list):
            raise DataError(f"{where}: is not a task as Label Studio exports it (data: an object, annotations: a list)")
        if not annotations and may_lack_annotations:
            yield number, (data, None)
            continue
        if not annotations:
            raise DataError(f"{where}: has no annotation; export annotated tasks only")
        kept = [item for item in annotations if isinstance(item, dict) and not item.get("was_cancelled")]
        if not kept:
            skipped += 1
            continue
        found = [_results(annotation, where) for annotation in kept]
        differing += any(results != found[0] for results in found)
        yield number, (data, found[0])
    if tell and skipped:
        log.info("%s: left out %d tasks that the annotator skipped", file.name, skipped)
    if tell and differing:
        log.warning("%s: %d tasks have annotations that differ; the first of each was taken", file.name, differing)


def _results(annotation: JsonObject, where: str) -> JsonObject:
    results = annotation.get("result")
    if not isinstance(results, list):
        raise DataError(f"{where}: an annotation has no list 'result'; export as JSON from Label Studio")
    found: JsonObject = {}
    for result in results:
        value = result.get("value") if isinstance(result, dict) else None
        if isinstance(value, dict) and any(key in value for key in _VALUES):
            control, label = str(result.get("from_name", _LABEL)), _label(value)
            if found.setdefault(control, label) != label:
                raise DataError(
                    f"{where}: has several results of the control {control}, as for regions of a text; "
                    "export tasks with one for the whole text"
                )
    return found


def _label(value: Mapping[str, object]) -> object:
    """Return the label of a control's value: a number, a list of choices, or paths in a taxonomy as text."""
    key = next(key for key in _VALUES if key in value)
    found = value[key]
    if key == "taxonomy" and isinstance(found, list):
        return ["/".join(map(str, path)) if isinstance(path, list) else path for path in found]
    return found


def is_short_form(columns: Sequence[str]) -> bool:
    """Whether a table's columns are those of JSON-MIN or of the CSV."""
    return all(mark in columns for mark in _MARKS)


def refuse_spans(table: TableFile) -> None:
    """Raise DataError for spans in the CSV of Label Studio, which has them as JSON in cells."""
    if is_short_form(table.columns):
        raise DataError(f"{table.name}: is Label Studio's CSV, from which spans are not read; export as JSON")


def with_plain_choices(table: TableFile, options: ReadOptions) -> TableFile:
    """Return a table of the short form with plain labels, any other as it is.

    Several choices are `{"choices": [...]}` there, as text in CSV, and one is its name alone: for `target=labels` a list of it.
    Where one column beside the text may hold labels, `label` means it too.
    """
    if not is_short_form(table.columns):
        return table
    own = [column for column in table.columns if column not in _OWN_COLUMNS]
    others = [column for column in own if column not in (options.text_column, "text")]
    alias = {_LABEL: others[0]} if len(others) == 1 and len(own) == 2 and _LABEL not in own else {}
    columns = (*table.columns, *alias)
    labels = named_column(columns, options.label_column) if isinstance(options.label_column, str) else _usual(columns)
    listed = labels if options.takes_several_labels else None

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        originals = [alias.get(column, column) for column in wanted]
        for rows in table.read(list(dict.fromkeys(originals))):
            columns = {
                column: _plain_column(rows.columns[original], as_lists=column == listed)
                for column, original in zip(wanted, originals, strict=True)
            }
            yield replace(rows, columns=columns)

    return replace(table, columns=columns, read=read)


def _usual(columns: Sequence[str]) -> str | None:
    with suppress(AmbiguousColumnError):  # it is told when the columns are chosen
        return usual_column(columns, LABEL_LISTS)
    return None


def _plain_column(column: list[object] | pa.Array, *, as_lists: bool) -> list[object] | pa.Array:
    if isinstance(column, pa.Array):
        return column
    plain = [_plain(value) for value in column]
    return [_listed(value) for value in plain] if as_lists else plain


def _listed(value: object) -> object:
    """Return one choice as a list of it; one that begins like a list is read as such later."""
    return [value] if isinstance(value, str) and value and not value.startswith("[") else value


def _plain(value: object) -> object:
    """Return what a cell of the short form means; a text that is no such value stays as it is."""
    found = value
    if isinstance(value, str) and value.startswith(('{"', '[{"')):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
    items = found if isinstance(found, list) else [found]
    if not items or not all(isinstance(item, dict) and any(key in item for key in _VALUES) for item in items):
        return value
    labels = [_label(item) for item in items if isinstance(item, dict)]
    if all(isinstance(label, list) for label in labels):
        return list(chain.from_iterable(label for label in labels if isinstance(label, list)))
    return labels[0] if len(labels) == 1 else labels
