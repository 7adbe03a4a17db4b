"""What a run says of the data that it reads: at the head of the page, and in the log."""

from pathlib import Path

import pytest

from stages.configuration.schema import FilesData
from tests.support.canonical_data import made_of


def files(folder: Path, **contents: str) -> dict[str, str]:
    """Write files, and return them as a configuration names them."""
    paths = {}
    for name, content in contents.items():
        suffix = "conll" if "\t" in content else "csv"
        path = folder / f"{name}.{suffix}"
        path.write_text(content, encoding="utf-8")
        paths[name] = str(path)
    return paths


def head(config: FilesData, caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines at the head of the page, which the log has too, each once."""
    with caplog.at_level("INFO"):
        page = made_of(config).report.to_markdown()
    rows = [line.split(" | ", 1) for line in page.partition("\n## ")[0].splitlines()[4:]]
    lines = [f"{what.removeprefix('| ')}: {is_so.removesuffix(' |').strip('`')}" for what, is_so in rows]
    for line in lines:
        assert caplog.messages.count(line) == lines.count(line), (line, caplog.messages)
    assert len(lines) <= 15 and max(map(len, lines)) <= 100
    return lines


def test_the_head_tells_files_columns_labels_splits_and_examples(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = "".join(
        f"{name} came,{name[0].lower()},{number}\n" for number, name in enumerate(["Anna", "Bob", "Carl", "Al"])
    )
    given = files(tmp_path, train=f"review,stars,age\n{rows}", test="review,stars,age\nx,a,1\n")
    config = FilesData(
        name="x", kind="text", source="files", text_column="review", label_column="stars", keep_columns=["age"],
        validation_fraction=0.25, fail_on="never", **given,
    )  # fmt: skip
    lines = head(config, caplog)
    assert lines[:7] == [
        "train: from train.csv (csv)",
        "columns: text from review (first: Anna came), label from stars (first: a), kept from age (first: 0)",
        "test: from test.csv (csv)",
        "train: 3 examples, 6 words",
        "validation: 1 example, 2 words; carved out of train (data.validation_fraction=0.25, data.seed=0)",
        "test: 1 example, 1 word",
        "labels: 3: a, b, c",
    ]
    assert "test: x → a" in lines and len(lines) == 7 + 2 + 1 + 1
    assert str(tmp_path) not in "".join(lines)


def test_words_are_told_with_the_place_of_their_column(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sentence = "1\tAnna\tB-PER\tO\n2\tcame\tO\tO\n\n"
    given = files(tmp_path, train=sentence * 2, validation=sentence, test=sentence)
    lines = head(FilesData(name="x", kind="tokens", source="files", **given), caplog)
    assert lines[:2] == [
        "train: from train.conll (conll)",
        "columns: words from column 1 (first: Anna), tags from column 2 (first: B-PER)",
    ]
    assert "train: 2 examples, 4 words, 2 entities" in lines
    assert "tags, iob2: 2: O, B-PER" in lines
    assert lines.count("train: Anna came → B-PER O") == 2


def test_a_thousand_files_are_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(30):
        (tmp_path / f"part-{number}.csv").write_text(f"text,label\ntext {number},{number % 2}\n", encoding="utf-8")
    (tmp_path / "other.csv").write_text("label,sentence\n1,other\n", encoding="utf-8")
    config = FilesData(
        name="x", kind="text", source="files", fail_on="never", train=[str(tmp_path / "part-*.csv"), str(tmp_path / "other.csv")],
        validation=str(tmp_path / "part-0.csv"), test=str(tmp_path / "part-1.csv"),
    )  # fmt: skip
    assert head(config, caplog)[:4] == [
        "train: from part-0.csv, part-1.csv, part-2.csv and 27 more (csv)",
        "columns: text from text (first: text 0), label from label (first: 0)",
        "train: from other.csv (csv)",
        "columns: text from sentence (first: other), label from label (first: 1)",
    ]
