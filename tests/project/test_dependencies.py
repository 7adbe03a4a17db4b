"""Every package that an installation brings, with whatever extras, is pinned, and installed as pinned."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.support.imports import ROOT

OF_THE_ENVIRONMENT = {"pip", "setuptools"}


def pins() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def direct() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *(text for extra in project["optional-dependencies"].values() for text in extra)]


def names(requirements: Iterable[str]) -> Iterator[str]:
    """Of the packages that are required on this machine."""
    for requirement in map(Requirement, requirements):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)


def test_every_package_that_is_needed_is_pinned_and_installed_as_pinned() -> None:
    versions = {canonicalize_name(name): version for name, version in (pin.split("==") for pin in pins())}
    waiting, seen = [*names(direct())], set(OF_THE_ENVIRONMENT)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        assert name in versions, f"{name} is not in constraints.txt"
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:  # of an extra that is not installed here
            continue
        assert found.partition("+")[0] == versions[name], name
        waiting += names(metadata.requires(name) or ())
    assert len(seen) > 100


def test_every_pinned_package_takes_the_first_python_that_the_project_takes() -> None:
    """A package that wants 3.11.5 can't be installed where the system's Python is 3.11.2."""
    first = "3.11.0"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert first in SpecifierSet(project["requires-python"])
    for name in (pin.partition("==")[0] for pin in pins()):
        try:
            wanted = metadata.metadata(name)["Requires-Python"]
        except metadata.PackageNotFoundError:  # of an extra that is not installed here
            continue
        assert first in SpecifierSet(wanted or ""), f"{name} wants Python {wanted}"


def test_pins_are_exact_and_each_stands_there_once() -> None:
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", pin) for pin in pins())
    assert len({canonicalize_name(pin.partition("==")[0]) for pin in pins()}) == len(pins())
    assert pins() == sorted(pins(), key=str.lower)
