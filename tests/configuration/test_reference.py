"""The configuration reference is what the schema and `conf/` say, and `conf/` says what its keys are for."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from stages.configuration import reference
from stages.configuration.schema import Params
from stages.configuration.validation import groups
from stages.pipeline.errors import ConfigError
from tests.support.imports import ROOT

CONF = sorted((ROOT / "conf").rglob("*.yaml"))
SELECTS = {"source", "kind", "target", "name", "repo"}
"""Keys that say which choice a file is: its head comment explains them."""


@pytest.fixture(autouse=True)
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def keys_of_the_schema() -> set[str]:
    """Every key of the configuration, by its path, except `source`, which choices set."""
    found: set[str] = set()
    for group, adapter in groups().items():
        schema = adapter.json_schema()
        definitions = schema.get("$defs", {})
        tops = [schema, *(definitions[ref.rpartition("/")[2]] for ref in _variants(schema))]
        found |= {f"{group}.{key}" for top in tops for key in top.get("properties", {}) if key != "source"}
    return found | {"seed", "threads"}


def _variants(schema: dict[str, object]) -> list[str]:
    mapping = schema.get("discriminator", {})
    return list(mapping.get("mapping", {}).values()) if isinstance(mapping, dict) else []


def test_the_committed_page_is_what_the_schema_and_conf_say() -> None:
    reference.require_written(reference.PAGE)


def test_a_page_that_is_out_of_date_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "configuration.md"
    page.write_text(reference.PAGE.read_text(encoding="utf-8").replace("`0.0001`", "`0.0002`", 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"is out of date; run `python -m stages\.configuration\.reference`"):
        reference.require_written(page)
    with pytest.raises(ConfigError, match="is out of date"):
        reference.require_written(tmp_path / "none.md")


def test_the_command_checks_the_page_and_tells_in_one_line_where_to_run(tmp_path: Path) -> None:
    def check(folder: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stages.configuration.reference", "--check"]
        return subprocess.run(
            command, check=False, cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}
        )

    assert check(ROOT).returncode == 0
    lost = check(tmp_path)
    assert lost.returncode == 1
    assert lost.stderr.splitlines() == [
        "error: docs/configuration.md: is out of date; run `python -m stages.configuration.reference`"
    ]


def test_every_key_has_a_section_with_a_meaning() -> None:
    sections = re.split(r"^#+ ", reference.reference(), flags=re.MULTILINE)
    described = {name: body for name, _, body in (section.partition("\n") for section in sections)}
    keys = keys_of_the_schema()
    assert len(keys) > 90
    assert "train.lora" in keys and "seed" in keys
    for key in keys:
        type_and_default, *meaning = described[f"`{key}`"].strip().split("\n\n")
        assert type_and_default.endswith("."), key
        assert meaning and meaning[0].strip(), key
        assert "Default: " in described[f"`{key}`"] or "Required." in described[f"`{key}`"], key


def test_a_key_has_its_type_in_words_and_the_default_of_each_choice() -> None:
    text = " ".join(reference.reference().split())
    assert "### `train.epochs` Number (greater than 0). Default: `2`. The number of passes" in text
    assert "### `export.onnx` `true`, `false` or `auto`. Default: `auto`." in text
    assert "#### `data.train` String or list of strings. Required." in text
    assert "`task.metric` String. Default: `f1`; `accuracy` with `task=text`; `pearson` with `task=regression`." in text
    assert "- `train.lora.alpha`: Integer (at least 1). Default: `32`. The scale" in text


@pytest.mark.parametrize("file", CONF, ids=lambda file: file.relative_to(ROOT / "conf").as_posix())
def test_a_file_of_conf_begins_with_what_it_is_and_explains_its_keys(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# "), "the first line says what the choice is"
    assert undocumented(lines) == []


def undocumented(lines: list[str]) -> list[str]:
    """The keys that no comment stands above. A comment explains the keys below it, up to the next comment or empty line."""
    explained, found = False, []
    for line in lines:
        if not line.strip():
            explained = False
        elif line.lstrip().startswith("#"):
            explained = True
        elif not line.startswith((" ", "-")):
            key = line.partition(":")[0]
            if key != "defaults" and not explained and key not in SELECTS:
                found.append(key)
    return found


def test_a_key_that_no_comment_explains_is_found() -> None:
    assert undocumented(["# A choice.", "", "epochs: 2", "# The peak.", "rate: 1", "warmup: 0", "", "seed: 1"]) == [
        "epochs",
        "seed",
    ]


def test_params_names_every_group_that_conf_has() -> None:
    folders = {folder.name for folder in (ROOT / "conf").iterdir() if folder.is_dir()} - {"experiment"}
    assert folders == {name for name in Params.__annotations__ if (ROOT / "conf" / name).is_dir()}
