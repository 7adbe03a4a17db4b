"""Name labels: by the configuration, by the file, or by what stands in a cell."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from stages.configuration.schema import TabularData
from stages.pipeline.errors import DataError
from stages.sources.readers.decoding import read_blocks, read_lines
from stages.sources.readers.strict_json import NotJsonError, parse

UNLABELLED = "-1"
"""What some test splits have for 'no label'. It is a label only if train has it too, or `data.label_names` lists it."""

_INTEGER = re.compile(r"-?\d+")
_WHOLE = re.compile(r"(-?\d+)\.0+")
_BOOLEANS = frozenset({"True", "False", "TRUE", "FALSE"})


def is_integer(text: str) -> bool:
    """Whether a string denotes an integer."""
    return _INTEGER.fullmatch(text) is not None


def canonical_label(text: str) -> str:
    """Return a label as all formats have it: `True` as `true`, as JSON does, and `4.0` as `4`, since pandas writes either."""
    if text in _BOOLEANS:
        return text.lower()
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


@dataclass(frozen=True)
class LabelNames:
    """The names that labels may have, and what stands for each."""

    names: Sequence[str]
    """In the order of their codes."""
    are_indexed: bool = False
    """Whether integers are indices for sure, as the file's format has it. Else they are where no name is an integer itself."""
    by_value: Mapping[str, str] | None = None
    """The name that each value stands for, if a mapping gives them; no integer is an index then."""

    @property
    def take_integers_as_names(self) -> bool:
        """Whether integers are names, though each could be an index."""
        are_indices = self.are_indexed or all(name == str(code) for code, name in enumerate(self.names))
        return self.by_value is None and not are_indices and any(map(is_integer, self.names))

    def name_of(self, value: str, *, is_code: bool = False) -> str | None:
        """Return the name of what stands in a cell; None if there is none. `is_code`: the cell's type is of integers.

        What means 'no label' stays as it is.
        """
        if self.by_value is not None:
            found = self._by_value.get(canonical_label(value)) or self._by_name.get(canonical_label(value))
        elif is_code and not self.take_integers_as_names:
            found = self._at(value)
        else:
            found = value if value in self._by_name.values() else self._by_name.get(canonical_label(value))
            found = found or (None if self.take_integers_as_names else self._at(canonical_label(value)))
        return found or (UNLABELLED if canonical_label(value) == UNLABELLED else None)

    def is_index(self, value: str) -> bool:
        """Whether text is an integer that indexes the names."""
        return value not in self._by_name.values() and self.by_value is None and is_integer(canonical_label(value))

    def _at(self, code: str) -> str | None:
        return self.names[int(code)] if is_integer(code) and 0 <= int(code) < len(self.names) else None

    @cached_property
    def _by_name(self) -> Mapping[str, str]:
        return {canonical_label(name): name for name in self.names}

    @cached_property
    def _by_value(self) -> Mapping[str, str]:
        return {canonical_label(value): name for value, name in (self.by_value or {}).items()}


@dataclass
class LeftOut:
    """What is left out of a split, counted as it is read."""

    rows: int = 0
    first: str | None = None
    """The first row's place."""
    labels: set[str] = field(default_factory=set)
    """The ignored labels that were met."""


@dataclass(frozen=True)
class Naming:
    """How the labels of a column are read: the names that they may have, and which of them are ignored."""

    names: LabelNames | None = None
    """None: each label is its own name, as it stands in the file."""
    ignored: frozenset[str] = field(default_factory=frozenset)
    """Texts with one of these are left out. What has a name is ignored by its name."""
    left_out: LeftOut = field(default_factory=LeftOut)

    def is_ignored(self, value: str, name: str | None) -> bool:
        """Whether a label is ignored. `name`: None if it has none."""
        label = value if name is None else name
        return label in self.ignored or canonical_label(label) in self.ignored


def ignored_labels(config: TabularData) -> frozenset[str]:
    """Return the labels of `data.ignore_labels`, as all formats have them."""
    return frozenset(canonical_label(str(label)) for label in config.ignore_labels)


def configured_names(config: TabularData) -> LabelNames | None:
    """Return the names that `data.label_names` gives. Raises DataError for a name that occurs twice, or a faulty file."""
    given = config.label_names
    if isinstance(given, str):
        origin = f"data.label_names={given}"
        given = _read(Path(given), origin)
    else:
        origin = f"data.label_names={given}"
    if given is None:
        return None
    if isinstance(given, list):
        if len(set(given)) < len(given):
            raise DataError(f"{origin}: a label occurs twice; name each once")
        return LabelNames(given)
    values = [canonical_label(value) for value in given]
    if len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise DataError(f"{origin}: {twice} occurs twice; give each value one name")
    if all(map(is_integer, given.values())) and not any(map(is_integer, values)):
        name, value = next(iter(given.items()))
        raise DataError(f"{origin}: maps names to integers; write what each stands for, such as {{{value}: {name}}}")
    return LabelNames(list(dict.fromkeys(given.values())), by_value=given)


_PAIR = re.compile(r"(-?\d+)\s*(?::|\t|,)\s*(.+)")


def _read(path: Path, origin: str) -> list[str] | dict[str, str]:
    """Read names: one a line, or `0: neg` (`0<TAB>neg`, `0,neg`) on each, or JSON, an array of names or an object."""
    if not path.is_file():
        raise DataError(
            f"{origin}: there is no such file; give a file with one label per line, or a list such as [neg,pos]"
        )
    if path.suffix.lower() == ".json":
        return _read_json(path, origin)
    lines = [(number, line.strip()) for number, line in read_lines(path, str(path), "utf-8")]
    while lines and not lines[-1][1]:
        del lines[-1]
    if not lines:
        raise DataError(f"{origin}: is empty; write one name per line")
    for number, line in lines:
        if not line:
            raise DataError(
                f"{path}, line {number}: is empty, and names count from 0; name the label or remove the line"
            )
    pairs = [_PAIR.fullmatch(line) for _, line in lines]
    if not any(pairs):
        return [line for _, line in lines]
    found: dict[str, str] = {}
    for (number, line), pair in zip(lines, pairs, strict=True):
        if pair is None:
            raise DataError(
                f"{path}, line {number}: {line[:40]!r} has no integer and name, unlike other lines; give all lines the same form"
            )
        if pair[1] in found:
            raise DataError(f"{path}, line {number}: {pair[1]} has a name already; give each value one")
        found[pair[1]] = pair[2]
    return found


def _read_json(path: Path, origin: str) -> list[str] | dict[str, str]:
    try:
        value = parse("".join(read_blocks(path, str(path), "utf-8")))
    except NotJsonError as error:
        raise DataError(f"{origin}: is not JSON ({error})") from error
    names = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise DataError(f'{origin}: expected an array of names, or an object such as {{"0": "neg"}}')
    return value if isinstance(value, dict) else names
