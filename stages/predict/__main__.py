"""`stagewright predict INPUT --out FILE`: label new data with an exported model.

INPUT: CSV, TSV, JSON Lines, JSON, Parquet, Arrow, CoNLL, a text file with one text a line, a folder of .txt files, or - for
standard input. FILE: .csv, .tsv, .jsonl or .parquet; for words also .conll, or --out-format doccano or label-studio.

Examples:
  stagewright predict reviews.csv --out labelled.csv                        its columns, label and score
  stagewright predict notes.txt --out spans.jsonl --model my-experiment     one text a line
  cat one.txt | stagewright predict - --out - --runtime torch --probabilities
"""

import argparse
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.configuration.kinds import labels_words
from stages.exporting.exported_files import ONNX, ONNX_INT8
from stages.pipeline.digests import sha256_of
from stages.pipeline.errors import ConfigError, DataError
from stages.pipeline.json_files import read_json
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.outputs import whole_file
from stages.predict.inputs import FORMATS, STANDARD_INPUT, InputOptions
from stages.predict.model_options import add_model_options, loaded, model_folder
from stages.predict.output_rows import OUTPUT_FORMATS, OutputOptions, output_format
from stages.predict.settings import read_settings

_STATUS_OF_SIGINT = 128 + signal.SIGINT
_MOST_TOLD = 5
"""The most skipped rows that are printed; the file lists all."""


class _SkippedRows:
    """The rows that can't be read, in their order."""

    def __init__(self) -> None:
        self.lines: dict[str, None] = {}

    def __call__(self, error: DataError) -> None:
        """Add a row. A reader may read it more than once."""
        self.lines.setdefault(str(error))

    def tell(self, out: Path) -> None:
        """Write a list of them beside the output, and print how many there are."""
        listed = out.with_name(f"{out.name}.skipped.txt")
        if not self.lines:
            listed.unlink(missing_ok=True)
            return
        where = ""
        if out != STANDARD_INPUT:
            with whole_file(listed) as partial:
                partial.write_text("".join(f"{line}\n" for line in self.lines), encoding="utf-8")
            where = f"; {listed} lists them"
        for line in [*self.lines][:_MOST_TOLD]:
            print(f"skipped: {line}", file=sys.stderr)
        print(f"{len(self.lines)} rows were skipped{where}", file=sys.stderr)


def main() -> None:
    """Run the command line."""
    arguments = parser().parse_args()
    try:
        with one_line_errors(), _as_options(), model_folder(arguments.model) as folder:
            _predict(arguments, folder)
    except KeyboardInterrupt:
        is_kept = STANDARD_INPUT not in (arguments.input, arguments.out)
        hint = "run the same command to continue" if is_kept else "run the same command to start again"
        print(f"interrupted; {hint}", file=sys.stderr)
        sys.exit(_STATUS_OF_SIGINT)


@contextmanager
def _as_options() -> Iterator[None]:
    """Replace keys of the configuration in the readers' errors by the options of this command."""
    try:
        yield
    except DataError as error:
        text = str(error)
        for key in ("encoding", "format", "text_column", "pair_column"):
            text = re.sub(rf"data\.{key}\b(=| to )?", f"--{key.replace('_', '-')} ", text)
        raise DataError(re.sub(r" +([;,)])", r"\1", text)) from error


def _predict(arguments: argparse.Namespace, folder: Path) -> None:
    settings, skipped = read_settings(folder), _SkippedRows()
    of_words = labels_words(settings.task.kind)
    output = _output_options(arguments, folder, of_words=of_words)
    if arguments.input != STANDARD_INPUT and not arguments.input.exists():
        raise DataError(
            f"{arguments.input}: there is no such file or folder; give one with texts, or - for standard input"
        )
    if arguments.input != STANDARD_INPUT and arguments.out.exists() and arguments.out.samefile(arguments.input):
        raise ConfigError(f"--out {arguments.out}: is the input; name another file")
    if arguments.pair_column is not None and settings.pairs is False:
        raise ConfigError(f"--pair-column {arguments.pair_column}: the model was not trained on pairs; leave it out")
    options = InputOptions(
        settings.task.kind,
        of_words,
        arguments.format,
        arguments.encoding,
        arguments.text_column,
        arguments.pair_column,
        skipped if arguments.on_error == "skip" else None,
        settings.pairs,
    )
    from stages.predict.job import Job  # importing PyTorch and transformers takes seconds

    predictor = loaded(folder, arguments)
    about = {
        "model": _digest(folder, predictor.runtime),
        "runtime": predictor.runtime,
        "precision": arguments.precision,
        "decode": predictor.task.config.decode,
    }
    try:
        rows = Job(arguments.input, arguments.out, options, output, about).run(predictor)
    finally:
        skipped.tell(arguments.out)
    if arguments.out != STANDARD_INPUT:
        print(f"{arguments.out}: {rows:,} rows, by {predictor.runtime}", file=sys.stderr)


def _output_options(arguments: argparse.Namespace, folder: Path, *, of_words: bool) -> OutputOptions:
    out: Path = arguments.out
    format = output_format(out if out != STANDARD_INPUT else Path("-.jsonl"), arguments.out_format, of_words=of_words)
    if format == "parquet" and out == STANDARD_INPUT:
        raise ConfigError("--out -: Parquet can't be written to standard output; name a file")
    labels = tuple(read_json(folder / "config.json").get("id2label", {}).values())
    return OutputOptions(format, labels, of_words, arguments.probabilities)


def _digest(folder: Path, runtime: str) -> str:
    """Return a digest of the model's files. Their names and sizes are the same after the model is trained again."""
    weights = {"onnx": ONNX, "int8": ONNX_INT8}.get(runtime)
    others = (file for file in sorted(folder.iterdir()) if file.suffix not in (".onnx", ".safetensors", ".md"))
    used = [folder / weights] if weights else sorted(folder.glob("*.safetensors"))
    return " ".join(sha256_of(file) for file in (*others, *used))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="stagewright predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("input", type=Path, help="the file or folder to label; - for standard input")
    made.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="the file to write the predictions to; - for standard output",
    )
    made.add_argument(
        "--format", choices=FORMATS, default="auto", help="the input's format; auto: detect it by name and content"
    )
    made.add_argument("--out-format", choices=OUTPUT_FORMATS, help="the output's format; default: by the name of FILE")
    made.add_argument("--encoding", default="utf-8", help="the input's encoding")
    made.add_argument(
        "--text-column", metavar="NAME", help="the column of texts or words (CoNLL: its position, from 0)"
    )
    made.add_argument(
        "--pair-column", metavar="NAME", help="the column of second texts, for a model that was trained on pairs"
    )
    made.add_argument("--probabilities", action="store_true", help="also write the probability of every label")
    made.add_argument(
        "--on-error",
        choices=["stop", "skip"],
        default="stop",
        help="skip: leave out rows that can't be read, and list them",
    )
    add_model_options(made)
    return made


if __name__ == "__main__":
    main()
