"""What a stage ran on: whatever may change its outputs or its speed, and is neither code nor configuration."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata

from archspec import cpu
from packaging.requirements import Requirement

from stages.pipeline.git import git_if_possible

_PROJECT = "stagewright"
_CODE = ("stages", "code", "dvc.yaml", "pyproject.toml", "constraints.txt")
"""`code` is what a project that has the code installed records of it."""


@dataclass(frozen=True)
class Gpu:
    """How a stage used the GPU."""

    packing: str
    """`packed` and the kernels, or `padded` and why the model computed padding."""
    peak_memory_mb: int
    """The most memory that tensors took, in MB."""
    compilation: str | None = None
    """`compiled`, or `not compiled` and why; None where nothing is trained."""


@dataclass(frozen=True)
class Compute:
    """The device a stage ran the model on."""

    device: str
    """`cpu`, or the GPU's name."""
    precision: str
    """`fp32`, `bf16` or `fp16`: what `auto` was resolved to."""
    threads: int
    gpu: Gpu | None = field(default=None, compare=False)
    """How the GPU was used; None on a CPU. Runs that differ in it may still be of one machine."""


@dataclass(frozen=True)
class Cpu:
    """The kind of CPU: libraries choose their algorithms by it."""

    name: str
    """Its maker's name for it; empty where the system doesn't tell."""
    architecture: str
    """The microarchitecture, as `zen4` or `sapphirerapids`; the level of the instruction set where it is not known."""


@dataclass(frozen=True)
class Environment:
    """The environment of one run. It holds no name or address of the machine, its user or its folders."""

    revision: str | None
    """The git commit that was checked out; None outside of a repository."""
    dirty: bool | None
    """Whether code or pinned dependencies differed from it. Parameters are recorded by DVC."""
    python: str
    system: str
    """As `Linux x86_64`."""
    cpu: Cpu
    compute: Compute | None
    packages: Mapping[str, str]
    """The versions of the packages that the project itself depends on."""


def environment(compute: Compute | None) -> Environment:
    """Return the environment of this process. `compute`: the device that ran the model, if any."""
    revision = git_if_possible("rev-parse", "HEAD")
    changes = git_if_possible("--no-optional-locks", "status", "--porcelain", "--", *_CODE)
    return Environment(
        revision=None if revision is None else revision.strip(),
        dirty=None if changes is None else bool(changes),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cpu=Cpu(cpu.brand_string() or "", cpu.host().name),
        compute=compute,
        packages=_packages(),
    )


def _packages() -> dict[str, str]:
    try:
        requirements = [Requirement(line) for line in metadata.requires(_PROJECT) or ()]
    except metadata.PackageNotFoundError:
        return {}
    names = sorted(each.name for each in requirements if each.marker is None or each.marker.evaluate({"extra": ""}))
    return {name: metadata.version(name) for name in names}
