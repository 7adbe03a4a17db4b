"""Texts and pairs of texts as rows, each with what the text is labelled with: one label, several, or a number."""

from collections.abc import Iterator, Mapping, Sequence

from datasets import Dataset, Features, List, Value

from stages.columns.names import EXAMPLE, INPUT_IDS, LABEL, LABELS, SECOND_TEXT, SUBWORDS, TEXT, TOKEN_TYPES
from stages.configuration.schema import TokenizeConfig
from stages.tasks.encoding.subwords import Ids, SubwordEncoder, Types
from stages.tasks.encoding.windows import effective_stride, window_starts, windows


class TextEncoding:
    """One row a text or pair, or a row a window where it is longer than one."""

    takes = (TEXT, LABEL)
    pretokenized = False

    def features(self, raw: Features, encoder: SubwordEncoder) -> Features:
        """Return `example`, `subwords`, `input_ids`, `labels` and, where the tokenizer gives any but 0, `token_type_ids`.

        Labels are as in `raw`, but numbers are in float32, as models compute.
        """
        label = raw[LABEL]
        return Features({
            EXAMPLE: Value("int32"),
            SUBWORDS: Value("int32"),
            INPUT_IDS: List(Value("int32")),
            LABELS: Value("float32") if isinstance(label, Value) else label,
            **token_type_features(raw, encoder),
        })  # fmt: skip

    def encode(
        self, raw: Dataset, encoder: SubwordEncoder, config: TokenizeConfig, *, first_example: int
    ) -> Mapping[str, Sequence[object]]:
        """Return one row a text or pair, or a row a window if `overflow` is `windows`."""
        encoded = _pairs(raw, encoder, config) if SECOND_TEXT in raw.column_names else _texts(raw, encoder, config)
        rows: dict[str, list[object]] = {EXAMPLE: [], SUBWORDS: [], INPUT_IDS: [], TOKEN_TYPES: [], LABELS: []}
        for example, ((subwords, windows_of_one), label) in enumerate(
            zip(encoded, raw[LABEL][:], strict=True), first_example
        ):
            for ids, types in windows_of_one:
                rows[EXAMPLE].append(example)
                rows[SUBWORDS].append(subwords)
                rows[INPUT_IDS].append(ids)
                rows[TOKEN_TYPES].append(types)
                rows[LABELS].append(label)
        return rows


_Encoded = tuple[int, list[tuple[Ids, Types]]]
"""How many sub-words an example has, and for each of its rows the sub-words and token types."""


def _texts(raw: Dataset, encoder: SubwordEncoder, config: TokenizeConfig) -> Iterator[_Encoded]:
    template = encoder.template
    for ids in encoder.encode_texts(raw[TEXT][:]):
        parts = [ids[window] for window in _windows(ids, encoder, config)]
        yield len(ids) + template.specials, [encoder.row(template, part) for part in parts]


def _windows(ids: Ids, encoder: SubwordEncoder, config: TokenizeConfig) -> list[slice]:
    if config.overflow == "truncate":
        return [slice(0, encoder.capacity)]
    return windows(len(ids), encoder, effective_stride(config.stride, encoder))


def _pairs(raw: Dataset, encoder: SubwordEncoder, config: TokenizeConfig) -> Iterator[_Encoded]:
    specials = encoder.pair_template.specials
    first, second = (encoder.encode_texts(raw[column][:]) for column in (TEXT, SECOND_TEXT))
    for a, b in zip(first, second, strict=True):
        yield len(a) + len(b) + specials, [*pair_rows(a, b, encoder, config)]


Parts = tuple[slice, slice]
"""What of the first text and what of the second goes into a row."""


def token_type_features(raw: Features, encoder: SubwordEncoder) -> Features:
    """Return the column of token types if the tokenizer gives rows of `raw` any but 0."""
    template = encoder.pair_template if SECOND_TEXT in raw else encoder.template
    return Features({TOKEN_TYPES: List(Value("int8"))} if template.has_types else {})


def pair_rows(first: Ids, second: Ids, encoder: SubwordEncoder, config: TokenizeConfig) -> Iterator[tuple[Ids, Types]]:
    """Yield the sub-words and token types of each row of a pair."""
    template = encoder.pair_template
    capacity = encoder.max_length - template.specials
    if config.overflow == "truncate":
        parts = [truncated(len(first), len(second), capacity)]
    else:
        parts = windowed(len(first), len(second), capacity, effective_stride(config.stride, encoder))
    for of_first, of_second in parts:
        a, b = first[of_first], second[of_second]
        yield encoder.row(template, a, b)


def truncated(first: int, second: int, capacity: int) -> Parts:
    """Cut a pair to fit: the longer text until both are equally long, then both (`longest_first`).

    Of an odd capacity the longer text gets one more, the second where they are equal, as in the tokenizers library.
    """
    if first + second <= capacity:
        return slice(0, first), slice(0, second)
    shorter = min(first, second, capacity // 2)
    longer = capacity - shorter
    kept = (longer, shorter) if first > second else (shorter, longer)
    return slice(0, kept[0]), slice(0, kept[1])


def windowed(first: int, second: int, capacity: int, stride: int) -> list[Parts]:
    """Slide windows over the longer text of a pair; every row holds the shorter one whole.

    A shorter text that would fill more than half of a row is cut to that half; of two equally long ones, the first is
    the shorter. Windows share `stride` sub-words, but at most half of what a row has left for them.
    """
    kept = min(first, second)
    if first + second > capacity:
        kept = min(kept, capacity // 2)
    room = capacity - kept
    starts = window_starts(max(first, second), room, min(stride, room // 2))
    sliding = [slice(start, start + room) for start in starts]
    return [(slice(0, kept), each) if first <= second else (each, slice(0, kept)) for each in sliding]
