"""Read texts with their labels before them, one a line: fastText's and TREC's files."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from stages.pipeline.errors import DataError
from stages.sources.readers.decoding import read_lines
from stages.sources.readers.table_file import ReadOptions, Rows, TableFile, in_batches

FASTTEXT_LABEL = "__label__"


def begins_like_fasttext(path: Path, name: str, encoding: str) -> bool:
    """Whether the first line that is not blank begins with a label."""
    return any(line.lstrip().startswith(FASTTEXT_LABEL) for _, line in islice(_lines(path, name, encoding), 1))


def open_fasttext(path: Path, name: str, options: ReadOptions) -> TableFile:
    """Open fastText's training data: columns `text` and `label`.

    Every part of a line, between white space, that begins with `__label__` is one of its labels; the rest is its text. For
    `target=labels` a line may have any number of labels, else exactly one. Raises DataError naming file and line.
    """

    def rows() -> Iterator[tuple[int, dict[str, object]]]:
        for number, line in _lines(path, name, options.encoding):
            labels, text = _parted(line)
            if "" in labels:
                raise DataError(
                    f"{name}, line {number}: has {FASTTEXT_LABEL} without a name; write {FASTTEXT_LABEL}NAME"
                )
            if not options.takes_several_labels and len(labels) != 1:
                has = f"{len(labels)} labels" if labels else "no label"
                raise DataError(
                    f"{name}, line {number}: has {has} ({FASTTEXT_LABEL}…); give each line one, or choose task=multilabel for "
                    "any number"
                )
            yield number, {"text": text, "label": labels if options.takes_several_labels else labels[0]}

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        return in_batches(rows(), wanted)

    return TableFile(path, name, "line", ("text", "label"), read)


def _parted(line: str) -> tuple[list[str], str]:
    """Return the labels of a line, and its text. White space in the text stays unless a label stands between."""
    labels: list[str] = []
    rest = line.strip()
    while rest.startswith(FASTTEXT_LABEL):
        label, *others = rest.split(None, 1)
        labels.append(label.removeprefix(FASTTEXT_LABEL))
        rest = others[0] if others else ""
    if f" {FASTTEXT_LABEL}" not in rest and f"\t{FASTTEXT_LABEL}" not in rest:
        return labels, rest
    parts = rest.split()
    labels += [part.removeprefix(FASTTEXT_LABEL) for part in parts if part.startswith(FASTTEXT_LABEL)]
    return labels, " ".join(part for part in parts if not part.startswith(FASTTEXT_LABEL))


def open_trec(path: Path, name: str, options: ReadOptions) -> TableFile:
    """Open questions in TREC's form, `LABEL text` or `LABEL:fine text`: columns `text`, `label` and `fine`.

    `fine` holds both labels, since TREC's fine ones repeat below different coarse ones. Without them there is no such column.
    Raises DataError naming file and line.
    """
    first = next(_lines(path, name, options.encoding), None)
    if first is None:
        raise DataError(f"{name}: is empty; give a file with rows, or leave it out")
    is_fine = ":" in first[1].split(None, 1)[0]

    def rows() -> Iterator[tuple[int, dict[str, object]]]:
        for number, line in _lines(path, name, options.encoding):
            label, *rest = line.split(None, 1)
            text = "".join(rest).strip()
            coarse, colon, _ = label.partition(":")
            if not text or not coarse or bool(colon) != is_fine:
                expected = "LABEL:fine text" if is_fine else "LABEL text"
                raise DataError(
                    f"{name}, line {number}: expected {expected}, as the first line has it; got {line[:80]!r}"
                )
            yield number, {"text": text, "label": coarse, "fine": label}

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        return in_batches(rows(), wanted)

    return TableFile(path, name, "line", ("text", "label", "fine") if is_fine else ("text", "label"), read)


def _lines(path: Path, name: str, encoding: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank."""
    for number, line in read_lines(path, name, encoding):
        if line.strip():
            yield number, line.removesuffix("\r")
