"""`python -m stages.scoring.score GOLD PREDICTIONS`: scores with 95 % intervals of any system's predictions.

Files are CoNLL (the word first, the tag last; or one file with gold and predicted tags in its last two columns, as for
conlleval), or Parquet: a predictions file of this project, or columns `id`, `gold` and `predicted` (or `label`).
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from stages.comparison.layout import fitted
from stages.configuration.schema import EntityScheme, ScoringMode
from stages.pipeline.errors import ConfigError
from stages.pipeline.json_files import printable, rounded
from stages.pipeline.one_line import one_line_errors
from stages.scoring.final.resampling import RESAMPLES, Interval
from stages.scoring.final.scores import EntityDetails, FinalScores
from stages.scoring.final.scoring import ScoringOptions, score_predictions
from stages.scoring.headline.scores import LabelScore, LabelScores, MultiLabelScores
from stages.scoring.score_files import Columns, read_pair

_NAME = 26
"""Characters of a label's name that the table shows."""


def table(scores: FinalScores) -> str:
    """The scores as text, at most 80 columns wide."""
    return "\n".join([*_headline(scores), *_labels(scores), *_errors(scores), *_slices(scores)])


def _json(scores: FinalScores) -> str:
    return json.dumps(printable(rounded(scores.to_json())), indent=2, ensure_ascii=False)


def _headline(scores: FinalScores) -> Iterator[str]:
    values = {name: value for name, value in scores.scores.to_json().items() if isinstance(value, float)}
    undefined = [name for name, value in scores.headline_json().items() if value is None and name in scores.intervals]
    for name in [*values, *undefined]:
        yield f"{name:{_NAME}}{_number(values.get(name))}{_bounds(scores.intervals.get(name))}"


def _labels(scores: FinalScores) -> Iterator[str]:
    if not scores.per_label:
        return
    yield f"\n{'':{_NAME}}{'precision':>12}{'recall':>12}{'f1':>12}{'support':>12}"
    for name, score in scores.per_label.items():
        yield _row(name, score)
    support = sum(score.support for score in scores.per_label.values())
    for name, average in _averages(scores).items():
        yield _row(name, LabelScore(**average, support=support))


def _averages(scores: FinalScores) -> Mapping[str, dict[str, float]]:
    inner = scores.scores
    if isinstance(inner, MultiLabelScores):
        return {f"({name})": asdict(getattr(inner, name)) for name in ("micro", "macro", "weighted")}
    assert isinstance(inner, LabelScores)
    averages = {"(macro)": asdict(inner.macro), "(weighted)": asdict(inner.weighted)}
    if not isinstance(inner.details, EntityDetails):
        return averages
    others = {f"(micro, {name})": asdict(average) for name, average in inner.details.other_readings.items()}
    return {"(micro)": asdict(inner.headline), **averages, **others}


def _errors(scores: FinalScores) -> Iterator[str]:
    details = scores.scores.details if isinstance(scores.scores, LabelScores) else None
    if isinstance(details, EntityDetails):
        yield ""
        for name, count in asdict(details.errors).items():
            yield f"{name.replace('_', ' '):{_NAME}}{count:12}"


def _slices(scores: FinalScores) -> Iterator[str]:
    """The last of each part's scores, which is the one that has an interval."""
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


def _columns(text: str | None, *, one_file: bool) -> Columns:
    """`WORD,TAG` of the gold file, or `WORD,GOLD,PREDICTED` of one file."""
    if text is None:
        return Columns()
    wanted = 3 if one_file else 2
    try:
        places = [int(place) for place in text.split(",")]
    except ValueError:
        places = []
    if len(places) != wanted:
        names = "WORD,GOLD,PREDICTED" if one_file else "WORD,TAG"
        raise ConfigError(
            f"--columns {text}: give {names} as {wanted} places, counted from 0, or from the end if negative"
        )
    return Columns(*places)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m stages.scoring.score",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("gold", type=Path, help="the gold file, or one with both gold and predictions")
    parser.add_argument("predictions", type=Path, nargs="?", help="the predictions, in the order of the gold file")
    parser.add_argument("--mode", choices=get_args(ScoringMode), default="conll", help="how entities are read off tags")
    parser.add_argument(
        "--scheme",
        choices=["auto", *get_args(EntityScheme), "plain"],
        default="auto",
        help="the scheme of strict scores; plain: tags are labels, without entities",
    )
    parser.add_argument(
        "--columns", help="CoNLL: WORD,TAG of the gold file (0,-1); for one file WORD,GOLD,PREDICTED (0,-2,-1)"
    )
    parser.add_argument("--resamples", type=int, default=RESAMPLES, help="for the intervals; 0: none")
    parser.add_argument(
        "--slice",
        action="append",
        default=[],
        metavar="COLUMN",
        help="score each value of this column of a Parquet predictions file by itself, too; also: label, length (tokens)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


def main() -> None:
    """The command line."""
    arguments = _arguments()
    with one_line_errors():
        columns = _columns(arguments.columns, one_file=arguments.predictions is None)
        options = ScoringOptions(arguments.mode, arguments.scheme, max(0, arguments.resamples), arguments.slice)
        scores = score_predictions(read_pair(arguments.gold, arguments.predictions, columns), options)
        print(_json(scores) if arguments.json else table(scores))


if __name__ == "__main__":
    main()
