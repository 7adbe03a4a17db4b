"""Gold and predictions of any system: columns are chosen, rows joined, and what is wrong is told with its row."""

import gzip
import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, LargeList, List, Value

from stages.pipeline.errors import ConfigError, DataError, UserError
from stages.systems.joining import Columns, read_pair, with_ids
from tests.support.joined_files import labels, pair, write, write_rows
from tests.support.told import told


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Columns

UD = """\
# text = dámelo
1-2	dámelo	_	_	_	_	_	_	_	_
1	da	dar	VERB	V	_	0	root	_	SpaceAfter=No
2	melo	lo	PRON	P	_	1	obj	_	_
2.1	nada	_	X	Z	_	_	_	_	_
"""


def test_conllu_is_scored_on_the_tag_that_is_chosen() -> None:
    write("g.conllu", UD)
    write("p.conllu", UD.replace("PRON", "DET"))
    assert labels(pair("g.conllu", "p.conllu")) == (["VERB", "PRON"], ["VERB", "DET"])
    assert labels(pair("g.conllu", "p.conllu", columns=["XPOS"])) == (["V", "P"], ["V", "P"])
    assert labels(pair("g.conllu", "p.conllu", columns=[1, 7])) == (["root", "obj"], ["root", "obj"])
    assert labels(pair("g.conllu", "p.conllu", columns=["XPOS"], predicted=["FORM", "upos"]))[1] == ["VERB", "DET"]
    assert labels(pair("g.conllu", columns=["FORM", "UPOS", "XPOS"])) == (["VERB", "PRON"], ["V", "P"])


def test_columns_of_tables_are_chosen_by_name_or_place() -> None:
    write("g.csv", "text,sort,id\nhello,x,a\nbye,y,b\n")
    write("p.json", '[{"guess": "y", "id": "b"}, {"guess": "x", "id": "a"}]')
    expected = (["x", "y"], ["x", "y"])
    assert labels(pair("g.csv", "p.json", columns=["sort"], predicted=["guess"])) == expected
    write("bare.csv", "hello,x\nbye,y\n")
    write("guess.txt", "x\ny\n")
    assert labels(pair("bare.csv", "guess.txt", columns=[1])) == expected
    write("gold.parquet", {"tokens": [["A", "b"]], "upos": [["NOUN", "X"]], "ner": [["B-p", "O"]]})
    write("guess.conll", "A\tB-p\nb\tO\n")
    assert labels(pair("gold.parquet", "guess.conll", columns=["tokens", "ner"])) == (["B-p", "O"], ["B-p", "O"])


def test_predictions_of_conll_have_columns_of_their_own() -> None:
    write("g.conll", "A NN B-p\nb VB O\n")
    write("p.conll", "1 A O B-p\n2 b O O\n")
    assert labels(pair("g.conll", "p.conll", predicted=[1, 2]))[1] == ["O", "O"]
    with pytest.raises(DataError) as error:
        pair("g.conll", "p.conll")
    assert "p.conll, line 1: has the word '1' where g.conll, line 1 has 'A'" in told(error)


def test_integers_go_by_the_names_that_the_gold_file_tells() -> None:
    features = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["neg", "pos"]}}}}
    schema = pa.schema([("label", pa.int64())], metadata={"huggingface": json.dumps(features)})
    pq.write_table(pa.table({"label": [0, 1, 1]}, schema=schema), "g.parquet")
    write("p.txt", "pos\npos\nneg\n")
    pq.write_table(pa.table({"label": [0, 2]}, schema=schema), "outside.parquet")
    with pytest.raises(DataError) as error:
        pair("outside.parquet", "p.txt")
    assert "outside.parquet: label has the label 2, and names for 0 to 1" in told(error)
    write("p.parquet", {"predicted": [1, 1, 0]})
    for predicted in ("p.txt", "p.parquet"):
        assert labels(pair("g.parquet", predicted)) == (["neg", "pos", "pos"], ["pos", "pos", "neg"])


