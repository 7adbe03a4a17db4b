"""Pairs of texts: rows as the tokenizer's own template has them, cut as transformers does, in windows that lose nothing."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, processors
from transformers import PreTrainedTokenizerFast

from stages.columns.names import TOKEN_TYPES
from stages.configuration.schema import TokenizeConfig
from stages.modeling.batch_format import BatchFormat
from stages.modeling.batches import PaddingCollator
from stages.tasks.encoding.encodings import encoding_for
from stages.tasks.encoding.subwords import SubwordEncoder
from stages.tasks.encoding.text_encoding import truncated, windowed
from tests.support.tiny import write_tiny_tokenizer

TEMPLATES = ("bert", "roberta")
texts = st.text("abcdefgh ", max_size=40)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tiny tokenizer, and one with RoBERTa's template: two special sub-words between the texts, types all 0."""
    root = tmp_path_factory.mktemp("tokenizers")
    for name in TEMPLATES:
        (root / name).mkdir()
        write_tiny_tokenizer(root / name)
    tokenizer = Tokenizer.from_file(str(root / "roberta/tokenizer.json"))
    cls, sep = (("[CLS]", tokenizer.token_to_id("[CLS]")), ("[SEP]", tokenizer.token_to_id("[SEP]")))
    tokenizer.post_processor = processors.RobertaProcessing(sep, cls, add_prefix_space=False)
    tokenizer.save(str(root / "roberta/tokenizer.json"))
    return {name: root / name for name in TEMPLATES}


def pair_split(*pairs: tuple[str, str]) -> Dataset:
    features = Features(
        {"id": Value("string"), "text": Value("string"), "text_pair": Value("string"), "label": ClassLabel(names=["a"])}
    )
    first, second = zip(*pairs, strict=True)
    columns = {"id": [str(row) for row in range(len(pairs))], "text": first, "text_pair": second}
    return Dataset(pa.table({**columns, "label": [0] * len(pairs)}, schema=features.arrow_schema))


def encoded(raw: Dataset, folder: Path, length: int | None, overflow: str, stride: int = 0) -> Dataset:
    encoder, encoding = SubwordEncoder(folder, length), encoding_for("text")
    features = encoding.features(raw.features, encoder)
    config = TokenizeConfig(max_length=length, overflow=overflow, stride=stride, label_on="first")
    return Dataset(pa.table(encoding.encode(raw, encoder, config, first_example=0), schema=features.arrow_schema))


@settings(max_examples=60)
@given(
    template=st.sampled_from(TEMPLATES),
    pairs=st.lists(st.tuples(texts, texts), min_size=1, max_size=3),
    length=st.integers(8, 40),
)
def test_pairs_are_cut_and_laid_out_as_transformers_does(
    template: str, pairs: list[tuple[str, str]], length: int, folders: dict[str, Path]
) -> None:
    reference = PreTrainedTokenizerFast(tokenizer_file=str(folders[template] / "tokenizer.json"))
    first, second = ([*column] for column in zip(*pairs, strict=True))
    expected = reference(first, second, truncation="longest_first", max_length=length, return_token_type_ids=True)
    found = encoded(pair_split(*pairs), folders[template], length, "truncate")
    assert found["input_ids"][:] == expected["input_ids"]
    if template == "bert":
        assert found[TOKEN_TYPES][:] == expected["token_type_ids"]
    else:
        assert TOKEN_TYPES not in found.column_names
        assert {kind for row in expected["token_type_ids"] for kind in row} == {0}


lengths = st.integers(0, 60)


@given(lengths, lengths, st.integers(2, 40), st.integers(0, 20))
def test_windows_of_a_pair_hold_the_shorter_text_and_cover_the_longer(
    first: int, second: int, capacity: int, stride: int
) -> None:
    parts = windowed(first, second, capacity, stride)
    of_shorter, of_longer = ([pair[place] for pair in parts] for place in ((0, 1) if first <= second else (1, 0)))
    shorter, longer = sorted((first, second))
    assert {(part.start, part.stop) for part in of_shorter} == {(0, kept := of_shorter[0].stop)}
    assert kept == (shorter if first + second <= capacity else min(shorter, capacity // 2))
    covered = np.zeros(longer, bool)
    for part in of_longer:
        covered[part] = True
        assert kept + len(range(longer)[part]) <= capacity
    assert covered.all()
    assert (len(parts) == 1) == (longer <= capacity - kept)


@given(lengths, lengths, st.integers(2, 40))
def test_a_cut_pair_fills_its_row_and_cuts_the_longer_text_first(first: int, second: int, capacity: int) -> None:
    kept = [part.stop for part in truncated(first, second, capacity)]
    assert sum(kept) == min(first + second, capacity)
    assert all(part <= whole for part, whole in zip(kept, (first, second), strict=True))
    if first + second > capacity and min(kept) < min(first, second):
        assert abs(kept[0] - kept[1]) <= 1


def test_windows_of_a_pair_each_begin_with_the_question(folders: dict[str, Path]) -> None:
    found = encoded(pair_split(("the city", "abcdefgh" * 3), ("a", "the")), folders["bert"], 13, "windows", 2)
    assert found["example"][:] == [0, 0, 0, 0, 1]
    assert len({tuple(ids[:4]) for ids in found["input_ids"][:4]}) == 1
    assert found[TOKEN_TYPES][0] == [0] * 4 + [1] * 9
    assert found[TOKEN_TYPES][4] == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("template", TEMPLATES)
def test_where_all_fits_windows_change_nothing(template: str, folders: dict[str, Path]) -> None:
    raw = pair_split(("the city", "a team"), ("", "the"), ("order", ""))
    whole, cut = (encoded(raw, folders[template], 30, overflow, 5) for overflow in ("windows", "truncate"))
    assert whole.to_dict() == cut.to_dict()


def test_single_texts_have_no_types(folders: dict[str, Path]) -> None:
    raw = pair_split(("the city", "a team")).remove_columns("text_pair")
    assert encoded(raw, folders["bert"], 30, "windows").column_names == ["example", "subwords", "input_ids", "labels"]


def test_types_are_padded_with_0() -> None:
    rows = [{"input_ids": [2, 5, 3], TOKEN_TYPES: [0, 1, 1]}, {"input_ids": [2], TOKEN_TYPES: [0]}]
    batch = PaddingCollator(BatchFormat(9))(rows)
    assert batch[TOKEN_TYPES].tolist() == [[0, 1, 1], [0, 0, 0]]
    assert batch[TOKEN_TYPES].dtype == batch["input_ids"].dtype
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
