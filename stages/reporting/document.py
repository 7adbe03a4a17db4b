"""One HTML file that needs no network and, by its own policy, can't use any."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from string import Template

from stages.reporting.markup import Html, escaped, joined, tag


@dataclass(frozen=True)
class Part:
    """A section of a page; one without content is left out."""

    name: str
    """The id of its element, which the navigation leads to."""
    title: str
    content: Html


def document(
    title: str,
    subtitle: str,
    parts: Sequence[Part],
    *,
    notes: Html,
    style: str,
    script: str,
    data: str = "{}",
    head: str = "",
) -> str:
    """Return the page as HTML text. `head`: markup below the title; `data`: JSON for the script, without `<`."""
    shown = [part for part in parts if part.content]
    return Template(asset("page.html")).substitute(
        policy=_policy(style, script),
        title=escaped(title),
        subtitle=escaped(subtitle),
        head=escaped(head),
        style=style,
        script=script,
        navigation=tag("ul", *(tag("li", tag("a", part.title, href=f"#{part.name}")) for part in shown)),
        notes=notes,
        sections=joined(part.content for part in shown),
        data=data,
    )


def asset(name: str, package: str = "stages.reporting") -> str:
    """Return a file that lies beside a package's modules."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return a policy by which nothing is loaded, and only the page's own style and script are used, by their hashes."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
