"""The name of a training: a digest of all that its result depends on, so that it resumes from its own checkpoints alone."""

import hashlib
import json
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from ruamel.yaml import YAML

from stages.configuration.schema import TrainStage
from stages.modeling.precision import Precision, device, resolved
from stages.pipeline.paths import DAG
from stages.training.processes import world_size

_STAGE = "train"
_PACKAGES = ("accelerate", "datasets", "numpy", "safetensors", "torch", "transformers")


@dataclass(frozen=True)
class Machine:
    """What of the machine decides on the last bits of a sum."""

    processor: str
    precision: Precision
    threads: int
    processes: int


def training_key(config: TrainStage) -> str:
    """16 hexadecimal digits, of the configuration, the stage's dependencies in `dvc.yaml`, packages and machine."""
    parts = {
        "config": asdict(config),
        "dependencies": {file.as_posix(): _digest(file) for file in _dependencies()},
        "packages": {package: version(package) for package in _PACKAGES},
        "machine": asdict(_machine(config)),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _machine(config: TrainStage) -> Machine:
    return Machine(_processor(), resolved(config.train.precision), torch.get_num_threads(), world_size())


def _processor() -> str:
    if device().type == "cuda":
        return torch.cuda.get_device_name()
    has = torch.cpu.get_capabilities()
    products = (name for name in ("amx_bf16", "avx512_bf16") if has.get(name))
    return " ".join((platform.machine(), torch.backends.cpu.get_cpu_capability(), *products))


def _dependencies() -> Iterator[Path]:
    """The files that DVC says the stage depends on: data, base model and code."""
    for name in YAML(typ="safe").load(DAG.read_text(encoding="utf-8"))["stages"][_STAGE]["deps"]:
        path = Path(name)
        yield from [path] if path.is_file() else sorted(file for file in path.rglob("*") if _is_content(file))


def _is_content(file: Path) -> bool:
    return file.is_file() and file.suffix != ".pyc"


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
