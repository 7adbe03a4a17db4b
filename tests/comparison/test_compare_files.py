"""`stagewright compare` on files of any systems."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.comparison import compare as command
from stages.scoring import score

GOLD = [[("Ada", "B-per"), ("L.", "I-per"), ("in", "O")], [("Paris", "B-loc"), ("!", "O")], [("Bob", "B-per")]] * 6
WORSE = [[tag if number % 3 else "O" for _, tag in sentence] for number, sentence in enumerate(GOLD)]
BETTER = [[tag if number % 9 else "O" for _, tag in sentence] for number, sentence in enumerate(GOLD)]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    gold = [[tag for _, tag in sentence] for sentence in GOLD]
    for name, tags in {"gold": gold, "worse": WORSE, "better": BETTER}.items():
        blocks = [
            "".join(f"{word}\t{tag}\n" for (word, _), tag in zip(sentence, of_sentence, strict=True))
            for sentence, of_sentence in zip(GOLD, tags, strict=True)
        ]
        Path(f"{name}.conll").write_text("\n".join(blocks))
    Path("better.txt").write_text("".join(" ".join(tags) + "\n" for tags in BETTER))
    Path("better.jsonl").write_text("".join(json.dumps({"tags": tags}) + "\n" for tags in BETTER))


class Commands:
    """The two command lines, run in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def run(self, module: Any, *arguments: str) -> tuple[int, str, str]:
        """The exit status, and what is on standard output and standard error."""
        self.monkeypatch.setattr(sys, "argv", ["command", *arguments])
        try:
            module.main()
        except SystemExit as stopped:
            return int(stopped.code or 0), *self.capsys.readouterr()
        return 0, *self.capsys.readouterr()

    def compared(self, *arguments: str) -> Any:
        """The comparison."""
        status, out, err = self.run(command, *arguments, "--json", "-", "--resamples", "200")
        assert (status, err) == (0, "")
        return json.loads(out)

    def refused(self, module: Any, *arguments: str) -> str:
        """The one line that says why."""
        status, out, err = self.run(module, *arguments)
        assert (status, out) == (1, "") and err.count("\n") == 1
        return err


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(monkeypatch, capsys)


@pytest.mark.parametrize("better", ["better.conll", "better.txt", "better.jsonl"])
def test_systems_are_compared_on_one_gold_file(better: str, commands: Commands) -> None:
    found = commands.compared("--gold", "gold.conll", "worse.conll", better)
    first = {score["metric"]: score for score in found["runs"][1]["scores"]}["f1"]["value"]
    status, out, _ = commands.run(score, "gold.conll", "better.conll", "--json", "--resamples", "0")
    assert status == 0 and first == pytest.approx(json.loads(out)["f1"], abs=1e-6)
    changed = {each["id"] for each in found["pairs"][0]["changed"]}
    assert changed == {str(number + 1) for number in range(18) if number % 3 == 0 and number % 9}


def test_what_score_writes_and_one_file_with_both_are_compared(commands: Commands) -> None:
    for name in ("worse", "better"):
        assert (
            commands.run(score, "gold.conll", f"{name}.conll", "--out", f"{name}.parquet", "--resamples", "0")[0] == 0
        )
    expected = commands.compared("--gold", "gold.conll", "worse.conll", "better.conll")
    found = commands.compared("worse.parquet", "better.parquet")
    assert found["pairs"][0]["differences"] == expected["pairs"][0]["differences"]
    rows = pq.read_table("better.parquet").to_pylist()
    breaks = ["\n" if row["word"] == 0 else "" for row in rows]
    lines = [f"{line}{row['token']} {row['gold']} {row['predicted']}\n" for line, row in zip(breaks, rows, strict=True)]
    Path("both.conll").write_text("".join(lines))
    mixed = commands.compared("worse.parquet", "both.conll")
    assert mixed["pairs"][0]["differences"] == expected["pairs"][0]["differences"]


