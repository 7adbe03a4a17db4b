"""The project's documents, as Markdown's own grammar reads them: code blocks, links and headings."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.support.imports import ROOT

NOT_RUN = re.compile(r"<!-- not run: (?P<reason>\S.*) -->")
RUN = "<!-- run -->"
_TITLE = re.compile(r'title="([^"]+)"')
_CONF = re.compile(r"\bconf/\w+/[\w-]+\.yaml\b")


def documents() -> list[Path]:
    """What is written for readers: the documents in the root and all of `docs/`."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def name_of(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    """A fenced code block, and what stands before it."""

    language: str
    title: str | None
    """The name of the file that the block shows, where its fence says one."""
    text: str
    line: int
    before: str
    """The paragraph before it; an HTML comment in between does not count."""
    mark: str
    """The HTML comment right before it."""

    @property
    def is_marked_not_run(self) -> bool:
        return NOT_RUN.fullmatch(self.mark) is not None

    @property
    def conf_file(self) -> str | None:
        """The file in `conf/` that it shows: its title names it, or the paragraph before it."""
        named = _CONF.findall(self.title or "") or _CONF.findall(self.before)
        return named[-1] if named else None

    @property
    def commands(self) -> list[str]:
        """The commands of a console block, each with the lines that continue it."""
        found: list[str] = []
        is_open = False
        for line in self.text.splitlines():
            if is_open:
                found[-1] += "\n" + line
            elif line.startswith("$ "):
                found.append(line.removeprefix("$ "))
            else:
                continue
            is_open = line.endswith("\\")
        return found


@dataclass(frozen=True)
class Link:
    """A link or a picture."""

    target: str
    line: int
    text: str

    @property
    def is_external(self) -> bool:
        return bool(urlsplit(self.target).scheme)

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def anchor(self) -> str:
        return urlsplit(self.target).fragment


@cache
def _tokens(document: Path) -> tuple[Token, ...]:
    return tuple(MarkdownIt("commonmark").enable("table").parse(document.read_text(encoding="utf-8")))


def blocks(document: Path) -> Iterator[Block]:
    """The fenced code blocks of a document, those in lists and quotations included."""
    before = mark = ""
    for token in _tokens(document):
        if token.type == "fence":
            assert token.map is not None
            language, _, rest = token.info.strip().partition(" ")
            title = _TITLE.search(rest)
            yield Block(language, title.group(1) if title else None, token.content, token.map[0] + 1, before, mark)
            before = mark = ""
        elif token.type == "html_block":
            mark = token.content.strip()
        elif token.type == "inline":
            before, mark = token.content, ""


def links(document: Path) -> Iterator[Link]:
    """The links and pictures of a document."""
    for token in _tokens(document):
        children = token.children or []
        for place, child in enumerate(children):
            line = token.map[0] + 1 if token.map else 0
            if child.type == "link_open":
                text = "".join(inner.content for inner in children[place + 1 :][:8])
                yield Link(str(child.attrGet("href")), line, text)
            elif child.type == "image":
                yield Link(str(child.attrGet("src")), line, child.content)


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub and MkDocs make them; where they differ, there is none to rely on."""
    found: set[str] = set()
    tokens = _tokens(document)
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open":
            continue
        text = "".join(child.content for child in inline.children or [] if child.type in ("text", "code_inline"))
        kept = re.sub(r"[^\w\s-]", "", text).strip().lower()
        if (of_github := re.sub(r"\s", "-", kept)) == re.sub(r"[-\s]+", "-", kept):
            found.add(of_github)
    return found


def words_of(command: str) -> list[list[str]]:
    """The words of each simple command in a line of shell: `a b && c | d` has three. Comments are left out."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    found: list[list[str]] = [[]]
    for word in lexer:
        if word and set(word) <= set("|&;"):
            found.append([])
        else:
            found[-1].append(word)
    return [_without_redirections(words) for words in found if words]


def _without_redirections(words: list[str]) -> list[str]:
    kept = iter(words)
    return [word for word in kept if not (word in (">", ">>", "<", "2>") and next(kept, None) is not None)]
