"""The documents are true: their code runs or at least parses, their commands exist, their links lead somewhere.

A console block is run in a fresh clone, line by line, unless `<!-- not run: reason -->` stands before it. A Python block is run
if `<!-- run -->` stands before it, and compiles in any case.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from ruamel.yaml import YAML

from stages.configuration.composition import compose_params
from stages.configuration.hydra_plugins.fingerprint import unwatched
from stages.configuration.kinds import target_rules
from tests.support.documented_commands import StaleError, check_line
from tests.support.documents import RUN, Block, anchors, blocks, documents, links, name_of
from tests.support.imports import ROOT
from tests.support.workspace import Workspace

SHOWN = {"text", "csv", "tsv", "mermaid"}
"""Languages of blocks that are looked at, not run."""
BLOCKS = [(document, block) for document in documents() for block in blocks(document)]
SECONDS = 120
NOWHERE = "http://127.0.0.1:9"
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HTTP_PROXY": NOWHERE,
    "HTTPS_PROXY": NOWHERE,
    "http_proxy": NOWHERE,
    "https_proxy": NOWHERE,
}
PAGE_OF_GITHUB = re.compile(r"\.\./\.\./(actions|compare|discussions|issues|pulls|releases|security)(/.*)?")
"""Links from the documents in the root to other pages of the repository, which GitHub finds there whatever its address."""


def of(*languages: str) -> list[object]:
    """The blocks in these languages, as parameters of a test."""
    return [
        pytest.param(block, id=f"{name_of(document)}:{block.line}")
        for document, block in BLOCKS
        if block.language in languages
    ]


BEYOND_THE_CLONE = re.compile(
    r"\b(pip3? install|make (install|repro|test|check|clean|docs)|(git|dvc|twine) push|git clone|post-comment|sudo)\b"
)
"""What must never be run by a test: it changes the environment that all tests share, or the world."""


def runnable(block: Block) -> list[str]:
    """The commands of a block that is to be run, or its Python code as one."""
    if block.language == "console" and not block.is_marked_not_run:
        return block.commands
    return [block.text] if block.language == "python" and block.mark == RUN else []


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """All files that git has or would add, committed."""
    return Workspace(tmp_path_factory.mktemp("checkout") / "origin", (".",))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment as `make install` makes it: the short command is the clone's own."""
    programs = tmp_path_factory.mktemp("programs")
    for name, command in {"stagewright": "-m stagewright", "python": ""}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {command} "$@"\n', encoding="utf-8")
        (programs / name).chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, **OFFLINE, "PATH": path, "OMP_NUM_THREADS": "1", "PIP_DRY_RUN": "1"}


def test_there_are_documents_with_blocks_and_links() -> None:
    assert {"README.md", "docs/configuration.md", "docs/troubleshooting.md"} <= set(map(name_of, documents()))
    assert len(BLOCKS) > 20
    assert sum(len(list(links(document))) for document in documents()) > 20


def test_every_block_is_in_a_language_that_is_checked_or_says_why_it_is_not() -> None:
    checked = SHOWN | {"bash", "console", "diff", "json", "python", "toml", "yaml"}
    unchecked = [
        f"{name_of(document)}:{block.line}: {block.language or 'no language'}"
        for document, block in BLOCKS
        if block.language not in checked and not block.is_marked_not_run
    ]
    assert unchecked == []


@pytest.mark.parametrize("block", of("console"))
def test_a_console_block_has_commands_at_its_prompts(block: Block) -> None:
    prompts = [line for line in block.text.splitlines() if re.match(r"\w+\$ ", line)]
    assert block.commands or block.is_marked_not_run
    assert not prompts or block.is_marked_not_run, "other machines' prompts can't be run"


@pytest.mark.parametrize("block", of("console", "python"))
def test_a_block_that_is_run_changes_nothing_outside_its_clone(block: Block) -> None:
    assert not any(map(BEYOND_THE_CLONE.search, runnable(block))), "mark it: <!-- not run: installs packages -->"


@pytest.mark.slow
@pytest.mark.parametrize("document", [d for d in documents() if any(map(runnable, blocks(d)))], ids=name_of)
def test_the_commands_of_a_document_run_in_a_fresh_clone(
    document: Path, checkout: Workspace, environment: dict[str, str], tmp_path: Path
) -> None:
    clone = Workspace.clone(checkout, tmp_path / "clone")
    (clone.root / ".venv").symlink_to(sys.prefix)
    for block in blocks(document):
        for command in runnable(block):
            assert not BEYOND_THE_CLONE.search(command), command
            shell = (
                [sys.executable, "-c", command]
                if block.language == "python"
                else ["bash", "-euo", "pipefail", "-c", command]
            )
            done = subprocess.run(
                shell, check=False, cwd=clone.root, env=environment, capture_output=True, text=True, timeout=SECONDS
            )
            assert done.returncode == 0, f"{name_of(document)}:{block.line}: {command}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("block", of("console", "bash"))
