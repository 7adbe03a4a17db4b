"""Long examples become overlapping windows and are put together again, so that nothing goes unscored.

Truncation would cut gold and prediction alike, and F1 would go up.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.columns.names import EXAMPLE, INPUT_IDS, LABELS, WORDS
from stages.configuration.schema import TokenizeConfig
from stages.pipeline.errors import ModelError
from stages.tasks.encoding.encodings import encoding_for
from stages.tasks.encoding.subwords import SubwordEncoder
from stages.tasks.encoding.windows import cut, window_starts
from stages.tasks.tokens_task import most_context
from tests.support.tiny import write_tiny_tokenizer
from tests.support.tokenized import task_of

TAGS = ["O", "B-x", "I-x"]
CLASSES = ["no", "yes"]

shapes = st.integers(1, 40).flatmap(lambda capacity: st.tuples(st.just(capacity), st.integers(0, capacity - 1)))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tiny_tokenizer(folder)
    return folder


def tokens_split(*lengths: int) -> Dataset:
    """Sentences of so many words, each of three sub-words, their tags in turn."""
    features = Features({"id": Value("string"), "tokens": List(Value("string")), "tags": List(ClassLabel(names=TAGS))})
    columns = {
        "id": [str(row) for row in range(len(lengths))],
        "tokens": [["xyz"] * length for length in lengths],
        "tags": [[place % len(TAGS) for place in range(length)] for length in lengths],
    }
    return Dataset(pa.table(columns, schema=features.arrow_schema))


def text_split(*texts: str) -> Dataset:
    features = Features({"id": Value("string"), "text": Value("string"), "label": ClassLabel(names=CLASSES)})
    columns = {
        "id": [str(row) for row in range(len(texts))],
        "text": texts,
        "label": [row % 2 for row in range(len(texts))],
    }
    return Dataset(pa.table(columns, schema=features.arrow_schema))


def tokenized_split(raw: Dataset, tokenizer: Path, config: TokenizeConfig) -> Dataset:
    encoding = encoding_for("tokens" if "tokens" in raw.column_names else "text")
    encoder = SubwordEncoder(tokenizer, config.max_length)
    columns = encoding.encode(raw, encoder, config, first_example=0)
    return Dataset(pa.table(columns, schema=encoding.features(raw.features, encoder).arrow_schema))


@given(length=st.integers(0, 300), shape=shapes)
def test_windows_cover_everything_in_full_rows_that_overlap(length: int, shape: tuple[int, int]) -> None:
    capacity, stride = shape
    starts = window_starts(length, capacity, stride)
    assert starts[0] == 0
    assert starts[-1] + capacity >= length
    if length <= capacity:
        assert len(starts) == 1
    else:
        assert starts[-1] + capacity == length  # no window hangs over the end: all are full
        steps = np.diff(starts)
        assert (steps > 0).all()
        assert (steps <= capacity - stride).all()  # neighbours share at least `stride`


@given(length=st.integers(0, 300), shape=shapes)
def test_there_are_no_more_windows_than_the_stride_asks_for(length: int, shape: tuple[int, int]) -> None:
    capacity, stride = shape
    beyond_the_first = max(0, length - capacity)
    assert len(window_starts(length, capacity, stride)) == 1 + -(-beyond_the_first // (capacity - stride))


@given(lengths=st.lists(st.integers(0, 100), max_size=8), max_length=st.integers(8, 30), data=st.data())
def test_many_examples_are_cut_as_each_by_itself(
    lengths: list[int], max_length: int, data: st.DataObject, tokenizer: Path
) -> None:
    encoder = SubwordEncoder(tokenizer, max_length)
    stride = data.draw(st.integers(0, min(max_length // 2, encoder.capacity - 1)))
    found = cut(np.array(lengths, np.int64), encoder, stride)
    assert list(zip(found.example, found.start, found.length, strict=True)) == [
        (example, start, min(length, encoder.capacity))
        for example, length in enumerate(lengths)
        for start in window_starts(length, encoder.capacity, stride)
    ]


readings = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=40)


@given(readings)
def test_the_reading_with_most_context_is_chosen_for_each_word(found: list[tuple[int, int, int]]) -> None:
    example, word, context = (np.array(column) for column in zip(*found, strict=True))
    chosen = most_context(example, word, context).tolist()
    assert [found[index][:2] for index in chosen] == sorted({reading[:2] for reading in found})
    for index in chosen:
        rivals = [place for place, reading in enumerate(found) if reading[:2] == found[index][:2]]
        best = max(found[place][2] for place in rivals)
        assert index == next(place for place in rivals if found[place][2] == best)


@settings(max_examples=50)
@given(lengths=st.lists(st.integers(0, 40), min_size=1, max_size=4), max_length=st.integers(8, 30), data=st.data())
def test_every_word_of_a_sentence_longer_than_a_row_is_read_once(
    lengths: list[int], max_length: int, data: st.DataObject, tokenizer: Path
) -> None:
    stride = data.draw(st.integers(0, min(max_length // 2, max_length - 3)))
    raw, decoding = tokens_split(*lengths), task_of("tokens")
    tokenized = tokenized_split(raw, tokenizer, TokenizeConfig(max_length, "windows", stride, "first"))
    units = decoding.decode(tokenized, context_readings(tokenized))
    gold = decoding.raw_gold(raw)
    assert units.example.tolist() == gold.example.tolist()
    assert units.word.tolist() == [word for length in lengths for word in range(length)]
    assert decoding.tokenized_gold(tokenized).label.tolist() == gold.label.tolist()


def context_readings(tokenized: Dataset) -> np.ndarray:
    """For each reading, in place of logits: how far it is from its row's nearer edge."""
    return np.array(
        [
            [min(place, len(words) - 1 - place)] * len(TAGS)
            for words in tokenized[WORDS]
            for place, word in enumerate(words)
            if word >= 0
        ],
        np.float32,
    ).reshape(-1, len(TAGS))


