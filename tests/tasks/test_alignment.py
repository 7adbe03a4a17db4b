"""Words to sub-words and back: every word keeps its label, and none is lost.

Neither words without sub-words, nor sub-words behind a word's first, nor missing prefix spaces shift a label.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from stages.columns.names import EXAMPLE, IGNORED, INPUT_IDS, LABELS, WORDS
from stages.configuration.schema import FilesModel, LabelOn, TokenizeConfig, TokenizeStage
from stages.pipeline.arrow import load_split
from stages.pipeline.errors import DataError, ModelError
from stages.pipeline.paths import BASE_TOKENIZER, RAW_DATA, TOKENIZE_METRICS, TOKENIZED_DATA
from stages.sources.base_model import write_base_model
from stages.sources.word_tokenizer import write_for_words
from stages.tasks.encoding import subwords
from stages.tasks.encoding.subwords import SubwordEncoder
from stages.tasks.encoding.tokens_encoding import TokensEncoding
from stages.tasks.encoding.windows import window_starts
from stages.tokenize import KINDS, tokenize
from tests.support.saved_splits import save_splits
from tests.support.tiny import write_tiny_tokenizer
from tests.support.tokenized import task_of

NAMES = ["O", "B-x", "I-x", "E-x", "S-x", "B-y", "I-y", "U-z", "L-z", "B-w", "NOUN", "S-v", "I-v"]
INSIDE = [0, 2, 2, 3, 2, 6, 6, 7, 8, 9, 10, 12, 12]
"""The code that a word's later sub-words take where all are labelled: `I-` for `B-`, `S-` and `U-`, where there is one."""
FEATURES = Features(
    {"id": Value("string"), "tokens": List(Value("string")), "tags": List(ClassLabel(names=NAMES))},
)
WHOLE = TokenizeConfig(max_length=None, overflow="windows", stride=0, label_on="first")

NO_SUBWORD = ["\x00", "\x07", "\u200b", "\ufeff", "\u00ad", "\u200d\u2060", "\ufe0f", " ", ""]
"""Words that BERT's tokenizers give nothing for: control, zero-width, byte-order mark, soft hyphen, variation selector …"""

words = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=12), st.sampled_from([*NO_SUBWORD, "the", "order", "##a", "[SEP]"])
)
tagged_words = st.lists(st.tuples(words, st.integers(0, len(NAMES) - 1)), max_size=25)
sentences = st.lists(tagged_words, min_size=1, max_size=4)
label_places = st.sampled_from(["first", "last", "all"])
row_shapes = st.integers(8, 24).flatmap(lambda length: st.tuples(st.just(length), st.integers(0, length // 2)))


@pytest.fixture(scope="module")
def tiny_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tiny_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def bert_tokenizer(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The uncased BERT vocabulary, in the form that the download stage gives it."""
    folder = tmp_path_factory.mktemp("minilm")
    write_base_model(
        FilesModel(name="minilm", source="files", path=str(minilm)), folder / "weights", folder / "tokenizer"
    )
    return folder / "tokenizer"


def raw_split(tagged: Sequence[Sequence[tuple[str, int]]]) -> Dataset:
    columns = {
        "id": [str(row) for row in range(len(tagged))],
        "tokens": [[word for word, _ in sentence] for sentence in tagged],
        "tags": [[tag for _, tag in sentence] for sentence in tagged],
    }
    return Dataset(pa.table(columns, schema=FEATURES.arrow_schema))


def tokenized_split(raw: Dataset, tokenizer: Path, config: TokenizeConfig = WHOLE) -> Dataset:
    encoding = TokensEncoding()
    encoder = SubwordEncoder(tokenizer, config.max_length)
    columns = encoding.encode(raw, encoder, config, first_example=0)
    return Dataset(pa.table(columns, schema=encoding.features(raw.features, encoder).arrow_schema))


def subwords_of(tokenizer: Tokenizer, word: str) -> list[int]:
    """The sub-words of a word by itself, or what stands for a word without any."""
    ids: list[int] = tokenizer.encode([word], is_pretokenized=True, add_special_tokens=False).ids
    return ids or [tokenizer.token_to_id("[UNK]")]


def logits_that_tell_the_label(tokenized: Dataset) -> np.ndarray:
    """What a model would say that predicts, at each sub-word that a word begins with, the label found there."""
    labels = [
        label
        for row in tokenized
        for word, label in zip(row[WORDS], row[LABELS], strict=True)
        if word >= 0
    ]  # fmt: skip
    return np.eye(len(NAMES), dtype=np.float32)[np.array(labels, int)]


def test_the_published_example_gives_the_published_subwords_and_labels(
    wnut17_splits: DatasetDict, bert_tokenizer: Path
) -> None:
    """Hugging Face's token classification tutorial prints this sentence, its tags and its sub-words."""
    train = wnut17_splits["train"].select([0])
    assert [tag for tag in train[0]["tags"] if tag] == [7, 8, 8, 7]  # B-location, I-location, I-location; B-location
    (row,) = tokenized_split(train, bert_tokenizer)
    vocabulary = Tokenizer.from_file(str(bert_tokenizer / "tokenizer.json"))
    subwords = [vocabulary.id_to_token(index) for index in row[INPUT_IDS]]
    assert " ".join(subwords) == (
        "[CLS] @ paul ##walk it ' s the view from where i ' m living for two weeks . "
        "empire state building = es ##b . pretty bad storm here last evening . [SEP]"
    )
    labelled = dict.fromkeys(range(len(subwords)), 0)
    labelled |= dict.fromkeys((0, 2, 3, 6, 13, 24, 33), IGNORED)  # special, and all but the first sub-word of a word
    labelled |= {19: 7, 20: 8, 21: 8, 23: 7}
    assert row[LABELS] == list(labelled.values())


def test_wnut17_is_tokenized_as_transformers_does_it(
    wnut17_splits: DatasetDict, minilm: Path, bert_tokenizer: Path
) -> None:
    from transformers import AutoTokenizer

    reference = AutoTokenizer.from_pretrained(minilm)
    lost_words = 0
    for name, raw in wnut17_splits.items():
        expected = reference(raw["tokens"][:], is_split_into_words=True, truncation=False, padding=False)
        tokenized = tokenized_split(raw, bert_tokenizer).to_dict()
        assert tokenized[EXAMPLE] == list(range(len(raw)))  # one row a sentence
        for index, tags in enumerate(raw["tags"][:]):
            ids, labels, begun = (tokenized[column][index] for column in (INPUT_IDS, LABELS, WORDS))
            word_ids = expected.word_ids(index)
            lost = set(range(len(tags))) - set(word_ids)
            lost_words += len(lost)
            kept = [place for place, word in enumerate(begun) if word not in lost]
            assert [ids[place] for place in kept] == expected["input_ids"][index], (name, index)
            assert [labels[place] for place in kept] == tutorial_labels(word_ids, tags), (name, index)
            assert [word for word in begun if word >= 0] == list(range(len(tags)))
    assert (
        lost_words == 7
    )  # these, which give no sub-word, transformers' recipe does not label; ours was left out above


def tutorial_labels(word_ids: Sequence[int | None], tags: Sequence[int]) -> list[int]:
    previous = [None, *word_ids[:-1]]
    return [
        IGNORED if word is None or word == before else tags[word]
        for word, before in zip(word_ids, previous, strict=True)
    ]  # fmt: skip


@pytest.mark.parametrize("strange", NO_SUBWORD, ids=ascii)
def test_a_word_without_subwords_keeps_a_place_and_shifts_nothing(strange: str, tiny_tokenizer: Path) -> None:
    vocabulary = Tokenizer.from_file(str(tiny_tokenizer / "tokenizer.json"))
    assert vocabulary.encode([strange], is_pretokenized=True, add_special_tokens=False).ids == []
    pieces = [["[CLS]", "[UNK]", "the", "[UNK]", "[UNK]", "order", "[UNK]", "[SEP]"]]
    raw = raw_split([[(strange, 1), ("the", 2), (strange, 3), (strange, 4), ("order", 5), (strange, 6)]])
    tokenized = tokenized_split(raw, tiny_tokenizer)
    assert [[vocabulary.id_to_token(index) for index in row] for row in tokenized[INPUT_IDS]] == pieces
    assert tokenized[WORDS][:] == [[-1, 0, 1, 2, 3, 4, 5, -1]]
    assert tokenized[LABELS][:] == [[IGNORED, 1, 2, 3, 4, 5, 6, IGNORED]]


def test_a_sentence_of_nothing_but_such_words_is_scored_too(tiny_tokenizer: Path) -> None:
    tokenized = tokenized_split(raw_split([[("\u200b", 3)], [("\u00ad", 4), ("\x07", 5)]]), tiny_tokenizer)
    assert task_of("tokens").tokenized_gold(tokenized).label.tolist() == [3, 4, 5]


def test_only_the_first_subword_of_a_word_is_labelled(tiny_tokenizer: Path) -> None:
    tokenized = tokenized_split(raw_split([[("xyz", 7), ("the", 1)]]), tiny_tokenizer)
    assert tokenized[LABELS][:] == [[IGNORED, 7, IGNORED, IGNORED, 1, IGNORED]]


def test_sentences_without_words_give_no_row_and_no_unit(tiny_tokenizer: Path) -> None:
    decoding, raw = task_of("tokens"), raw_split([[], [("the", 1)], [], [("a", 2)], []])
    tokenized = tokenized_split(raw, tiny_tokenizer)
    units, gold = decoding.decode(tokenized, logits_that_tell_the_label(tokenized)), decoding.raw_gold(raw)
    assert units.example.tolist() == gold.example.tolist() == [1, 3]
    assert units.predicted.tolist() == gold.label.tolist() == [1, 2]


@settings(max_examples=50)
@given(tagged=sentences, shape=row_shapes, label_on=label_places)
def test_words_in_are_words_out_whatever_the_words(
    tagged: list[list[tuple[str, int]]], shape: tuple[int, int], label_on: LabelOn, tiny_tokenizer: Path
) -> None:
    decoding, raw = task_of("tokens"), raw_split(tagged)
    tokenized = tokenized_split(raw, tiny_tokenizer, TokenizeConfig(shape[0], "windows", shape[1], label_on))
    units = decoding.decode(tokenized, logits_that_tell_the_label(tokenized))
    every_word = [(row, place) for row, sentence in enumerate(tagged) for place in range(len(sentence))]
    assert list(zip(units.example, units.word, strict=True)) == every_word
    tags = [tag for sentence in tagged for _, tag in sentence]
    assert units.predicted.tolist() == tags
    for gold in (decoding.raw_gold(raw), decoding.tokenized_gold(tokenized)):
        assert gold.label.tolist() == tags
        assert gold.example.tolist() == [row for row, _ in every_word]


@settings(max_examples=50)
@given(tagged=sentences, shape=row_shapes)
def test_a_label_sits_on_the_first_subword_of_its_word_and_nowhere_else(
    tagged: list[list[tuple[str, int]]], shape: tuple[int, int], tiny_tokenizer: Path
) -> None:
    vocabulary = Tokenizer.from_file(str(tiny_tokenizer / "tokenizer.json"))
    config = TokenizeConfig(shape[0], "windows", shape[1], "first")
    for row in tokenized_split(raw_split(tagged), tiny_tokenizer, config):
        assert len(row[INPUT_IDS]) == len(row[LABELS]) == len(row[WORDS]) <= shape[0]
        assert max(row[WORDS]) >= 0, "a row without a label"
        for index, label, place in zip(row[INPUT_IDS], row[LABELS], row[WORDS], strict=True):
            if place < 0:
                assert label == IGNORED
            else:
                word, tag = tagged[row[EXAMPLE]][place]
                assert (index, label) == (subwords_of(vocabulary, word)[0], tag)


@settings(max_examples=100)
@given(tagged=sentences, shape=row_shapes, label_on=label_places)
def test_rows_are_what_word_by_word_alignment_gives(
    tagged: list[list[tuple[str, int]]], shape: tuple[int, int], label_on: LabelOn, tiny_tokenizer: Path
) -> None:
    vocabulary = Tokenizer.from_file(str(tiny_tokenizer / "tokenizer.json"))
    before, behind = ((vocabulary.token_to_id(name), IGNORED, -1) for name in ("[CLS]", "[SEP]"))
    expected = [
        (
            example,
            *(list(column) for column in zip(before, *aligned[start : start + shape[0] - 2], behind, strict=True)),
        )
        for example, sentence in enumerate(tagged)
        for aligned in [aligned_word_by_word(vocabulary, sentence, label_on)]
        for start in window_starts(len(aligned), shape[0] - 2, shape[1])
        if any(word >= 0 for _, _, word in aligned[start : start + shape[0] - 2])
    ]
    config = TokenizeConfig(shape[0], "windows", shape[1], label_on)
    rows = tokenized_split(raw_split(tagged), tiny_tokenizer, config)
    assert [(row[EXAMPLE], row[INPUT_IDS], row[LABELS], row[WORDS]) for row in rows] == expected


def aligned_word_by_word(
    vocabulary: Tokenizer, sentence: Sequence[tuple[str, int]], label_on: LabelOn
) -> list[tuple[int, int, int]]:
    """Each sub-word with its label and the word that is read there."""
    aligned = []
    for place, (word, tag) in enumerate(sentence):
        ids = subwords_of(vocabulary, word)
        later = INSIDE[tag] if label_on == "all" else IGNORED
        labels, read = [later] * len(ids), [-1] * len(ids)
        labelled = -1 if label_on == "last" else 0
        labels[labelled], read[labelled] = tag, place
        aligned += zip(ids, labels, read, strict=True)
    return aligned


@pytest.mark.parametrize(
    ("label_on", "labels", "read"),
    [
        ("first", [IGNORED, 1, IGNORED, IGNORED, 0, IGNORED], [-1, 0, -1, -1, 1, -1]),
        ("last", [IGNORED, IGNORED, IGNORED, 1, 0, IGNORED], [-1, -1, -1, 0, 1, -1]),
        ("all", [IGNORED, 1, 2, 2, 0, IGNORED], [-1, 0, -1, -1, 1, -1]),
    ],
)
def test_labels_are_where_they_are_asked_for(
    label_on: LabelOn, labels: list[int], read: list[int], tiny_tokenizer: Path
) -> None:
    config = TokenizeConfig(None, "windows", 0, label_on)
    (row,) = tokenized_split(raw_split([[("xyz", 1), ("the", 0)]]), tiny_tokenizer, config)
    assert row[LABELS] == labels
    assert row[WORDS] == read


def test_a_word_that_is_not_labelled_stays_so_on_all_its_subwords(tiny_tokenizer: Path) -> None:
    config = TokenizeConfig(None, "windows", 0, "all")
    (row,) = tokenized_split(raw_split([[("xyz", -1), ("the", 1)]]), tiny_tokenizer, config)
    assert row[LABELS] == [IGNORED, -1, -1, -1, 1, IGNORED]


def test_a_word_longer_than_a_row_is_labelled_once_in_each_row_and_leaves_no_row_without_label(
    tiny_tokenizer: Path,
) -> None:
    raw = raw_split([[("the", 1), ("x" * 50, 2), ("order", 3)]])
    tokenized = tokenized_split(raw, tiny_tokenizer, TokenizeConfig(8, "windows", 2, "first"))
    assert all(any(label != IGNORED for label in labels) for labels in tokenized[LABELS])
    assert task_of("tokens").tokenized_gold(tokenized).label.tolist() == [1, 2, 3]


@pytest.fixture(scope="module")
def byte_level_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE as RoBERTa's: a space is part of the word behind it."""
    folder = tmp_path_factory.mktemp("bytes")
    pieces = ["<s>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġh", "hi", "Ġhi"]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("Ġ", "h"), ("h", "i"), ("Ġh", "i")], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0), add_prefix_space=False)
    tokenizer.add_special_tokens(["<s>", "</s>", "<unk>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings_file = {"model_max_length": 64, "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings_file), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def byte_level_word_tokenizer(byte_level_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, as download writes it where words are tagged."""
    folder = tmp_path_factory.mktemp("words") / "tokenizer"
    shutil.copytree(byte_level_tokenizer, folder)
    config = folder.parent / "config.json"
    config.write_text('{"model_type": "roberta"}', encoding="utf-8")
    write_for_words(folder, config)
    return folder


def test_byte_level_bpe_marks_the_beginning_of_every_word(byte_level_word_tokenizer: Path) -> None:
    encoder = SubwordEncoder(byte_level_word_tokenizer, None)
    pieces = encoder.encode_words(pa.array(["hi", "hi", "a"]))
    vocabulary = Tokenizer.from_file(str(byte_level_word_tokenizer / "tokenizer.json"))
    assert [vocabulary.id_to_token(int(index)) for index in pieces.ids] == ["Ġhi", "Ġhi", "Ġ", "a"]
    assert pieces.lengths.tolist() == [1, 1, 2]


def test_byte_level_bpe_takes_texts_as_they_are(byte_level_tokenizer: Path) -> None:
    encoder = SubwordEncoder(byte_level_tokenizer, None)
    vocabulary = Tokenizer.from_file(str(byte_level_tokenizer / "tokenizer.json"))
    (ids,) = encoder.encode_texts(["hi hi"])
    assert [vocabulary.id_to_token(int(index)) for index in ids] == ["hi", "Ġhi"]


@pytest.fixture(scope="module")
def unigram_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A unigram model as SentencePiece's: a word begins with a low line, and unknown characters run together."""
    folder = tmp_path_factory.mktemp("unigram")
    pieces = [
        ("<unk>", 0.0),
        ("\u2581", -2.0),
        ("\u2581the", -3.0),
        *((letter, -4.0) for letter in "abcdefghorst"),
        ("or", -5.0),
    ]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.add_special_tokens(["<unk>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings_file = {"model_max_length": 64, "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings_file), encoding="utf-8")
    return folder


@pytest.mark.parametrize("kind", ["tiny", "byte_level_word", "unigram"])
@settings(max_examples=50)
@given(tagged=sentences)
def test_a_words_subwords_are_those_it_has_in_its_sentence(
    kind: str, tagged: list[list[tuple[str, int]]], request: pytest.FixtureRequest
) -> None:
    """What remembering words rests on: tokenizers take words given one by one each by itself."""
    encoder = SubwordEncoder(request.getfixturevalue(f"{kind}_tokenizer"), None)
    whole = encoder._backend._tokenizer
    for sentence in tagged:
        in_sentence = whole.encode([word for word, _ in sentence], is_pretokenized=True, add_special_tokens=False)
        pieces = encoder.encode_words(pa.array([word for word, _ in sentence], pa.string()))
        ends = np.cumsum(pieces.lengths)
        for place, end in enumerate(ends):
            expected = [
                index for index, word in zip(in_sentence.ids, in_sentence.word_ids, strict=True) if word == place
            ]
            assert pieces.ids[end - pieces.lengths[place] : end].tolist() == (expected or [encoder._stand_in])


@settings(max_examples=50)
@given(batches=st.lists(st.lists(words, max_size=8), max_size=5), most=st.integers(0, 6))
def test_forgetting_words_changes_nothing(batches: list[list[str]], most: int, tiny_tokenizer: Path) -> None:
    remembering, forgetting = (SubwordEncoder(tiny_tokenizer, None) for _ in range(2))
    for batch in batches:
        expected = remembering.encode_words(pa.array(batch, pa.string()))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(subwords, "_MOST_REMEMBERED", most)
            found = forgetting.encode_words(pa.array(batch, pa.string()))
            assert len(forgetting._known) <= most + len(set(batch))
        assert found.ids.tolist() == expected.ids.tolist()
        assert found.lengths.tolist() == expected.lengths.tolist()


def test_the_stage_numbers_examples_on_from_batch_to_batch(
    tiny_tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tagged = [[("the", 1)] * (row % 4) + [("x" * (row % 40), 2)] * (row % 3) for row in range(2_345)]
    raw = raw_split(tagged)
    save_splits(DatasetDict({"train": raw, "validation": raw.select([0, 1]), "test": raw.select([5])}), RAW_DATA)
    BASE_TOKENIZER.parent.mkdir(parents=True)
    BASE_TOKENIZER.symlink_to(tiny_tokenizer)
    config = TokenizeConfig(24, "windows", 4, "first")
    tokenize(TokenizeStage("tokens", config, "error"))
    at_once = tokenized_split(raw, tiny_tokenizer, config)
    assert load_split(TOKENIZED_DATA, "train").to_dict() == at_once.to_dict()
    assert at_once.num_rows > len(set(at_once[EXAMPLE]))
    described = json.loads(TOKENIZE_METRICS.read_text(encoding="utf-8"))
    assert described["train"]["rows"] == at_once.num_rows
    assert described["train"]["subwords"] == sum(map(len, at_once[INPUT_IDS]))
    longer = {example for example, ids in zip(at_once[EXAMPLE], at_once["subwords"], strict=True) if ids > 24}
    assert described["train"]["examples_longer_than_a_row"] == len(longer) > 0
    assert described["train"]["examples_in_windows"] <= len(longer)  # a window inside one long word is no row
    assert described["test"] == {
        "rows": 1,
        "examples_longer_than_a_row": 0,
        "share_longer_than_a_row": 0.0,
        "examples_in_windows": 0,
        "subwords": 13,
        "unknown_subwords": 0,
        "words_without_subword": 0,
        "subwords_per_example": {"median": 13, "p95": 13, "max": 13},
    }


@pytest.mark.parametrize(
    ("foreign", "lost", "found"),
    [
        (2, 2, {}),
        (38, 2, {"unknown_subwords": {"severity": "warning", "test": 40}}),
        (0, 40, {
            "unknown_subwords": {"severity": "warning", "test": 40}, "lost_words": {"severity": "warning", "test": 40},
        }),
    ],
)  # fmt: skip
def test_words_that_the_model_does_not_know_are_counted_and_many_are_findings(
    foreign: int, lost: int, found: dict[str, object], tiny_tokenizer: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    known = raw_split([[("the", 1)] * 10] * 20)
    words = [("\U0001f600", 1)] * foreign + [("\u200b", 1)] * lost + [("the", 1)] * 200
    save_splits(
        DatasetDict({"train": known, "validation": known, "test": raw_split([[word] for word in words])}), RAW_DATA
    )
    BASE_TOKENIZER.parent.mkdir(parents=True)
    BASE_TOKENIZER.symlink_to(tiny_tokenizer)
    caplog.set_level("WARNING")
    config = TokenizeConfig(24, "windows", 4, "first")
    tokenize(TokenizeStage("tokens", config, "error"))
    described = json.loads(TOKENIZE_METRICS.read_text(encoding="utf-8"))
    assert described.pop("findings") == found
    counted = {name: (each["unknown_subwords"], each["words_without_subword"]) for name, each in described.items()}
    assert counted == {"train": (0, 0), "validation": (0, 0), "test": (foreign + lost, lost)}
    assert [record.getMessage().removesuffix(" in test") for record in caplog.records if found] == [
        f"data: warning: {KINDS[code].meaning}: 40 (16.7%)" for code in found
    ]
    if found:
        with pytest.raises(
            DataError, match=r"^data/raw: .*; choose a model .*, or set data\.fail_on=error to continue anyway$"
        ):
            tokenize(TokenizeStage("tokens", config, "warning"))


@settings(max_examples=50)
@given(tagged=sentences)
def test_byte_level_bpe_loses_no_word_either(
    tagged: list[list[tuple[str, int]]], byte_level_word_tokenizer: Path
) -> None:
    tokenized = tokenized_split(raw_split(tagged), byte_level_word_tokenizer, TokenizeConfig(16, "windows", 4, "first"))
    tags = [tag for sentence in tagged for _, tag in sentence]
    assert task_of("tokens").tokenized_gold(tokenized).label.tolist() == tags


def test_special_subwords_stand_around_every_row(tiny_tokenizer: Path) -> None:
    encoder = SubwordEncoder(tiny_tokenizer, 10)
    assert encoder.capacity == 8
    row = encoder.template.row(encoder.encode_texts(["the order"])[0])
    vocabulary = Tokenizer.from_file(str(tiny_tokenizer / "tokenizer.json"))
    assert row.tolist() == vocabulary.encode("the order").ids


def test_a_row_longer_than_the_model_takes_is_refused(tiny_tokenizer: Path) -> None:
    with pytest.raises(ModelError, match=r"tokenize\.max_length=129: the model takes 128 at most"):
        SubwordEncoder(tiny_tokenizer, 129)


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json"])
def test_a_broken_tokenizer_is_told_in_one_line(file: str, tmp_path: Path) -> None:
    write_tiny_tokenizer(tmp_path)
    (tmp_path / file).write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=rf"{file}: is missing or incomplete"):
        SubwordEncoder(tmp_path, None)


def test_a_tokenizer_without_unknown_or_mask_token_refuses_a_word_without_subwords(tmp_path: Path) -> None:
    write_tiny_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 128}', encoding="utf-8")
    encoder = SubwordEncoder(tmp_path, None)
    assert encoder.encode_words(pa.array(["the"])).lengths.tolist() == [1]
    with pytest.raises(DataError, match="has no unknown token"):
        encoder.encode_words(pa.array(["the", "\u200b"]))