def test_the_commands_that_a_block_shows_exist_with_their_options(
    block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    lines = block.commands or block.text.replace("\\\n", " ").splitlines()
    for line in lines:
        check_line(re.sub(r"^\w+\$ ", "", line))


@pytest.mark.parametrize(
    "line",
    [
        "make nothing",
        "python -m stages.nothing",
        "python -m stages.train train.epoch=3",
        "dvc exp run -S trian.epochs=3",
        "dvc exp start",
        "cd x && make repro OVERRIDES='task=token'",
        "dvc exp run --queue -S 'train.epoch=interval(1,2)'",
        "stagewright nothing",
        "stagewright score --nothing GOLD PREDICTIONS",
    ],
)
def test_a_command_that_is_no_more_is_found(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(Exception) as found:  # each parser has its own errors
        check_line(line)
    assert type(found.value).__name__ in (StaleError.__name__, "ConfigError", "DvcParserError")


@pytest.mark.parametrize("block", of("bash"))
def test_a_script_is_bash(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], check=False, input=block.text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", of("python"))
def test_python_compiles(block: Block) -> None:
    compile(block.text, f"line {block.line}", "exec")


@pytest.mark.parametrize("block", of("json"))
def test_json_parses(block: Block) -> None:
    lines = block.text.splitlines() if (block.title or "").endswith(".jsonl") else [block.text]
    assert all(json.loads(line) is not None for line in lines)


@pytest.mark.parametrize("block", of("toml"))
def test_toml_parses(block: Block) -> None:
    assert tomllib.loads(block.text)


@pytest.mark.parametrize("block", of("yaml"))
def test_yaml_parses_and_composes_where_it_is_a_choice(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = YAML(typ="safe").load(block.text)
    assert content
    if block.conf_file is None:
        return
    if (ROOT / block.conf_file).is_file():
        assert content == YAML(typ="safe").load((ROOT / block.conf_file).read_text(encoding="utf-8"))
        return
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / block.conf_file).write_text(block.text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    group, name = Path(block.conf_file).parent.name, Path(block.conf_file).stem
    task = target_rules(content.get("kind", "text"), content.get("target", "label")) if group == "data" else None
    with unwatched():
        assert compose_params([f"{group}={name}", *([f"task={task.choice}"] if task else [])])


@pytest.mark.parametrize("block", of("diff"))
def test_a_diff_applies(block: Block, checkout: Workspace) -> None:
    command = ["git", "apply", "--check", "-"]
    done = subprocess.run(command, check=False, cwd=checkout.root, input=block.text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("document", documents(), ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    wrong = []
    for link in links(document):
        where = f"{name_of(document)}:{link.line}: {link.target}"
        if link.is_external:
            parts = urlsplit(link.target)
            if parts.scheme not in ("https", "mailto") or (parts.scheme == "https" and "." not in parts.netloc):
                wrong.append(f"{where}: is no address")
            continue
        if document.parent == ROOT and PAGE_OF_GITHUB.fullmatch(link.target):
            continue
        target = (document.parent / link.path).resolve() if link.path else document
        if not target.exists() or not target.is_relative_to(ROOT):
            wrong.append(f"{where}: there is no such file")
        elif link.anchor and (target.suffix != ".md" or link.anchor not in anchors(target)):
            wrong.append(f"{where}: there is no such heading")
        elif "docs" in document.relative_to(ROOT).parts[:1] and not target.is_relative_to(ROOT / "docs"):
            wrong.append(f"{where}: is not part of the site; name the file as code")
    assert wrong == []


@pytest.mark.slow
def test_the_site_builds_without_warnings_and_fetches_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, **OFFLINE, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) >= len(list((ROOT / "docs").glob("*.md")))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|img|iframe)[^>]* src=[\"']?(\w+://[^\"' >]+)", text)
        fetched += re.findall(r"<link(?![^>]*canonical)[^>]* href=[\"']?(\w+://[^\"' >]+)", text)
        assert fetched == [], page.name
        assert 'class="mermaid"' not in text, f"{page.name}: a reader's browser would fetch Mermaid; use a picture"


def test_faults_of_documents_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A *page* of `x.y`\n\n<!-- not run: trains -->\n```console\n$ make a \\\n    b  # comment\nout\n$ c\n```\n\n"
        'See [it](#a-page-of-xy) and `conf/data/mine.yaml`:\n\n```yaml title="x"\na: 1\n```\n\n<!-- not run: -->\n```\nx\n```\n',
        encoding="utf-8",
    )
    console, yaml, plain = blocks(page)
    assert console.is_marked_not_run and console.commands == ["make a \\\n    b  # comment", "c"]
    assert (yaml.conf_file, yaml.mark, yaml.title, yaml.line) == ("conf/data/mine.yaml", "", "x", 13)
    assert plain.language == "" and not plain.is_marked_not_run, "a mark without a reason is none"
    assert anchors(page) == {"a-page-of-xy"}
    assert [link.anchor for link in links(page)] == ["a-page-of-xy"]
