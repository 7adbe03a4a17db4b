"""What is different between two runs, beside their scores: parameters, what they ran on, examples fixed or broken."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pyarrow as pa

from stages.comparison.predictions import Predictions
from stages.comparison.results import Annotation, ChangedExample, EnvironmentDifference, ParamDifference
from stages.comparison.runs import Text, flat
from stages.pipeline.json_files import Json
from stages.pipeline.runs import StageRun
from stages.scoring.final.resampling import Array
from stages.tasks.schemes import decode

_SAME = 1e-12
"""Means over seeds closer than this are equal."""


def param_differences(base: Mapping[str, Json], other: Mapping[str, Json]) -> list[ParamDifference]:
    """The parameters that differ, sorted; none where those of a run are not known."""
    if not base or not other:
        return []
    keys = sorted(key for key in {*base, *other} if base.get(key) != other.get(key))
    return [ParamDifference(key, base.get(key), other.get(key)) for key in keys]


def environment_differences(base: Mapping[str, StageRun], other: Mapping[str, StageRun]) -> list[EnvironmentDifference]:
    """What the stages ran on, as far as it differs: what is alike for several stages is told once."""
    stages: dict[tuple[str, Json, Json], list[str]] = {}
    for stage in (name for name in base if name in other):
        first, second = (dict(flat(asdict(runs[stage].environment))) for runs in (base, other))
        for key in sorted({*first, *second}):
            if first.get(key) != second.get(key):
                stages.setdefault((key, first.get(key), second.get(key)), []).append(stage)
    return [EnvironmentDifference(*difference, names) for difference, names in stages.items()]


def changed_examples(
    base: Predictions,
    other: Predictions,
    errors: tuple[Array, Array],
    texts: Mapping[str, Text],
    *,
    entities: bool,
) -> list[ChangedExample]:
    """The examples that one run has more right than the other, the largest changes first.

    `errors`: of the base and of the other, [examples]. `entities`: whether tags are entity tags.
    """
    change = errors[1] - errors[0]
    changed = np.flatnonzero(np.abs(change) > _SAME)
    largest_first = changed[np.argsort(-np.abs(change[changed]), kind="stable")]
    return [*_described(largest_first.tolist(), base, other, errors, texts, entities=entities)]


def _described(
    examples: Sequence[int],
    base: Predictions,
    other: Predictions,
    errors: tuple[Array, Array],
    texts: Mapping[str, Text],
    *,
    entities: bool,
) -> Iterator[ChangedExample]:
    for example in examples:
        rows = slice(int(base.start[example]), int(base.start[example + 1]))
        text = texts.get(base.ids[example])
        before, after = float(errors[0][example]), float(errors[1][example])
        yield ChangedExample(
            id=base.ids[example],
            change="fixed" if after < before else "broken",
            base_errors=before,
            other_errors=after,
            gold=_annotation(base, base.gold, rows, entities=entities),
            base=_annotation(base, base.predicted, rows, entities=entities),
            other=_annotation(other, other.predicted, rows, entities=entities),
            text=text.first if text else None,
            text_pair=text.second if text else None,
            tokens=base.tokens[rows],
        )


def _annotation(run: Predictions, column: pa.Array, rows: slice, *, entities: bool) -> Annotation:
    values = column[rows].to_pylist()
    if run.kind == "tokens":
        return Annotation(entities=decode(values)) if entities else Annotation(tags=values)
    if run.target == "labels":
        return Annotation(label=", ".join(values[0] or []))
    return Annotation(label=f"{values[0]:g}" if run.target == "number" else values[0])
