"""`stagewright score GOLD PREDICTIONS`: scores with 95 % intervals of any system's predictions.

Examples:
  stagewright score gold.conll predicted.conll              entities, as conlleval and seqeval count them
  stagewright score gold.csv predicted.txt --json           labels of texts, one a line
  stagewright score gold.conll predicted.conll --out scored.parquet && stagewright compare scored.parquet other.parquet
"""

import argparse
import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import pyarrow.parquet as pq

from stages.configuration.schema import EntityScheme, ScoringMode
from stages.pipeline.escaping import fitted, visible
from stages.pipeline.json_files import printable, rounded
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.outputs import whole_file
from stages.scoring.core.scores import Average, LabelScore
from stages.scoring.evaluation.final_scores import FinalScores
from stages.scoring.evaluation.resampling import RESAMPLES, Interval
from stages.scoring.evaluation.scoring import ScoringOptions, score_predictions
from stages.systems.joining import Joined, read_pair, with_ids
from stages.systems.reading_options import FORMATS, add_reading_options, columns_of

_WIDTH = 80
_NAME = 26
"""Characters of a label's name that the table shows."""


def table(scores: FinalScores) -> str:
    """Return the scores as text, at most 80 columns wide."""
    notes = [line for note in scores.notes for line in ("", *textwrap.wrap(f"note: {visible(note)}", _WIDTH))]
    return "\n".join([*_headline(scores), *_labels(scores), *_errors(scores), *_slices(scores), *notes])


def _json(scores: FinalScores, joined: Joined) -> str:
    counts = {"rows": joined.table.num_rows, "sentences": joined.sentences, "different_words": joined.different_words}
    return json.dumps(printable(rounded({**scores.to_json(), **counts})), indent=2, ensure_ascii=False)


def _headline(scores: FinalScores) -> Iterator[str]:
    values = {**scores.headline_json(), **scores.more}
    for name, value in values.items():
        if value is not None or name in scores.intervals:
            yield f"{name:{_NAME}}{_number(value)}{_bounds(scores.intervals.get(name))}"


def _labels(scores: FinalScores) -> Iterator[str]:
    if not scores.per_label:
        return
    yield f"\n{'':{_NAME}}{'precision':>12}{'recall':>12}{'f1':>12}{'support':>12}"
    for name, score in scores.per_label.items():
        yield _row(name, score)
    support = sum(score.support for score in scores.per_label.values())
    for name, average in _averages(scores).items():
        yield _row(f"({name})", LabelScore(**asdict(average), support=support))


def _averages(scores: FinalScores) -> Mapping[str, Average]:
    averages = dict(scores.scores.averages)
    if scores.entities is None:
        return averages
    micro = Average(*(scores.headline_json()[name] or 0.0 for name in ("precision", "recall", "f1")))
    others = {f"micro, {name}": average for name, average in scores.entities.other_readings.items()}
    by_argmax = {f"micro, argmax, {name}": average for name, average in scores.entities.argmax.items()}
    return {"micro": micro, **averages, **others, **by_argmax}


def _errors(scores: FinalScores) -> Iterator[str]:
    if scores.entities is not None:
        yield ""
        for name, count in asdict(scores.entities.errors).items():
            yield f"{name.replace('_', ' '):{_NAME}}{count:12}"


def _slices(scores: FinalScores) -> Iterator[str]:
    """Yield the table of each slicing, with the last score of each part, which has an interval."""
    for by, parts in scores.slices.items():
        metric = list(next(iter(parts.values())).scores)[-1]
        yield f"\n{fitted(f'{metric} by {by}', _NAME)}{'':>12}{'examples':>12}"
        for name, part in parts.items():
            value = _number(part.scores[metric])
            yield f"{fitted(name, _NAME)}{value}{part.support:12}{_bounds(part.interval)}"


def _row(name: str, score: LabelScore) -> str:
    numbers = "".join(_number(value) for value in (score.precision, score.recall, score.f1))
    return f"{fitted(name, _NAME)}{numbers}{score.support:12}"


def _number(value: float | None) -> str:
    return f"{'-':>12}" if value is None else f"{value:12.4f}"


def _bounds(interval: Interval | None) -> str:
    return "" if interval is None else f"  [{interval.low:.4f}, {interval.high:.4f}]"


def _notes(joined: Joined) -> Iterator[str]:
    """Yield what was scored, in words."""
    rows = joined.table.num_rows
    if joined.sentences is None:
        yield f"\n{rows:,} {_plural('example', rows)}"
    else:
        yield f"\n{joined.sentences:,} {_plural('sentence', joined.sentences)}, {rows:,} {_plural('word', rows)}"
    if joined.note:
        yield joined.note


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="stagewright score",
        description=f"{__doc__}\n\n{FORMATS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("gold", type=Path, help="the gold file, or one with both gold and predictions")
    made.add_argument("predictions", type=Path, nargs="?", help="the predictions of the same texts or words")
    add_reading_options(made)
    made.add_argument("--mode", choices=get_args(ScoringMode), default="conll", help="how entities are read from tags")
    made.add_argument(
        "--scheme",
        choices=["auto", *get_args(EntityScheme), "plain"],
        default="auto",
        help="the tag scheme of strict scores; plain: tags are labels, without entities",
    )
    made.add_argument("--metric", help="a metric to show beside the usual ones, with an interval")
    made.add_argument(
        "--resamples", type=int, default=RESAMPLES, help="bootstrap resamples for the intervals; 0: no intervals"
    )
    made.add_argument(
        "--slice",
        action="append",
        default=[],
        metavar="COLUMN",
        help="also score each value of this column separately; label and length (tokens) work too",
    )
    made.add_argument("--json", action="store_true", help="print JSON instead of a table")
    made.add_argument(
        "--out", type=Path, metavar="FILE.parquet", help="write what was scored, for `stagewright compare`"
    )
    return made


def main() -> None:
    """Run the command line."""
    arguments = parser().parse_args()
    with one_line_errors():
        resamples = max(0, arguments.resamples)
        options = ScoringOptions(arguments.mode, arguments.scheme, resamples, arguments.slice, arguments.metric)
        columns = columns_of(arguments)
        joined = read_pair(arguments.gold, arguments.predictions, columns, ignore_words=arguments.ignore_words)
        scores = score_predictions(joined.table, options)
        if arguments.out is not None:
            with whole_file(arguments.out) as partial:
                pq.write_table(with_ids([joined.table])[0], partial)
        print(_json(scores, joined) if arguments.json else "\n".join([table(scores), *_notes(joined)]))


if __name__ == "__main__":
    main()
