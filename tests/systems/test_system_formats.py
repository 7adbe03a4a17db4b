"""Gold and predictions of any system: every format gives the same table."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.scoring.evaluation.scoring import ScoringOptions, score_predictions
from tests.support.joined_files import labels, pair, write_rows

Sentence: TypeAlias = Sequence[tuple[str, str]]
"""Words with their tags."""


# Words in every format


def conll(path: Path, sentences: Sequence[Sentence]) -> None:
    path.write_text("\n".join("".join(f"{word}\tNN\t{tag}\n" for word, tag in sentence) for sentence in sentences))


def spaced_conll(path: Path, sentences: Sequence[Sentence]) -> None:
    path.write_text("\n".join("".join(f"{word} {tag}\n" for word, tag in sentence) for sentence in sentences))


def conllu(path: Path, sentences: Sequence[Sentence]) -> None:
    blocks = []
    for number, sentence in enumerate(sentences):
        lines = [f"# sent_id = {number}", "1-2\tjoined" + "\t_" * 8]
        lines += [f"{place}\t{word}\t_\t{tag}" + "\t_" * 5 + "\tSpaceAfter=No" for place, (word, tag) in rows(sentence)]
        blocks.append("\n".join([*lines, f"{len(sentence)}.1\tempty" + "\t_" * 8]) + "\n\n")
    path.write_text("".join(blocks))


def rows(sentence: Sentence) -> Sequence[tuple[int, tuple[str, str]]]:
    return list(enumerate(sentence, start=1))


def word_rows(sentences: Sequence[Sentence], role: str) -> list[dict[str, Any]]:
    return [
        {"id": f"s{number}", "word": place, "token": word, role: tag}
        for number, sentence in enumerate(sentences)
        for place, (word, tag) in enumerate(sentence)
    ]


def parquet(role: str) -> Callable[[Path, Sequence[Sentence]], None]:
    return lambda path, sentences: pq.write_table(pa.Table.from_pylist(word_rows(sentences, role)), path)


def parquet_lists(role: str) -> Callable[[Path, Sequence[Sentence]], None]:
    return lambda path, sentences: pq.write_table(pa.Table.from_pylist(sentence_rows(sentences, role)), path)


def sentence_rows(sentences: Sequence[Sentence], role: str) -> list[dict[str, Any]]:
    return [{"tokens": [word for word, _ in sentence], role: [tag for _, tag in sentence]} for sentence in sentences]


def json_lines(role: str) -> Callable[[Path, Sequence[Sentence]], None]:
    def written(path: Path, sentences: Sequence[Sentence]) -> None:
        path.write_text("".join(json.dumps(row) + "\n" for row in sentence_rows(sentences, role)))

    return written


def json_array(role: str) -> Callable[[Path, Sequence[Sentence]], None]:
    return lambda path, sentences: path.write_text(json.dumps(sentence_rows(sentences, role), indent=1)) and None


def delimited(role: str, separator: str) -> Callable[[Path, Sequence[Sentence]], None]:
    def written(path: Path, sentences: Sequence[Sentence]) -> None:
        table = word_rows(sentences, role)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(table[0]), delimiter=separator, quoting=csv.QUOTE_ALL)
            writer.writeheader()
            writer.writerows(table)

    return written


def tags_per_line(path: Path, sentences: Sequence[Sentence]) -> None:
    path.write_text("".join(" ".join(tag for _, tag in sentence) + "\n" for sentence in sentences))


def tag_a_line(path: Path, sentences: Sequence[Sentence]) -> None:
    path.write_text("".join(f"{tag}\n" for sentence in sentences for _, tag in sentence))


WORD_FORMATS: dict[str, Callable[[str], Callable[[Path, Sequence[Sentence]], None]]] = {
    "a.conll": lambda _: conll,
    "a.txt": lambda _: spaced_conll,
    "a.conllu": lambda _: conllu,
    "unnamed": lambda _: conllu,
    "a.parquet": parquet,
    "lists.parquet": parquet_lists,
    "a.jsonl": json_lines,
    "json.txt": json_lines,
    "a.json": json_array,
    "a.csv": lambda role: delimited(role, ","),
    "a.tsv": lambda role: delimited(role, "\t"),
}
PREDICTIONS_ALONE: dict[str, Callable[[str], Callable[[Path, Sequence[Sentence]], None]]] = {
    "predictions.txt": lambda _: tags_per_line,
    "tags.txt": lambda _: tag_a_line,
}

words = st.text(st.characters(categories=["L", "Nd"], codec="utf-8"), min_size=1, max_size=6)
tagged = st.tuples(words, st.sampled_from(["O", "B-per", "I-per", "B-loc"]), st.sampled_from(["O", "B-per", "I-per"]))
texts_of_words = st.lists(st.lists(tagged, min_size=1, max_size=5), min_size=1, max_size=5)


@given(texts_of_words, st.sampled_from([*WORD_FORMATS]), st.sampled_from([*WORD_FORMATS, *PREDICTIONS_ALONE]))
@settings(max_examples=150)
def test_words_are_the_same_in_every_format(
    sentences: list[list[tuple[str, str, str]]], gold_format: str, predicted_format: str
) -> None:
    with TemporaryDirectory() as folder:
        gold, predicted = Path(folder, f"g-{gold_format}"), Path(folder, f"p-{predicted_format}")
        WORD_FORMATS[gold_format]("gold")(gold, [[(word, tag) for word, tag, _ in each] for each in sentences])
        formats = {**WORD_FORMATS, **PREDICTIONS_ALONE}
        formats[predicted_format]("predicted")(
            predicted, [[(word, tag) for word, _, tag in each] for each in sentences]
        )
        table = pair(gold, predicted)
    flat = [row for sentence in sentences for row in sentence]
    assert labels(table) == ([tag for _, tag, _ in flat], [tag for _, _, tag in flat])
    assert table["word"].to_pylist() == [place for sentence in sentences for place in range(len(sentence))]
    assert table["token"].to_pylist() == [word for word, _, _ in flat]


@given(
    texts_of_words, st.sampled_from(["a.conll", "a.parquet", "lists.parquet", "a.jsonl", "a.json", "a.csv", "a.tsv"])
)
def test_one_file_may_hold_gold_and_predictions_of_words(
    sentences: list[list[tuple[str, str, str]]], form: str
) -> None:
    flat = [row for sentence in sentences for row in sentence]
    with TemporaryDirectory() as folder:
        path = Path(folder, form)
        if form == "a.conll":
            blocks = ["".join(f"{word} {gold} {predicted}\n" for word, gold, predicted in each) for each in sentences]
            path.write_text("\n".join(blocks))
        else:
            golds, guesses = ([[(row[0], row[at]) for row in each] for each in sentences] for at in (1, 2))
            of = sentence_rows if form in ("lists.parquet", "a.jsonl", "a.json") else word_rows
            both = [{**g, **p} for g, p in zip(of(golds, "gold"), of(guesses, "predicted"), strict=True)]
            write_rows(path, both)
        table = pair(path)
    assert labels(table) == ([tag for _, tag, _ in flat], [tag for _, _, tag in flat])
    assert table["word"].to_pylist() == [place for sentence in sentences for place in range(len(sentence))]


# Texts in every format

label = st.text(st.characters(categories=["L", "Nd"], codec="utf-8"), min_size=1, max_size=8)
TEXT_FORMATS = ["a.parquet", "a.json", "a.jsonl", "a.csv", "a.tsv", "a.txt"]


@given(
    st.lists(st.tuples(label, label), min_size=1, max_size=8),
    st.sampled_from(TEXT_FORMATS),
    st.sampled_from(TEXT_FORMATS),
    st.booleans(),
)
@example([("007", "7"), ("NA", "nan"), ("true", "null")], "a.csv", "a.json", False)
def test_labels_are_the_same_in_every_format(
    pairs: list[tuple[str, str]], gold_format: str, predicted_format: str, has_ids: bool
) -> None:
    with TemporaryDirectory() as folder:
        paths = [Path(folder, f"{role}-{name}") for role, name in (("g", gold_format), ("p", predicted_format))]
        for at, (path, role) in enumerate(zip(paths, ("label", "predicted"), strict=True)):
            ids = [{"id": f"x{number}"} if has_ids else {} for number in range(len(pairs))]
            write_rows(path, [{**id_, role: both[at]} for id_, both in zip(ids, pairs, strict=True)])
        table = pair(*paths)
    assert labels(table) == ([gold for gold, _ in pairs], [guess for _, guess in pairs])


@given(st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 2), min_size=2), *[st.sampled_from(TEXT_FORMATS)] * 2)
def test_numbers_are_the_same_in_every_format(
    pairs: list[tuple[float, float]], gold_format: str, predicted_format: str
) -> None:
    with TemporaryDirectory() as folder:
        paths = [Path(folder, f"{role}-{name}") for role, name in (("g", gold_format), ("p", predicted_format))]
        for at, (path, role) in enumerate(zip(paths, ("gold", "prediction"), strict=True)):
            write_rows(path, [{role: both[at]} for both in pairs])
        table = pair(*paths)
    assert labels(table) == ([gold for gold, _ in pairs], [guess for _, guess in pairs])
    assert table["gold"].type == table["predicted"].type == pa.float64()


def test_the_scores_of_a_real_test_split_are_the_same_in_every_format(wnut17: Path, tmp_path: Path) -> None:
    real = wnut17 / "emerging.test.annotated"
    sentences: list[list[tuple[str, str]]] = [[]]
    for line in real.read_text(encoding="utf-8").splitlines():
        if line.strip():
            sentences[-1].append((line.split("\t")[0], line.split("\t")[1]))
        elif sentences[-1]:
            sentences.append([])
    sentences = [sentence for sentence in sentences if sentence]
    guessed = [[(word, "O" if len(word) % 5 == 0 else tag) for word, tag in sentence] for sentence in sentences]
    parquet("gold")(tmp_path / "gold.parquet", sentences)
    found = {}
    for name, form in {**WORD_FORMATS, **PREDICTIONS_ALONE}.items():
        form("predicted")(tmp_path / f"w-{name}", guessed)
        table = pair(real if name == "a.conll" else tmp_path / "gold.parquet", tmp_path / f"w-{name}")
        found[name] = score_predictions(table, ScoringOptions(resamples=0)).headline_json()
    assert len(sentences) == 1287 and 0.5 < found["a.conll"]["f1"] < 0.9  # type: ignore[operator]
    assert all(scores == found["a.conll"] for scores in found.values()), found
