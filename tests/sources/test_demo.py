"""The demo data: the same everywhere, well formed, and not given away by train."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest

from stages.configuration.schema import SPLITS, Split
from stages.sources.demo import grammar, sentence_phrases, shop_messages, shop_phrases, tagged_sentences

DEFAULT_COUNTS: dict[Split, int] = {"train": 1600, "validation": 400, "test": 1000}
KINDS = pytest.mark.parametrize("kind", [shop_messages, tagged_sentences])


def texts_of(table: pa.Table) -> list[str]:
    if "text" in table.column_names:
        return table.column("text").to_pylist()
    return [" ".join(words) for words in table.column("tokens").to_pylist()]


def labels_of(table: pa.Table) -> set[str]:
    if "label" in table.column_names:
        return set(table.column("label").to_pylist())
    return {tag for tags in table.column("tags").to_pylist() for tag in tags}


def words_of(table: pa.Table) -> set[str]:
    return {word for example in texts_of(table) for word in re.findall(r"[\w'-]+", example.lower())}


def printed_by(program: str, environment: dict[str, str] | None = None) -> str:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def splits() -> dict[ModuleType, dict[Split, pa.Table]]:
    """The data of both kinds at the default sizes."""
    return {
        kind: {split: kind.generate(split, count, 0) for split, count in DEFAULT_COUNTS.items()}
        for kind in (shop_messages, tagged_sentences)
    }


@pytest.fixture
def data(splits: dict[ModuleType, Any], kind: ModuleType) -> dict[Split, pa.Table]:
    return splits[kind]


@KINDS
def test_counts_are_exact(data: dict[Split, pa.Table]) -> None:
    assert {split: table.num_rows for split, table in data.items()} == DEFAULT_COUNTS


@KINDS
@pytest.mark.parametrize("count", [0, 1, 7])
def test_small_counts_are_exact(kind: ModuleType, count: int) -> None:
    table = kind.generate("validation", count, 3)
    assert table.num_rows == count
    assert table.schema == kind.SCHEMA


@KINDS
def test_a_repeat_gives_the_same(kind: ModuleType, data: dict[Split, pa.Table]) -> None:
    assert kind.generate("validation", DEFAULT_COUNTS["validation"], 0).equals(data["validation"])


@KINDS
def test_fewer_examples_are_the_first_ones(kind: ModuleType, data: dict[Split, pa.Table]) -> None:
    assert kind.generate("test", 100, 0).equals(data["test"].slice(0, 100))


@KINDS
def test_another_process_with_another_hash_seed_gives_the_same(kind: ModuleType) -> None:
    name = kind.__name__
    program = f"import json, {name} as kind; print(json.dumps(kind.generate('test', 200, 5).to_pydict()))"
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    assert json.loads(printed_by(program, environment)) == kind.generate("test", 200, 5).to_pydict()


@KINDS
def test_another_seed_gives_other_examples(kind: ModuleType) -> None:
    first, second = (set(texts_of(kind.generate("train", 200, seed))) for seed in (0, 1))
    assert len(first & second) < 20


@KINDS
def test_no_text_occurs_twice_in_any_case_of_letters(data: dict[Split, pa.Table]) -> None:
    texts = [example.lower() for split in SPLITS for example in texts_of(data[split])]
    assert len(set(texts)) == len(texts) == sum(DEFAULT_COUNTS.values())


@KINDS
def test_splits_are_disjoint_across_seeds(kind: ModuleType, data: dict[Split, pa.Table]) -> None:
    train = {example.lower() for example in texts_of(data["train"])}
    assert train.isdisjoint(example.lower() for example in texts_of(kind.generate("test", 500, 1)))


@KINDS
def test_every_label_occurs_in_every_split_and_no_other(kind: ModuleType, data: dict[Split, pa.Table]) -> None:
    for split in SPLITS:
        assert labels_of(data[split]) == set(kind.LABELS)


@KINDS
def test_lengths(data: dict[Split, pa.Table]) -> None:
    lengths = [len(example.split()) for example in texts_of(data["train"])]
    assert min(lengths) >= 4
    assert max(lengths) <= 50
    assert 10 < sum(lengths) / len(lengths) < 20


@KINDS
def test_nothing_is_left_to_fill_and_spaces_are_single(data: dict[Split, pa.Table]) -> None:
    for split in SPLITS:
        for example in texts_of(data[split]):
            assert not re.search(r"[{}<>]|  |^ | $", example), example


@pytest.mark.parametrize("phrases", [shop_phrases, sentence_phrases])
def test_every_slot_has_fillings_in_train_too(phrases: ModuleType) -> None:
    choices = phrases.GRAMMAR.choices("train")
    assert all(choices.values())
    filled = {
        slot
        for fillings in phrases.GRAMMAR.choices("test").values()
        for filling in fillings
        for slot in re.findall(r"{(\w+)}", filling)
    }
    assert filled <= set(choices)


@pytest.mark.parametrize("phrases", [shop_phrases, sentence_phrases])
def test_vocabulary_lists_name_nothing_twice(phrases: ModuleType) -> None:
    for slot, entries in phrases.GRAMMAR.vocabulary.items():
        if not any("{" in entry for entry in entries):
            assert len(set(entries)) == len(entries), slot


def held_out(entries: tuple[str, ...]) -> set[str]:
    return set(entries) - set(grammar.seen_in_train(entries))


def test_every_third_entry_of_a_list_is_held_out() -> None:
    entries = ("a", "b", "c", "d", "e", "f", "g")
    assert grammar.seen_in_train(entries) == ("a", "b", "d", "e", "g")


@pytest.mark.parametrize(
    ("kind", "phrases", "slots"),
    [
        (shop_messages, shop_phrases, ("appliance", "device", "garment", "piece", "oddment")),
        (tagged_sentences, sentence_phrases, ("first", "last", "city", "country", "company", "coined", "gadget")),
    ],
)
def test_held_out_vocabulary_occurs_outside_train_only(
    splits: dict[ModuleType, Any], kind: ModuleType, phrases: ModuleType, slots: tuple[str, ...]
) -> None:
    vocabulary = phrases.GRAMMAR.vocabulary
    elsewhere = " ".join(entry for entries in phrases.GRAMMAR.choices("train").values() for entry in entries).lower()
    hidden = {entry.lower() for slot in slots for entry in held_out(vocabulary[slot])}
    hidden = {word for word in hidden if word.isalpha() and not re.search(rf"\b{word}\b", elsewhere)}
    assert len(hidden) >= 20
    assert hidden.isdisjoint(words_of(splits[kind]["train"]))
    for split in ("validation", "test"):
        assert len(hidden & words_of(splits[kind][split])) > len(hidden) / 2


def test_text_labels_are_mildly_imbalanced(splits: dict[ModuleType, Any]) -> None:
    labels = splits[shop_messages]["train"].column("label").to_pylist()
    shares = {label: labels.count(label) / len(labels) for label in shop_messages.LABELS}
    for label, share in shop_messages.SHARES.items():
        assert shares[label] == pytest.approx(share, abs=0.03)


def test_words_and_tags_go_together_and_no_word_is_empty(splits: dict[ModuleType, Any]) -> None:
    for split in SPLITS:
        for example in splits[tagged_sentences][split].to_pylist():
            assert len(example["tokens"]) == len(example["tags"]) > 0
            assert all(word and not re.search(r"\s", word) for word in example["tokens"])


def test_tags_are_valid_iob2(splits: dict[ModuleType, Any]) -> None:
    for split in SPLITS:
        for tags in splits[tagged_sentences][split].column("tags").to_pylist():
            for before, tag in zip(["O", *tags], tags, strict=False):
                assert not tag.startswith("I-") or before[2:] == tag[2:], tags


def test_token_labels_begin_with_o_then_pairs() -> None:
    assert tagged_sentences.LABELS[0] == "O"
    assert [label[:2] for label in tagged_sentences.LABELS[1:]] == ["B-", "I-"] * len(tagged_sentences.TYPES)


def test_some_names_are_of_several_types(splits: dict[ModuleType, Any]) -> None:
    types: dict[str, set[str]] = {}
    for example in splits[tagged_sentences]["train"].to_pylist():
        for word, tag in zip(example["tokens"], example["tags"], strict=True):
            types.setdefault(word, set()).add(tag[2:])
    for name in ("Jordan", "Paris", "Washington", "Rose", "Amazon"):
        assert len(types[name]) >= 3, name
    assert {"organization", "product"} <= types["Apple"]


def test_the_import_is_light() -> None:
    program = (
        "import sys, stages.sources.demo.shop_messages, stages.sources.demo.tagged_sentences;"
        "print([name for name in ('torch', 'datasets', 'pandas', 'transformers') if name in sys.modules])"
    )
    assert printed_by(program).strip() == "[]"