@pytest.mark.parametrize("form", [LargeList, partial(List, length=2)], ids=["large", "of fixed size"])
def test_integers_go_by_their_names_in_any_form_of_list(form: Callable[[ClassLabel], Any]) -> None:
    features = Features({"tokens": List(Value("string")), "tags": form(ClassLabel(names=["O", "B-x"]))})
    Dataset.from_dict({"tokens": [["u", "v"]], "tags": [[1, 0]]}, features=features).to_parquet("g.parquet")
    write("p.txt", "B-x O\n")
    assert labels(pair("g.parquet", "p.txt")) == (["B-x", "O"], ["B-x", "O"])


def test_a_split_that_download_wrote_is_gold(here: Path) -> None:
    features = Features(
        {"id": Value("string"), "tokens": List(Value("string")), "tags": List(ClassLabel(names=["O", "B-x"]))}
    )
    rows = {"id": ["a", "b"], "tokens": [["u", "v"], ["w"]], "tags": [[1, 0], [1]]}
    Dataset.from_dict(rows, features=features).save_to_disk("raw/test")
    write("p.csv", "id,word,predicted\nb,0,O\na,1,O\na,0,B-x\n")
    assert labels(pair("raw/test", "p.csv")) == (["B-x", "O", "B-x"], ["B-x", "O", "O"])
    assert pair("raw/test", "p.csv")["token"].to_pylist() == ["u", "v", "w"]
    write("unlabelled.parquet", {"tokens": [["u"]], "predicted": [["O"]]})
    Dataset.from_dict({"id": ["a"], "tokens": [["u"]], "tags": [[-1]]}, features=features).save_to_disk("raw/blind")
    with pytest.raises(DataError) as error:
        pair("raw/blind", "unlabelled.parquet")
    assert "raw/blind, row 1: gold is not known" in told(error)


@pytest.mark.parametrize("name", ["g.conll", "g.parquet", "g.jsonl", "g.csv"])
def test_compressed_files_are_read(name: str) -> None:
    write("p.txt", "x\ny\n" if name != "g.conll" else "O\n")
    {"g.conll": lambda: write(name, "A\tO\n"), "g.parquet": lambda: write(name, {"gold": ["x", "y"]})}.get(
        name, lambda: write_rows(Path(name), [{"gold": "x"}, {"gold": "y"}])
    )()
    Path(f"{name}.gz").write_bytes(gzip.compress(Path(name).read_bytes()))
    assert labels(pair(f"{name}.gz", "p.txt")) == labels(pair(name, "p.txt"))


def test_a_lone_column_may_have_its_name_in_the_first_line() -> None:
    write("g.txt", "label\nx\ny\n")
    write("p.txt", "prediction\ny\ny\n")
    write("run_classification.txt", "index\tprediction\n0\ty\n1\ty\n")
    expected = (["x", "y"], ["y", "y"])
    assert labels(pair("g.txt", "p.txt")) == labels(pair("g.txt", "run_classification.txt")) == expected
    write("words.txt", "label\nx\nlabel\n")
    assert labels(pair("words.txt", "words.txt"))[0] == ["label", "x", "label"]


def test_numbers_may_come_with_any_score() -> None:
    write("both.parquet", {"gold": [1.5, 2.0], "predicted": [1.0, 2.0], "score": [4.2, -1.0]})
    assert labels(pair("both.parquet")) == ([1.5, 2.0], [1.0, 2.0])


# Joining