def test_a_word_in_two_windows_is_read_where_it_has_most_context(tokenizer: Path) -> None:
    tokenized = tokenized_split(
        tokens_split(6), tokenizer, TokenizeConfig(14, "windows", 6, "first")
    )  # 18 sub-words, rows of 12
    assert tokenized[WORDS][:] == [
        [-1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, -1],
        [-1, 2, -1, -1, 3, -1, -1, 4, -1, -1, 5, -1, -1, -1],
    ]
    units = task_of("tokens").decode(tokenized, context_readings(tokenized))
    assert units.word.tolist() == [0, 1, 2, 3, 4, 5]
    assert units.logits[:, 0].tolist() == [1, 4, 6, 4, 6, 3]  # word 2 from the first row, word 3 from the second


def test_no_word_of_an_example_longer_than_the_models_input_goes_unscored(tokenizer: Path) -> None:
    """Truncation would delete gold and prediction alike, and the score would go up."""
    raw, decoding = tokens_split(500), task_of("tokens")
    tokenized = tokenized_split(raw, tokenizer, TokenizeConfig(None, "windows", 32, "first"))
    assert max(len(ids) for ids in tokenized[INPUT_IDS]) == 128  # of 1500
    readings = np.zeros((sum(word >= 0 for words in tokenized[WORDS] for word in words), len(TAGS)), np.float32)
    readings[:, 0] = 1  # a model that finds nothing
    units, gold = decoding.decode(tokenized, readings), decoding.raw_gold(raw)
    assert len(units.predicted) == len(gold.label) == 500
    scores = decoding.score(units, gold, TAGS)
    assert scores.metrics["f1"] == 0.0
    assert scores.per_label["x"].support == 167  # B-x on every third word of 500
    assert scores.metrics["accuracy"] == pytest.approx(167 / 500)


def test_windows_of_a_text_are_averaged(tokenizer: Path) -> None:
    raw, decoding = text_split("xyz" * 3, "the", "xyz" * 5), task_of("text")
    tokenized = tokenized_split(raw, tokenizer, TokenizeConfig(8, "windows", 2, "first"))
    assert tokenized[EXAMPLE][:] == [0, 0, 1, 2, 2, 2, 2]
    assert tokenized[LABELS][:] == [0, 0, 1, 0, 0, 0, 0]
    logits = np.array([[1, 0], [3, 2], [5, 7], [0, 1], [0, 2], [0, 3], [4, 10]], np.float32)
    units = decoding.decode(tokenized, logits)
    assert units.example.tolist() == [0, 1, 2]
    assert units.logits.tolist() == [[2, 1], [5, 7], [1, 4]]
    assert units.predicted.tolist() == [0, 1, 1]
    assert decoding.tokenized_gold(tokenized).label.tolist() == decoding.raw_gold(raw).label.tolist() == [0, 1, 0]


@pytest.mark.parametrize("raw", [tokens_split(3, 0, 7), text_split("the order", "", "a")], ids=["tokens", "text"])
def test_where_all_fits_windows_change_nothing(raw: Dataset, tokenizer: Path) -> None:
    decoding = task_of("tokens" if "tokens" in raw.column_names else "text")
    whole, windowed = (
        tokenized_split(raw, tokenizer, TokenizeConfig(size, "windows", 8, "first")) for size in (None, 23)
    )
    assert whole.to_dict() == windowed.to_dict()
    assert len(whole) == sum(1 for row in raw if row.get("tokens", ["text"]))
    count = len(decoding.tokenized_gold(whole).label)
    logits = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    assert np.array_equal(decoding.decode(windowed, logits).logits, logits)


def test_the_windows_of_a_text_hold_all_of_its_subwords(tokenizer: Path) -> None:
    raw = text_split("".join(chr(ord("a") + place % 26) for place in range(60)))
    whole = tokenized_split(raw, tokenizer, TokenizeConfig(None, "windows", 0, "first"))[INPUT_IDS][0][1:-1]
    parts = [ids[1:-1] for ids in tokenized_split(raw, tokenizer, TokenizeConfig(17, "windows", 4, "first"))[INPUT_IDS]]
    starts = window_starts(len(whole), 15, 4)
    assert parts == [whole[start : start + 15] for start in starts]
    assert len(parts) == 6


def test_truncation_keeps_the_head_of_a_text_and_every_example(tokenizer: Path) -> None:
    raw = text_split("the order never was", "the")
    rows = tokenized_split(raw, tokenizer, TokenizeConfig(8, "truncate", 999, "first"))
    longer = tokenized_split(
        text_split("the order never was in the city"), tokenizer, TokenizeConfig(8, "truncate", 0, "first")
    )
    assert rows[EXAMPLE][:] == [0, 1]
    assert longer[INPUT_IDS][0][:5] == rows[INPUT_IDS][0][:5]
    assert len(longer[INPUT_IDS]) == 1
    assert len(longer[INPUT_IDS][0]) == 8


@pytest.mark.parametrize("raw", [tokens_split(3), text_split("the order")], ids=["tokens", "text"])
def test_a_stride_that_leaves_no_room_to_get_on_is_refused_in_one_line(raw: Dataset, tokenizer: Path) -> None:
    with pytest.raises(
        ModelError, match=r"^tokenize\.stride=65 must be at most 64, because a row holds 128 .*; lower it$"
    ):
        tokenized_split(raw, tokenizer, TokenizeConfig(None, "windows", 65, "first"))
    tokenized_split(raw, tokenizer, TokenizeConfig(None, "windows", 64, "first"))
