"""Labels as annotation tools nest them, brought to plain ones: a list of one, or an object of labels with 0 or 1."""

from collections.abc import Sequence

import pyarrow as pa

from stages.configuration.kinds import TargetRules
from stages.sources.readers.table_file import Column
from stages.sources.values import Where


def unnested(column: Column, rules: TargetRules, where: Where) -> Column:
    """Return labels without the lists and objects that a tool has put around them.

    Where a text has one label, a list of one label (doccano, Label Studio) is that label. An object with a number for each label
    (spaCy's `cats`) is the list of those with 1, or the one that has it. All else is left as it is.
    Raises DataError naming file and row for an object without exactly one label that is 1, and numbers between 0 and 1.
    """
    if isinstance(column, pa.Array) or not rules.has_labels or _NESTING.isdisjoint(map(type, column)):
        return column
    return [_unnested(value, rules, where, place) for place, value in enumerate(column)]


_NESTING = frozenset({list, dict})


def _unnested(value: object, rules: TargetRules, where: Where, place: int) -> object:
    if isinstance(value, dict):
        value = _positive(value, where, place)
        if not rules.has_several and len(value) > 1:
            raise where.fault(
                place,
                f"{', '.join(map(repr, value))} are all 1; keep one, or choose task=multilabel for any number of labels",
            )
    if rules.has_several or not isinstance(value, list):
        return value
    if not value:
        raise where.fault(place, "has no label; label it, or remove the row (task=multilabel takes texts without one)")
    return value[0] if len(value) == 1 else value


def _positive(values: dict[object, object], where: Where, place: int) -> Sequence[object]:
    """Return the labels whose number is 1."""
    unclear = [label for label, number in values.items() if number not in (0, 1)]
    if unclear:
        raise where.fault(
            place,
            f"the label {unclear[0]!r} is {values[unclear[0]]!r}, neither 0 nor 1; write 1 for a label that is given",
        )
    return [label for label, number in values.items() if number == 1]