def test_words_of_another_spelling_are_joined_if_asked_for() -> None:
    write("g.conll", "``\tO\nA\tB-p\n\nb\tO\n")
    write("p.conll", '"\tO\nA\tO\n\nB\tO\n')
    joined = read_pair(Path("g.conll"), Path("p.conll"), Columns(), ignore_words=True)
    assert labels(joined.table) == (["O", "B-p", "O"], ["O", "O", "O"])
    assert joined.table["token"].to_pylist() == ["``", "A", "b"]
    assert joined.different_words == 2 and joined.note == "2 words differ from gold (--ignore-words)"
    write("other.conll", '"\tO\n\nA\tO\nB\tO\n')
    with pytest.raises(DataError) as error:
        pair("g.conll", "other.conll", ignore_words=True)
    assert "other.conll, line 1: has 1 tags where the sentence of g.conll, line 1 has 2 words" in told(error)


def test_files_without_ids_are_joined_in_order_and_get_ids_from_others() -> None:
    write("g.parquet", {"gold": [1, 0], "id": [7, 8]})
    write("p.csv", "predicted\n1\n1\n")
    table = pair("g.parquet", "p.csv")
    assert labels(table) == (["1", "0"], ["1", "1"])
    bare = pair("p.csv", columns=["predicted", "predicted"])
    assert [each["id"].to_pylist() for each in with_ids([table, bare])] == [["7", "8"], ["7", "8"]]
    assert with_ids([bare])[0]["id"].to_pylist() == ["1", "2"]


def test_words_of_shuffled_rows_stand_in_their_sentences() -> None:
    columns = {"id": ["t", "s", "s"], "word": [0, 1, 0], "gold": ["O", "I-p", "B-p"], "predicted": ["O", "O", "B-p"]}
    table = pair(write("both.parquet", columns))
    assert table["word"].to_pylist() == [0, 0, 1] and table["gold"].to_pylist() == ["O", "B-p", "I-p"]


def test_rows_that_share_a_sentences_id_are_its_words() -> None:
    write("both.csv", "id,token,gold,predicted\ns,A,B-p,B-p\ns,b,I-p,O\nt,c,O,O\n")
    assert pair("both.csv")["word"].to_pylist() == [0, 1, 0]


def test_predictions_of_words_may_have_their_sentences_id_alone() -> None:
    write(
        "g.jsonl",
        '{"id": "s", "tokens": ["A", "b"], "tags": ["B-p", "O"]}\n{"id": "t", "tokens": ["c"], "tags": ["O"]}\n',
    )
    write("p.csv", "id,predicted\nt,O\ns,B-p\ns,B-p\n")
    assert labels(pair("g.jsonl", "p.csv")) == (["B-p", "O", "O"], ["B-p", "B-p", "O"])


def test_scores_of_words_may_stand_in_lists() -> None:
    write("both.json", '[{"gold": ["B-p", "O"], "predicted": ["O", "O"], "score": [0.5, 0.25]}]')
    assert pair("both.json")["score"].to_pylist() == [0.5, 0.25]
    write("short.json", '[{"gold": ["B-p", "O"], "predicted": ["O", "O"], "score": [0.5]}]')
    with pytest.raises(DataError) as error:
        pair("short.json")
    assert "short.json, row 1: score has 1 entries and gold has 2; give every word one of each" in told(error)


def test_a_tag_a_line_has_sentences_where_lines_are_blank() -> None:
    write("g.txt", "B-p\nI-p\n\nO\n")
    write("p.txt", "B-p\nO\n\nO\n")
    assert pair("g.txt", "p.txt")["word"].to_pylist() == [0, 1, 0]
    write("other.txt", "B-p\n\nO\nO\n")
    with pytest.raises(DataError) as error:
        pair("g.txt", "other.txt")
    assert "other.txt, line 1: has 1 tags where the sentence of g.txt, line 1 has 2 words" in told(error)


def test_lists_are_label_sets_where_nothing_makes_them_tags() -> None:
    write("g.jsonl", '{"labels": ["p", "q"]}\n{"labels": []}\n')
    write("p.parquet", {"prediction": [["q"], ["p", "q"]]})
    assert labels(pair("g.jsonl", "p.parquet")) == ([["p", "q"], []], [["q"], ["p", "q"]])


