"""YAML is read as ruamel reads it."""

import pytest
from ruamel.yaml import YAML

from stages.pipeline.yaml_1_2 import parse_yaml
from tests.support.imports import ROOT


@pytest.mark.parametrize("file", ["params.yaml", "dvc.lock", "dvc.yaml"])
def test_yaml_is_read_like_ruamels(file: str) -> None:
    content = (ROOT / file).read_bytes()
    assert parse_yaml(content) == YAML(typ="safe").load(content)


@pytest.mark.parametrize(
    "value",
    [
        "1e-05",
        "5e5",
        "1.5E+3",
        ".5",
        "-3",
        "0",
        "on",
        "yes",
        "null",
        "~",
        "true",
        "1:30",
        "2020-01-01x",
        "0.06",
    ],
)
def test_yaml_values_are_those_of_version_1_2(value: str) -> None:
    assert parse_yaml(f"key: {value}".encode()) == YAML(typ="safe").load(f"key: {value}")


@pytest.mark.parametrize("content", [b"a: [\n", b"\xff\xfe: :", b"!!python/object:os.system {}\n"])
def test_yaml_that_is_none_is_told(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_yaml(content)
