"""Tags are read as what they are, however a data set spells them; what does not fit is told, and nothing is lost."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.configuration.schema import FilesData
from stages.pipeline.errors import DataError
from tests.support.canonical_data import Made, made_from, made_of, tagged
from tests.support.told import told

IOB2 = ["O", "B-PER", "I-PER", "O", "B-LOC", "B-LOC", "I-LOC"]
IOBES = ["S-PER", "O", "B-LOC", "I-LOC", "E-LOC", "O", "O"]


def tags_of(made: Made, split: str = "train") -> list[list[str]]:
    found = made.splits[split]
    names = found.features["tags"].feature.names
    return [[names[code] for code in row] for row in found["tags"][:]]


def entities(made: Made, split: str = "train") -> Any:
    return made.report.to_json()["splits"][split]["entities"]  # type: ignore[index,call-overload]


def spelled(tags: list[str], how: str) -> list[str]:
    """Write tags in another way; `O` is the last letter of `how`, where it gives one."""
    pattern, _, outside = how.partition(" ")
    parts = (tag.partition("-") for tag in tags)
    return [
        outside or "O"
        if prefix == "O"
        else pattern.replace("P", prefix).replace("p", prefix.lower()).replace("T", type_)
        for prefix, _, type_ in parts
    ]


SPELLINGS = ["P-T", "p-T o", "P_T", "P:T", "P|T", "P/T 0", "P.T", "T-P", "T_P 0", "p_T o"]


@pytest.mark.parametrize("how", SPELLINGS)
@pytest.mark.parametrize("tags", [IOB2, IOBES])
def test_tags_are_read_however_they_are_spelled(tags: list[str], how: str) -> None:
    table = tagged(*[spelled(tags, how)] * 3)
    made = made_from(table, table)
    assert tags_of(made) == [tags] * 3
    assert entities(made) == 3 * sum(tag[0] in "BS" for tag in tags)
    assert not {"foreign_tags", "many_foreign_tags", "illegal_transitions"} & set(made.findings())


@pytest.mark.parametrize(("middle", "alone"), [("M", "S"), ("M", "W"), ("m", "s")])
def test_bmes_and_bmewo_are_iobes(middle: str, alone: str) -> None:
    written = [tag.replace("I-", f"{middle}-").replace("S-", f"{alone}-") for tag in IOBES]
    table = tagged(written, written)
    assert tags_of(made_from(table, table)) == [IOBES] * 2
    iob2 = made_from(table, table, convert_to="iob2", scheme="iobes")
    assert tags_of(iob2)[0] == ["B-PER", "O", "B-LOC", "I-LOC", "I-LOC", "O", "O"] and entities(iob2) == 4


def test_bare_prefixes_are_entities_of_one_type() -> None:
    table = tagged(["O", "B", "I", "O", "B"], ["O"])
    made = made_from(table, table)
    assert tags_of(made)[0] == ["O", "B-_", "I-_", "O", "B-_"] and entities(made) == 2


@pytest.mark.parametrize("tags", [["NOUN", "B", "VERB"], ["O", "COMMA", "PERIOD"], ["N", "V", "S", "O", "L", "D", "P"]])
def test_tags_that_mark_no_entities_stay_as_they_are(tags: list[str]) -> None:
    made = made_from(tagged(tags), tagged(tags))
    assert tags_of(made) == [tags]
    assert "entities" not in made.report.to_json()["splits"]["train"]  # type: ignore[index,call-overload,operator]


@pytest.mark.parametrize(
    ("tag", "read"),
    [("LOC", "I-LOC"), ("B_LOC", "B-LOC"), ("LOC-B", "B-LOC"), ("tag", "O"), ("Loc", "I-LOC"), ("X", "O")],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_tag_spelled_unlike_the_others_is_told_and_the_rest_are_still_entities(
    tag: str, read: str, split: str
) -> None:
    good, odd = tagged(*[IOB2] * 30), tagged(*[IOB2] * 29, [tag])
    made = made_from(odd if split == "train" else good, good, odd if split == "test" else good, fail_on="error")
    assert tags_of(made, split)[-1] == [read]
    assert made.findings()["foreign_tags"] == {split: 1}
    (finding,) = [each for each in made.report.findings if each.code == "foreign_tags"]
    assert finding.first == f"{tag} in {split}.file, row 30; 0.49% of the words"
    assert entities(made, "validation") == 90


def test_many_of_them_are_an_error() -> None:
    with pytest.raises(DataError) as error:
        made_from(tagged(*[IOB2] * 5, ["LOC"]), tagged(IOB2), fail_on="error")
    assert "tags are spelled differently from the others (data.scheme=plain if they mark no entities)" in told(error)
    assert "(first: LOC in train.file, row 6; 2.78% of the words)" in told(error)


def test_a_header_is_no_kind_of_tag(tmp_path: Path) -> None:
    rows = "".join(f"word{place}\t{tag}\n" for place, tag in enumerate(IOB2 * 30))
    (tmp_path / "a.conll").write_text(f"word\ttag\n{rows}\n", encoding="utf-8")
    place = str(tmp_path / "a.conll")
    config = FilesData(name="x", kind="tokens", source="files", train=place, validation=place, test=place)
    made = made_of(config)
    assert entities(made) == 90
    assert made.findings()["foreign_tags"] == {"train": 1, "validation": 1, "test": 1}


# Conversions


def test_tags_of_another_scheme_than_the_one_that_is_named_are_told() -> None:
    table = tagged(["PER", "PER", "O", "LOC"])
    with pytest.raises(DataError) as error:
        made_from(table, table, scheme="iob1", convert_to="iob2")
    assert told(error).startswith(
        "data.scheme=iob1: most tags of train are not in it (LOC, PER); set io for types without a prefix"
    )
    with pytest.raises(DataError) as error:
        made_from(tagged(IOB2), tagged(IOB2), scheme="io")
    assert told(error).startswith("data.scheme=io: most tags of train are not in it (B-LOC, B-PER")


def test_types_alone_are_a_scheme_of_their_own() -> None:
    table = tagged(["PER", "PER", "O", "LOC", "PER"])
    assert tags_of(made_from(table, table, scheme="io"))[0] == ["I-PER", "I-PER", "O", "I-LOC", "I-PER"]
    converted = made_from(table, table, scheme="io", convert_to="iob2")
    assert tags_of(converted)[0] == ["B-PER", "I-PER", "O", "B-LOC", "B-PER"] and entities(converted) == 3


any_tags = st.lists(st.sampled_from(["O", *(f"{p}-{t}" for p in "BIESMW" for t in "xy")]), max_size=8)


@given(st.lists(any_tags, min_size=1, max_size=4), st.sampled_from(["iob1", "iob2", "ioe1", "ioe2", "iobes", "bilou"]))
def test_a_conversion_loses_no_entity(rows: list[list[str]], target: str) -> None:
    table = tagged(["B-x", "O", "B-y"], *rows)
    before, after = made_from(table, table), made_from(table, table, convert_to=target)
    assert entities(before) == entities(after)