def test_other_columns_come_along_if_they_are_of_one_type() -> None:
    write(
        "p.jsonl",
        '{"gold": "x", "predicted": "x", "a": 1, "b": "u"}\n{"gold": "y", "predicted": "x", "a": "v", "b": "w"}\n',
    )
    assert pair("p.jsonl").column_names == ["gold", "predicted", "b"]


def test_what_a_predictions_file_says_of_itself_stays() -> None:
    table = pa.table({"gold": ["a"], "predicted": ["a"]}, metadata={"stagewright.task": "text", "pandas": "{}"})
    pq.write_table(table, "own.parquet")
    assert pair("own.parquet").schema.metadata == {b"stagewright.task": b"text"}


# What is odd

GOOD = {"g.csv": "id,gold\na,x\nb,y\n", "n.csv": "id,gold\na,0.5\nb,1\n", "w.conll": "A\tB-p\nb\tO\n\nc\tO\n"}
GOOD["s.csv"] = "id,word,token,gold\na,0,u,B-p\na,1,v,O\n"
GOOD["pos.conll"] = "A DET\nb NOUN\n\nc VERB\n"
PAIRS = [
    ("g.csv", "p.csv", "id,predicted\na,x\na,y\n", "p.csv: id occur twice: 'a' in line 3 as in line 2"),
    ("g.csv", "p.csv", "id,predicted\na,x\nc,y\n", "p.csv: has no prediction of g.csv, line 3 (b)"),
    ("g.csv", "p.csv", "id,predicted\na,x\nb,\n", "p.csv, line 3: predicted is not known"),
    ("g.csv", "p.csv", "id,predicted,score\na,x,9\nb,x,0.5\n", "p.csv, line 2: score is 9, and a probability is"),
    ("g.csv", "p.csv", "id,predicted,score\na,x,1\nb,x,nan\n", "p.csv, line 3: score is NaN; write a finite number"),
    ("g.csv", "p.csv", "id,predicted,score\na,x,1\nb,x,high\n", "p.csv, line 3: score is 'high', not a number"),
    ("n.csv", "p.csv", "id,predicted\na,0.5\nb,inf\n", "p.csv, line 3: predicted is infinite"),
    ("n.csv", "p.csv", "id,predicted\na,0.5\nb,?\n", "p.csv, line 3: predicted is '?', not a number"),
    ("n.csv", "p.jsonl", '{"predicted": 1}\n{"predicted": NaN}\n', "p.jsonl, line 2: is not JSON (NaN is not JSON"),
    ("g.csv", "p.jsonl", '{"predicted": 1}\n{"predicted": "x"}\n', "p.jsonl, line 2: predicted is text, and a number"),
    (
        "g.csv",
        "p.jsonl",
        '{"predicted": ["x"]}\n{"predicted": ["y"]}\n',
        "g.csv: has one label per row where p.jsonl has a",
    ),
    ("g.csv", "p.csv", "id,guess\na,x\nb,y\n", "choose one of id, guess with --predicted-columns"),
    ("g.csv", "p.txt", "x\n\n\n", "p.txt: has 1 rows where g.csv has 2"),
    ("g.csv", "p.txt", "\ny\n", "p.txt, line 1: predicted is not known"),
    ("w.conll", "p.txt", "B-p\nO\n", "p.txt: has 2 rows where w.conll has 3"),
    ("w.conll", "p.txt", "B-p O\n", "p.txt: has 1 sentences where w.conll has 2"),
    ("w.conll", "p.txt", "B-p O O\n", "p.txt, line 1: has 3 tags where the sentence of w.conll, line 1 has 2 words"),
    (
        "w.conll",
        "p.jsonl",
        '{"tags": ["O"]}\n{"tags": ["O"]}\n',
        "p.jsonl, line 1: has 1 tags where the sentence of w.conll",
    ),
    (
        "pos.conll",
        "p.txt",
        "DET NOUN X\nVERB\n",
        "p.txt, line 1: has 3 tags where the sentence of pos.conll, line 1 has 2",
    ),
    (
        "s.csv",
        "p.csv",
        "id,word,token,predicted\na,0,u,O\na,1,V,O\n",
        "p.csv, line 3: has the word 'V' where s.csv, line 3",
    ),
    (
        "s.csv",
        "p.csv",
        "id,word,token,predicted\na,0,u,O\na,one,v,O\n",
        "p.csv, line 3: word is 'one', not a whole number",
    ),
    (
        "s.csv",
        "p.csv",
        "id,word,token,predicted\na,0,u,O\na,,v,O\n",
        "p.csv, line 3: word is not known; number all rows",
    ),
    (
        "s.csv",
        "p.csv",
        "id,predicted\na,O\nb,O\n",
        "p.csv, line 2: is the only prediction of a, and s.csv has several words of it (the second in line 3)",
    ),
    (
        "s.csv",
        "p.json",
        '[{"predicted": ["O"]}, {"predicted": null}]',
        "p.json, row 2: predicted is not known; give each",
    ),
    ("g.csv", "p.json", '[{"predicted": ["x"]}, {"predicted": [1]}]', "p.json: predicted has values of several types"),
    (
        "g.csv",
        "p.json",
        '[{"predicted": "x", "score": [1]}]',
        "p.json: score has list<item: int64> values, not numbers",
    ),
    ("w.conll", "p.xlsx", "PK\x03\x04", "p.xlsx: is a damaged ZIP archive (Excel workbooks are ZIP archives)"),
    ("w.conll", "p.txt", " \n", "p.txt: is empty; give a file with gold or predictions"),
    ("w.conll", "p.pkl", "x", "p.pkl: unpickling runs whatever code the file holds"),
]


