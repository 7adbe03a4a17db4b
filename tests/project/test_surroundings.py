"""What stands around the code says the same as the code: licence, version, workflows, hooks, documentation of CI."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stagewright.commands import COMMANDS
from tests.support.imports import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = [ROOT / ".github/workflows/checks.yml", ROOT / "stagewright/template/dot_github/workflows/checks.yml"]
GUIDE = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
YAML_BLOCKS = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)


def read_yaml(text: str) -> Any:
    return YAML(typ="safe").load(text)


def file(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def scripts(content: object) -> list[str]:
    """The shell scripts of a workflow or of a GitLab file: the values of `run`, `script` and `before_script`."""
    if isinstance(content, dict):
        own = [content[key] for key in ("run", "script", "before_script") if key in content]
        lines = [line for part in own for line in ([part] if isinstance(part, str) else part)]
        return lines + [line for value in content.values() for line in scripts(value)]
    return [line for each in content for line in scripts(each)] if isinstance(content, list) else []


def test_the_licence_is_the_one_that_the_distribution_names() -> None:
    assert PROJECT["license"] == "Apache-2.0" and PROJECT["license-files"] == ["LICENSE"]
    text = file("LICENSE")
    assert "Apache License\n" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text
    assert "The Stagewright developers" in text and "[yyyy]" not in text
    assert read_yaml(file("CITATION.cff"))["license"] == PROJECT["license"]


def test_the_version_is_the_same_everywhere() -> None:
    assert read_yaml(file("CITATION.cff"))["version"] == PROJECT["version"]
    changes = file("CHANGELOG.md")
    assert "## [Unreleased]\n" in changes and f"## [{PROJECT['version']}]" in changes


def test_actions_are_pinned_by_commit_and_the_same_in_both_workflows() -> None:
    pins: dict[str, set[str]] = {}
    for workflow in WORKFLOWS:
        used = re.findall(r"uses: (\S+)@(.*)", workflow.read_text(encoding="utf-8"))
        assert used
        for action, pin in used:
            assert re.fullmatch(r"[0-9a-f]{40} # v\d+\.\d+\.\d+", pin), f"{workflow}: {action}@{pin}"
            pins.setdefault(action, set()).add(pin)
    assert all(len(found) == 1 for found in pins.values()), pins


def test_the_linter_of_workflows_finds_an_action_that_is_not_pinned(tmp_path: Path) -> None:
    text = WORKFLOWS[0].read_text(encoding="utf-8")
    for name, content, status in (
        ("as-it-is", text, 0),
        ("unpinned", re.sub(r"@[0-9a-f]{40} # v6\S+", "@v6", text), 14),
    ):
        (tmp_path / f"{name}.yml").write_text(content, encoding="utf-8")
        linted = subprocess.run(
            ["zizmor", "--offline", "--no-progress", "--quiet", str(tmp_path / f"{name}.yml")],
            capture_output=True,
            check=False,
        )
        assert linted.returncode == status, linted.stdout


def test_hooks_run_what_make_check_runs() -> None:
    recipe = file("Makefile").partition("\ncheck: ")[2].partition("\n\n")[0].splitlines()[1:]
    of_make = {line.strip().removeprefix("@") for line in recipe}
    hooks = read_yaml(file(".pre-commit-config.yaml"))["repos"][0]["hooks"]
    entries = (hook["entry"].replace(" --force-exclude", "") for hook in hooks)
    of_hooks = {entry.removeprefix("bash -c '").removesuffix("'") for entry in entries}  # only a shell knows *.md
    assert {command.removesuffix(" .") for command in of_make} == of_hooks


@pytest.mark.parametrize("text", [*YAML_BLOCKS, *(workflow.read_text(encoding="utf-8") for workflow in WORKFLOWS)])
def test_the_scripts_of_ci_are_shell_and_call_commands_that_exist(text: str, tmp_path: Path) -> None:
    lines = scripts(read_yaml(text))
    assert lines
    for line in lines:
        subprocess.run(["bash", "-n", "-c", line], check=True)
        for call in re.findall(r"stagewright ([a-z][\w-]*)", line):
            assert call in COMMANDS
        for made in re.findall(r"make (\w+)", line):
            assert f"\n{made}:" in file("Makefile")


def test_the_options_of_ci_are_options_of_the_command() -> None:
    from stages.comparison.post_comment import parser as of_post_comment
    from stages.comparison.pull_request import parser as of_pull_request

    parsers = {"pull-request": of_pull_request(), "post-comment": of_post_comment()}
    found = 0
    for text in (GUIDE, *(workflow.read_text(encoding="utf-8") for workflow in WORKFLOWS)):
        for name, rest in re.findall(
            r"^[^`\n#]*stagewright (pull-request|post-comment) ((?:[^\\\n]|\\\n)*)", text, re.M
        ):
            given = rest.replace('"$NUMBER"', "12").replace('"$FAIL_ON_SLOWER"', "train:1.5")
            words = shlex.split(re.split(r" > | \|\| ", given.replace("\\\n", " "))[0])
            parsers[name].parse_args(words)
            found += 1
    assert found >= 6


def test_issue_forms_ask_what_is_needed() -> None:
    for form in (ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml"):
        content = read_yaml(form.read_text(encoding="utf-8"))
        assert content["name"] and content["description"] and content["body"]
        assert all(field["attributes"]["label"] for field in content["body"])
