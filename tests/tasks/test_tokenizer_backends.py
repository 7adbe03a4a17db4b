"""A tokenizer that is called through Python gives what the `tokenizers` library gives, where a family has both."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.configuration.schema import FilesModel
from stages.sources.base_model import write_base_model
from stages.tasks.encoding.subwords import RowTemplate, SubwordEncoder
from stages.tasks.encoding.tokenizer_backends import FastBackend, PythonBackend, tokenizer_backend
from tests.architectures.families import write_family

FAMILIES = ("bert", "roberta", "xlnet", "t5", "gpt2")
PYTHON_ALONE = ("biogpt", "canine", "ctrl", "esm", "flaubert", "perceiver", "roformer", "xlm")

characters = st.characters(codec="utf-8", exclude_characters="<>[]_#")
words = st.text(st.one_of(st.sampled_from("abcdeh tsZé!.,'1"), characters), max_size=12)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], Path]:
    """The tokenizers as download writes them, for texts and for words."""
    made = {}
    for family in (*FAMILIES, *PYTHON_ALONE):
        folder = tmp_path_factory.mktemp(family)
        write_family(family, folder / "model")
        config = FilesModel(name=family, source="files", path=str(folder / "model"))
        for for_words in (False, True):
            base = folder / str(for_words)
            write_base_model(config, base / "weights", base / "tokenizer", for_words=for_words)
            made[family, for_words] = base / "tokenizer"
    return made


@settings(max_examples=40, deadline=None)
@given(family=st.sampled_from(FAMILIES), texts=st.lists(words, min_size=1, max_size=4))
def test_texts_and_words_have_the_same_sub_words_either_way(
    family: str, texts: list[str], folders: dict[tuple[str, bool], Path]
) -> None:
    for for_words in (False, True):
        fast, python = tokenizer_backend(folders[family, for_words]), PythonBackend(folders[family, for_words])
        assert isinstance(fast, FastBackend)
        assert fast.encode_texts(texts) == python.encode_texts(texts)
        if for_words:
            single = [word for word in texts if word.split() == [word]]
            assert fast.encode_words(single) == python.encode_words(single)


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_are_laid_out_alike_either_way(family: str, folders: dict[tuple[str, bool], Path]) -> None:
    fast, python = tokenizer_backend(folders[family, False]), PythonBackend(folders[family, False])
    for texts in (("a",), ("a", "a")):
        first, second = RowTemplate.of(fast, *texts), RowTemplate.of(python, *texts)
        assert all(map(np.array_equal, first.special, second.special))
        assert all(map(np.array_equal, first.special_types, second.special_types))
        assert first.text_types == second.text_types
    assert fast.ordinary_codes() == python.ordinary_codes()


@pytest.mark.parametrize("family", PYTHON_ALONE)
def test_words_are_aligned_where_a_tokenizer_is_python_alone(
    family: str, folders: dict[tuple[str, bool], Path]
) -> None:
    """Every word has sub-words of its own, in order, and those of its sentence are theirs."""
    assert isinstance(tokenizer_backend(folders[family, True]), PythonBackend)
    encoder = SubwordEncoder(folders[family, True], None)
    sentence = ["the", "order", "was", "\u200b", "great", "the"]
    pieces = encoder.encode_words(pa.array(sentence))
    assert len(pieces.lengths) == len(sentence) and pieces.lengths.min() >= 1
    ends = np.cumsum(pieces.lengths)
    for word, end, length in zip(sentence, ends, pieces.lengths, strict=True):
        (alone,) = encoder.encode_texts([word])
        assert pieces.ids[end - length : end].tolist() == (alone.tolist() or pieces.ids[end - length : end].tolist())
    again = encoder.encode_words(pa.array(sentence[::-1]))
    assert again.lengths.tolist() == pieces.lengths[::-1].tolist()
