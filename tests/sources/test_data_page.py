"""The worked examples of docs/data.md: each file that the page shows is read as the page says."""

import logging
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from stages.configuration.composition import compose_params
from stages.configuration.schema import DownloadStage
from stages.configuration.validation import select, validate
from stages.sources.data_source import write_data
from tests.support.imports import ROOT

PAGE = ROOT / "docs/data.md"
BLOCK = re.compile(
    r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<content>.*?)^```$', re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Example:
    """The blocks of a section, in order."""

    files: dict[str, str]
    scripts: list[str]
    commands: list[list[str]]
    told: list[str]


def examples() -> Iterator[tuple[str, Example]]:
    """Each section of the page that shows a file, by its title."""
    for section in PAGE.read_text(encoding="utf-8").split("\n### ")[1:]:
        example = Example({}, [], [], [])
        for block in BLOCK.finditer(section.split("\n## ")[0]):
            match block["language"]:
                case "python":
                    example.scripts.append(block["content"])
                case "console":
                    lines = block["content"].splitlines()
                    example.commands.extend(shlex.split(line.removeprefix("$ stagewright look ")) for line in lines)
                case "text" if block["title"] is None:
                    example.told.extend(block["content"].splitlines())
                case "yaml":
                    pass
                case _:
                    example.files[block["title"]] = block["content"]
        if example.commands:
            yield section.splitlines()[0], example


EXAMPLES = dict(examples())


def test_every_form_of_the_table_has_an_example() -> None:
    table = PAGE.read_text(encoding="utf-8").split("## Forms of files")[1].split("### ")[0]
    linked = set(re.findall(r"\]\(#([\w-]+)\)", table.split("\n\n")[1]))
    assert linked - {"a-data-set-on-the-hub"} == {re.sub(r"\W+", "-", title.lower()) for title in EXAMPLES}


@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example_is_read_as_the_page_says(
    title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    example = EXAMPLES[title]
    monkeypatch.chdir(tmp_path)
    for name, content in example.files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content, encoding="utf-8")
    for script in example.scripts:
        exec(compile(script, title, "exec"), {})  # noqa: S102
    monkeypatch.chdir(ROOT)
    commands = [[part.replace("data.train=", f"data.train={tmp_path}/") for part in each] for each in example.commands]
    composed = [compose_params(each) for each in commands]
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO, logger="stages.sources")
    for number, params in enumerate(composed):
        data = select(validate(params, "conf"), DownloadStage).data
        report = write_data(replace(data, fail_on="never"), None, tmp_path / f"scratch {number}")
        report.stop_on(data.fail_on)
    missing = [line for line in example.told if line not in caplog.messages]
    assert not missing, "\n".join(caplog.messages)