def test_words_of_another_spelling_are_told(commands: Commands) -> None:
    Path("lower.conll").write_text(Path("worse.conll").read_text().replace("Ada", "ada"))
    arguments = ("--gold", "gold.conll", "lower.conll", "better.conll", "--resamples", "200")
    assert "lower.conll, line 1: has the word 'ada'" in commands.refused(command, *arguments)
    status, _, err = commands.run(command, *arguments, "--ignore-words")
    assert (status, err) == (0, "lower.conll: 6 words differ from gold (--ignore-words)\n")


def test_without_ids_rows_are_in_order_and_with_ids_they_need_not_be(commands: Commands) -> None:
    gold, predicted = [0, 1, 1, 0, 1], [0, 0, 1, 0, 1]
    pq.write_table(pa.table({"gold": gold, "predicted": predicted}), "bare.parquet")
    pq.write_table(pa.table({"id": [5, 6, 7, 8, 9], "gold": gold, "predicted": gold}), "ids.parquet")
    rows = [(9, 1, 1), (8, 0, 0), (7, 1, 1), (6, 1, 1), (5, 0, 0)]
    Path("turned.csv").write_text("id,gold,predicted\n" + "".join(f"{i},{g},{p}\n" for i, g, p in rows))
    found = commands.compared("bare.parquet", "ids.parquet")
    assert [each["id"] for each in found["pairs"][0]["changed"]] == ["6"]
    assert commands.compared("ids.parquet", "turned.csv")["pairs"][0]["changed"] == []
    refused = commands.refused(command, "bare.parquet", "turned.csv")
    assert "turned.csv: example 9 has a different gold label in bare.parquet" in refused


def test_ids_of_predictions_do_not_matter_beside_gold_without_any(commands: Commands) -> None:
    Path("gold.txt").write_text("x\ny\ny\n")
    Path("a.csv").write_text("id,predicted\n1,x\n2,y\n3,x\n")
    Path("b.csv").write_text("id,predicted\none,x\ntwo,y\nthree,y\n")
    assert [
        each["id"] for each in commands.compared("--gold", "gold.txt", "a.csv", "b.csv")["pairs"][0]["changed"]
    ] == ["3"]


ODD = [
    ({"id": ["a", "a"], "gold": ["x", "y"], "predicted": ["x", "y"]}, "odd.parquet: id occur twice: 'a' in row 2"),
    ({"gold": [1.0, math.nan], "predicted": [1.0, 2.0]}, "odd.parquet, row 2"),
    ({"gold": [1.0, 2.0], "predicted": [1.0, math.nan]}, "odd.parquet, row 2: predicted is NaN"),
    ({"gold": ["x", "y"], "predicted": ["x", "y"], "score": [0.5, 9.0]}, "odd.parquet, row 2: score is 9"),
    ({"gold": ["x", None], "predicted": ["x", "y"]}, "odd.parquet, row 2"),
    ({"gold": ["x", "y"], "predicted": ["x", None]}, "odd.parquet, row 2: predicted is not known"),
]


@pytest.mark.parametrize(("columns", "message"), ODD)
def test_score_and_compare_refuse_the_same(columns: dict[str, Any], message: str, commands: Commands) -> None:
    pq.write_table(pa.table(columns), "odd.parquet")
    pq.write_table(pa.table(columns), "other.parquet")
    assert message in commands.refused(score, "odd.parquet")
    assert message in commands.refused(command, "odd.parquet", "other.parquet")


def test_options_that_do_not_go_together_are_told(commands: Commands) -> None:
    assert "give --gold FILE" in commands.refused(command, "a.conll", "b.conll", "--columns", "0,1")
    assert "gold can be a separate file" in commands.refused(command, "worse.conll", "better.conll")
    arguments = ("--gold", "gold.conll", "worse.conll", "better.conll", "--experiments")
    assert "leave out --gold, or --experiments" in commands.refused(command, *arguments)
