"""Forms that public corpora have in their authors' own files: each is read as what it is, or refused in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from stages.configuration.schema import FilesData
from stages.pipeline.errors import DataError
from tests.support.canonical_data import Made, made_of
from tests.support.tables import written
from tests.support.told import told

_WIDE = "bc/a/00/a_0001   0   {}  {} {}  {}  -  -  -  Speaker#1 {}  -\n"


def of_2012(*words: tuple[str, str]) -> str:
    """A sentence of CoNLL 2012, with a column of predicates between entities and chains."""
    return "".join(
        _WIDE.format(place, word, "NN", "(TOP*)", f"{tag}   (V*)") for place, (word, tag) in enumerate(words)
    )


def universal(*words: tuple[str, str, str]) -> str:
    return "".join(f"{number}\t{word}\t_\t{tag}\t_\t_\t0\troot\t_\tSpaceAfter=No\n" for number, word, tag in words)


WORDS: dict[str, tuple[str, str, list[list[tuple[str, str]]]]] = {
    "CoNLL 2012": (
        "a.conll",
        "#begin document (bc/a/00/a_0001); part 000\n"
        + of_2012(("Hong", "(GPE*"), ("Kong", "*"), ("Bay", "*)"), ("Bo", "(PERSON)"), ("ran", "*"))
        + "\n" + of_2012(("no", "*")) + "\n#end document\n",
        [[("Hong", "B-GPE"), ("Kong", "I-GPE"), ("Bay", "I-GPE"), ("Bo", "B-PERSON"), ("ran", "O")], [("no", "O")]],
    ),
    "brackets": ("a.conll", "Ana (PER)\nLo (LOC*\nBay *)\nso *\n\nno *\n",
        [[("Ana", "B-PER"), ("Lo", "B-LOC"), ("Bay", "I-LOC"), ("so", "O")], [("no", "O")]]),
    "CoNLL-U under another name": (
        "a.conll",
        "# sent_id = 1\n" + universal(("1-2", "vámonos", "_"), ("1", "vamos", "VERB"), ("2", "nos", "PRON"), ("2.1", "x", "X"))
        + "\n" + universal(("1", "sí", "ADV")),
        [[("vamos", "VERB"), ("nos", "PRON")], [("sí", "ADV")]],
    ),
    "ranges among numbered words": (
        "a.conll", "1\tal\tB-x\tO\n2-3\tdel\t_\t_\n2\tde\tO\tO\n3\tel\tI-x\tO\n\n1\tno\tO\tO\n",
        [[("al", "B-x"), ("de", "O"), ("el", "I-x")], [("no", "O")]],
    ),
    "tags before words": ("a.bio", "O\twhat\nB-Actor\ttom\nI-Actor\thanks\n\nO\tso\n",
        [[("what", "O"), ("tom", "B-Actor"), ("hanks", "I-Actor")], [("so", "O")]]),
    "WikiAnn's languages": ("train", "zh-yue:R.H. B-ORG\nzh-yue:: O\n\nzh-yue:it O\n",
        [[("R.H.", "B-ORG"), (":", "O")], [("it", "O")]]),
    "words that begin like a language": ("a.conll", "re:R.H. B-ORG\nso O\n\nre:it O\n",
        [[("re:R.H.", "B-ORG"), ("so", "O")], [("re:it", "O")]]),
    "prefixes without a type": ("a.conll", "A B-\nB I-\nC O\n\nD O\n", [[("A", "B-_"), ("B", "I-_"), ("C", "O")], [("D", "O")]]),
    "NumPy's lists in CSV": (
        "a.csv", "tokens,ner_tags\n\"['a' \"\"it's\"\"\n 'b,']\",\"['O' 'B-x' 'I-x']\"\n\"[' ', 'c']\",\"['O', 'O']\"\n",
        [[("a", "O"), ("it's", "B-x"), ("b,", "I-x")], [(" ", "O"), ("c", "O")]],
    ),
}  # fmt: skip


def made(path: Path, kind: str, test: Path | None = None, **settings: Any) -> Made:
    options = {"validation_fraction": 0.4, "fail_on": "never", **settings}
    return made_of(FilesData(name="a", kind=kind, source="files", train=str(path), test=str(test or path), **options))


@pytest.mark.parametrize("form", WORDS)
def test_words_and_their_tags_are_read_as_what_they_are(form: str, tmp_path: Path) -> None:
    name, content, expected = WORDS[form]
    test = made(written(tmp_path, name, content), "tokens").splits["test"]
    names = test.features["tags"].feature.names
    read = [[(word, names[tag]) for word, tag in zip(row["tokens"], row["tags"], strict=True)] for row in test]
    assert read == expected


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl"])
def test_joined_words_may_lack_tags_in_test(form: str, tmp_path: Path) -> None:
    rows: list[dict[str, str]] = [{"text": "Ana\xa0Lo is", "tags": "B-x O"}, {"text": "no", "tags": "O"}]

    def as_file(name: str, found: list[dict[str, str]]) -> Path:
        separator = "\t" if form == "tsv" else ","
        table = [separator.join(found[0]), *(separator.join(row.values()) for row in found)]
        return written(tmp_path, f"{name}.{form}", "\n".join(map(json.dumps, found) if form == "jsonl" else table))

    test = made(as_file("a", rows), "tokens", as_file("b", [{"text": "Bo\xa0Li ran"}])).splits["test"]
    assert (test["tokens"][:], test["tags"][:]) == ([["Bo\xa0Li", "ran"]], [[-1, -1]])


def test_lists_of_words_in_a_tsv_are_no_words_themselves(tmp_path: Path) -> None:
    content = 'tokens\tner_tags\n["Ana", "is"]\t["B-x", "O"]\n[\'no\']\t[\'O\']\n'
    test = made(written(tmp_path, "a.tsv", content), "tokens").splits["test"]
    assert test["tokens"][:] == [["Ana", "is"], ["no"]]
    assert test.features["tags"].feature.names == ["O", "B-x"]


@pytest.mark.parametrize(
    ("suffix", "expected"), [(".jsonl.zst", "Zstandard; unpack it first with `unzstd`"), (".csv.lz4", "is compressed in a way")]
)  # fmt: skip
def test_what_is_compressed_otherwise_is_refused_by_its_name(suffix: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        made(written(tmp_path, f"a{suffix}", b"\x00 what it holds"), "text")
    assert expected in told(error)
