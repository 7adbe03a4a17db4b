"""Every message in `docs/troubleshooting.md` is one that the code still has."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.imports import ROOT

PAGE = ROOT / "docs/troubleshooting.md"
HEADINGS = re.findall(r"^### `(.*)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
GAP = "\0"
"""What stands for the values in a message."""


@cache
def messages() -> list[str]:
    """All strings in `stages/`, docstrings excepted, those with values as one each."""
    return [text for file in sorted((ROOT / "stages").rglob("*.py")) for text in strings(file)]


def strings(file: Path) -> list[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(part.value if isinstance(part, ast.Constant) else GAP for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            found.append(node.value)
    return found


def is_in_the_code(heading: str) -> bool:
    """Whether a message has the words of a heading in their order; `…` is whatever comes between them."""
    words = [part.strip(" ") for part in heading.split("…")]
    pattern = re.compile(".*".join(map(re.escape, words)), re.DOTALL)
    return any(pattern.search(message) for message in messages())


def test_the_page_has_the_messages_that_users_meet_most() -> None:
    assert len(HEADINGS) >= 25
    assert len(set(HEADINGS)) == len(HEADINGS)


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_message_of_the_page_is_in_the_code(heading: str) -> None:
    assert len(heading.replace("…", "")) >= 12, "too few words to find it by"
    assert is_in_the_code(heading)


def test_a_message_that_is_no_more_is_found() -> None:
    assert is_in_the_code("there is no such key; …")
    assert not is_in_the_code("there is no such kay; …")
    assert not is_in_the_code("a trial needs …, and no machine has more than …; …")
    assert not is_in_the_code("and no machine has more than …, a trial takes …")