@pytest.mark.parametrize(("gold", "name", "content", "message"), PAIRS)
def test_files_that_do_not_fit_are_told_with_file_and_row(gold: str, name: str, content: str, message: str) -> None:
    write(gold, GOOD[gold])
    write(name, content)
    with pytest.raises(DataError) as error:
        pair(gold, name)
    assert message in told(error)


TABLES: list[tuple[dict[str, Any], str]] = [
    ({"gold": [1.0, math.nan], "predicted": [1.0, 2.0]}, "both.parquet, row 2: gold is NaN"),
    ({"gold": [1.0, 2.0], "predicted": [math.inf, 2.0]}, "both.parquet, row 1: predicted is infinite"),
    ({"gold": ["a", None], "predicted": ["a", "a"]}, "both.parquet, row 2: gold is not known; label it"),
    ({"gold": ["a", "b"], "predicted": ["a", None]}, "both.parquet, row 2: predicted is not known"),
    ({"gold": [["a"], [None]], "predicted": [["a"], ["b"]]}, "both.parquet, row 2: gold has a label that is null"),
    (
        {"gold": ["a"], "predicted": ["a"], "probabilities": [{"a": 9.0}]},
        "row 1: probabilities.a is 9, and a probability",
    ),
    ({"gold": ["a"], "predicted": ["a"], "probabilities": [{"a": math.nan}]}, "row 1: probabilities.a is NaN"),
    (
        {"gold": ["a"], "predicted": ["a"], "score": [-0.5]},
        "row 1: score is -0.5, and a probability is between 0 and 1",
    ),
    ({"gold": ["a"], "predicted": ["a"], "score": pa.array([None], pa.float64())}, "row 1: score is null"),
    ({"gold": ["a"], "predicted": ["a"], "loss": [math.inf]}, "row 1: loss is infinite"),
    ({"gold": [b"a"], "predicted": [b"a"]}, "gold of type binary is neither labels, nor lists of labels, nor numbers"),
    ({"gold": ["a"] * 2, "predicted": ["a"] * 2, "id": ["x", None]}, "row 2: id is not known"),
    (
        {"gold": ["O"] * 2, "predicted": ["O"] * 2, "id": ["x"] * 2, "word": [0] * 2},
        "id and word occur twice: 'x' in row 2",
    ),
    (
        {"gold": ["O"] * 2, "predicted": ["O"] * 2, "id": ["x"] * 2, "word": [1, 2]},
        "row 1: word is 1, which does not continue",
    ),
    (
        {"gold": ["O"] * 2, "predicted": ["O"] * 2, "id": ["x", "y"], "word": [0, 1]},
        "row 2: word is 1, which does not continue",
    ),
    ({"gold": ["O"] * 2, "predicted": ["O"] * 2, "word": [0, 2]}, "row 2: word is 2, which does not continue"),
    ({"gold": ["O"], "predicted": ["O"], "word": [0.5]}, "word holds more than whole numbers"),
    ({"gold": pa.array([], pa.string()), "predicted": pa.array([], pa.string())}, "both.parquet: holds no examples"),
    ({"gold": ["a"]}, "its predictions have no column 'predicted'; choose one of gold with --columns"),
]


