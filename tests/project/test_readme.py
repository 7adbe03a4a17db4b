"""The README is one page, with pictures that a script makes."""

import re

from tests.support.imports import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_its_pictures_are_small_and_of_the_script() -> None:
    script = (ROOT / "docs/make_pictures.py").read_text(encoding="utf-8")
    pictures = [ROOT / name for name in re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)]
    assert len(pictures) >= 2
    for picture in pictures:
        assert picture.stat().st_size <= 300_000
        assert f'"{picture.name}"' in script
    assert "http" not in re.sub(r'xmlns="[^"]+"', "", (ROOT / "docs/pictures/terminal.svg").read_text(encoding="utf-8"))
