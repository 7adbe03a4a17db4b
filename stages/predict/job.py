"""Predict an input chunk by chunk, in constant memory. A killed run continues where it ended.

The predictions of each chunk are a file in `OUT.partial/`. The output is written once all are there.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm  # type: ignore[import-untyped]

from stages.pipeline.digests import files_below, sha256_of
from stages.pipeline.errors import DataError, OutputError, first_line
from stages.pipeline.lock import hold
from stages.pipeline.outputs import output_errors, whole_file, write_text
from stages.predict.inputs import STANDARD_INPUT, InputOptions, Inputs, listed, read_inputs
from stages.predict.output_rows import OutputOptions, as_bytes, closing
from stages.predict.predictor import Predictor
from stages.sources.readers.table_file import Column

_ROWS, _CHARACTERS = 1 << 13, 1 << 25
"""A chunk ends at so many rows, or when its texts have so many characters."""
_JOB = "job.json"


@dataclass
class Job:
    """An input, and where its predictions go."""

    input: Path
    out: Path
    options: InputOptions
    output: OutputOptions
    about: dict[str, Any] = field(default_factory=dict)
    """What else the predictions depend on. A partial output of another job is not continued."""
    _schema: pa.Schema | None = field(default=None, init=False)
    """The columns of all chunks so far, for Parquet."""

    def run(self, predictor: Predictor) -> int:
        """Predict the input and return the number of rows. Raises DataError, or OutputError if the output can't be written."""
        chunks = enumerate(chunks_of(read_inputs(self.input, self.options)))
        with tqdm(unit=" rows", disable=not sys.stderr.isatty()) as bar:
            if self.out == STANDARD_INPUT:
                return self._stream(chunks, predictor, bar)
            return self._write(chunks, predictor, bar)

    def _stream(self, chunks: Iterable[tuple[int, Inputs]], predictor: Predictor, bar: Any) -> int:
        rows = 0
        for number, inputs in chunks:
            sys.stdout.buffer.write(self._predicted(inputs, predictor, number))
            bar.update(len(inputs.places))
            rows += len(inputs.places)
        sys.stdout.buffer.write(closing(self.output))
        return rows

    def _write(self, chunks: Iterable[tuple[int, Inputs]], predictor: Predictor, bar: Any) -> int:
        rows = 0
        with parts_of(self.out, self._key()) as parts:
            for number, inputs in chunks:
                if not parts.has(number):
                    parts.add(number, self._predicted(inputs, predictor, number))
                elif self.output.format == "parquet":
                    self._require_equal_types(parts.schema(number), inputs)
                bar.update(len(inputs.places))
                rows += len(inputs.places)
            parts.finish(self.output)
        return rows

    def _predicted(self, inputs: Inputs, predictor: Predictor, number: int) -> bytes:
        if predictor.takes_words:
            assert inputs.words is not None
            table = predictor.label_words(inputs.words)
        else:
            assert inputs.texts is not None
            table = predictor.label_texts(inputs.texts, inputs.pairs)
        predictions = as_bytes(inputs, table, self.output, is_first=number == 0)
        if self.output.format == "parquet":
            self._require_equal_types(pq.read_schema(pa.BufferReader(predictions)), inputs)
        return predictions

    def _require_equal_types(self, schema: pa.Schema, inputs: Inputs) -> None:
        """Raise DataError if a column has another type than in the rows before it, before the other chunks are computed."""
        try:
            self._schema = pa.unify_schemas([self._schema or schema, schema], promote_options="permissive")
        except pa.ArrowException as error:
            raise DataError(
                f"{inputs.places[0]}, or a later row: {first_line(error)}; a column of Parquet has one type: choose "
                "--out-format jsonl"
            ) from error

    def _key(self) -> str:
        """Return a digest of the input and of all that its predictions depend on; an empty text for standard input."""
        if self.input == STANDARD_INPUT:
            return ""
        inside = (file for file in files_below(self.input) if _folder_of(self.out) not in file.parents)
        files = sorted(inside) if self.input.is_dir() else [self.input]
        state = [(str(file.absolute()), sha256_of(file)) for file in files]
        options = {name: value for name, value in vars(self.options).items() if name != "refuse"}
        content = json.dumps([state, options, vars(self.output), self.about], default=str, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


@contextmanager
def parts_of(out: Path, key: str) -> Iterator["Parts"]:
    """Yield the parts of the job with this key, and hold a lock on them.

    Raises OutputError if `out` can't be written, and BusyError if another run writes it.
    """
    if out.is_dir():
        raise OutputError(f"{out}: is a folder; name a file")
    with output_errors(out):
        try:
            _folder_of(out).mkdir(parents=True, exist_ok=True)
        except (NotADirectoryError, FileNotFoundError, FileExistsError) as error:
            raise OutputError(f"{out}: its folder can't be made ({error.strerror}); name another") from error
        with hold(_folder_of(out) / "lock", f"predict {out.name}"):
            parts = Parts(out)
            parts.keep_only(key)
            try:
                yield parts
            except BaseException as error:
                # standard input can't be read again, and corrected input is another job
                if not key or isinstance(error, DataError):
                    shutil.rmtree(_folder_of(out))
                raise


def _folder_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.partial")


class Parts:
    """The predictions of the chunks that are done, a file each."""

    def __init__(self, out: Path) -> None:
        """`out`: the output file that the parts are joined to."""
        self._out, self._folder = out, _folder_of(out)

    def keep_only(self, key: str) -> None:
        """Remove all parts unless they belong to the job with this key."""
        if not key or self._stored_key() != key:
            for part in self._folder.glob("*.part"):
                part.unlink()
            write_text(self._folder / _JOB, json.dumps({"key": key, "partial output of": self._out.name}) + "\n")

    def _stored_key(self) -> str | None:
        try:
            key: str | None = json.loads((self._folder / _JOB).read_text(encoding="utf-8")).get("key")
        except (OSError, ValueError, AttributeError):
            return None
        return key

    def has(self, number: int) -> bool:
        """Return whether the predictions of a chunk are there."""
        return self._part(number).is_file()

    def schema(self, number: int) -> pa.Schema:
        """Return the columns of a chunk's predictions, which are Parquet."""
        return pq.read_schema(self._part(number))

    def add(self, number: int, predictions: bytes) -> None:
        """Write a chunk's predictions, whole."""
        with whole_file(self._part(number)) as partial:
            partial.write_bytes(predictions)

    def finish(self, output: OutputOptions) -> None:
        """Join all parts to the output, and remove them."""
        parts = sorted(self._folder.glob("*.part"))
        with whole_file(self._out) as whole:
            if output.format == "parquet":
                _join_parquet(parts, whole)
            else:
                with whole.open("wb") as file:
                    for part in parts:
                        with part.open("rb") as opened:
                            shutil.copyfileobj(opened, file)
                    file.write(closing(output))
        shutil.rmtree(self._folder)

    def _part(self, number: int) -> Path:
        return self._folder / f"{number:06d}.part"


def _join_parquet(parts: Sequence[Path], whole: Path) -> None:
    """Join Parquet files. A column that holds nothing in one part has the type that it has in the others."""
    schema = pa.unify_schemas([pq.read_schema(part) for part in parts], promote_options="permissive")
    with pq.ParquetWriter(whole, schema) as writer:
        for part in parts:
            writer.write_table(pq.read_table(part).cast(schema))


def chunks_of(batches: Iterable[Inputs]) -> Iterator[Inputs]:
    """Join batches of rows into chunks."""
    gathered, rows, characters = list[Inputs](), 0, 0
    for batch in batches:
        gathered.append(batch)
        rows += len(batch.places)
        characters += sum(map(len, batch.texts or ()))
        if rows >= _ROWS or characters >= _CHARACTERS:
            yield _joined(gathered)
            gathered, rows, characters = [], 0, 0
    if rows:
        yield _joined(gathered)


def _joined(batches: list[Inputs]) -> Inputs:
    def all_of(name: str) -> Any:
        parts = [getattr(batch, name) for batch in batches]
        return None if parts[0] is None else list(chain.from_iterable(parts))

    def column(name: str) -> Column:
        parts = [batch.own[name] for batch in batches]
        are_arrays = all(isinstance(part, pa.Array) for part in parts)
        return pa.concat_arrays(parts) if are_arrays else list(chain.from_iterable(map(listed, parts)))

    own = {name: column(name) for name in batches[0].own}
    return Inputs(own, *(all_of(name) for name in ("places", "texts", "pairs", "words", "spans", "lines")))