@pytest.mark.parametrize(("columns", "message"), TABLES)
def test_rows_that_can_not_be_scored_are_told(columns: dict[str, Any], message: str) -> None:
    write("both.parquet", columns)
    with pytest.raises(DataError) as error:
        pair("both.parquet")
    assert message in told(error)


ALONE: list[tuple[str, str | bytes, list[Any] | None, str]] = [
    (
        "a.txt",
        "x\ny\n",
        None,
        "a.txt: holds one label per line, which can't be both gold and predicted; give two files",
    ),
    ("a.txt", "the O O\n\n# O B-y\nx B-x B-x\n", None, "a.txt: a line that begins with # is a comment by one column"),
    ("a.txt", "B-x O\nO\n", None, "a.txt: holds the tags of one sentence per line, which can't be both"),
    ("a.conllu", UD, None, "is CoNLL-U, which has one tag of each kind"),
    ("a.conllu", UD, ["FORM", "UPOS", "WORD"], "--columns WORD: a.conllu is CoNLL-U; choose from ID, FORM"),
    ("a.conllu", UD, ["FORM", "UPOS", "FEATS"], "a.conllu: FEATS is _ for every word; choose another column"),
    ("a.conllu", UD, ["UPOS"], "--columns: a.conllu is CoNLL-U; give"),
    (
        "a.csv",
        "gold,predicted\nx,y\n",
        ["label"],
        "--columns label: a.csv has no such column; choose from gold, predicted",
    ),
    ("a.csv", "gold,predicted\nx,y\n", ["gold"], "--columns: give GOLD,PREDICTED of a.csv"),
    ("a.csv", "gold,predicted\nx,y\n", [0, 1], "a.csv, line 1 looks like the columns' names (gold, predicted)"),
    ("a.conll", "token gold predicted\nA O O\n\nb O O\n", None, "a.conll, line 1: names columns, and blank lines part"),
    ("a.csv", "\xe9".encode("latin-1"), None, "a.csv, line 1: byte 0xe9 is not utf-8"),
    ("a.conll", "A O O\n", ["word", "gold", "tag"], "give WORD,GOLD,PREDICTED as 3 positions of a.conll"),
    ("a.tsv", "key\tsort\nu\tx\nv\ty\n", None, "a.tsv: its predictions have no column 'gold'; choose one of key, sort"),
]


@pytest.mark.parametrize(("name", "content", "columns", "message"), ALONE)
def test_one_file_that_does_not_hold_both_is_told(
    name: str, content: str | bytes, columns: list[Any] | None, message: str
) -> None:
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as error:
        pair(name, columns=columns)
    assert message in told(error)


def test_a_choice_of_columns_is_a_fault_of_the_command() -> None:
    write("a.csv", "gold,predicted\nx,y\n")
    with pytest.raises(ConfigError):
        pair("a.csv", columns=["gold", 7])
