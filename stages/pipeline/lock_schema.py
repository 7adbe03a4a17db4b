"""The form of `dvc.lock`: what DVC records of each stage."""

from typing import Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from stages.pipeline.yaml_1_2 import parse_yaml


class RecordedFile(BaseModel, extra="allow"):
    """A file or folder as DVC records it: its hash, its size in bytes, and for a folder the number of files."""

    path: str
    hash: str | None = None
    md5: str | None = None
    size: int | None = None
    nfiles: int | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        complete = self.md5 and self.size is not None and (self.nfiles is not None or not self.md5.endswith(".dir"))
        if self.hash == "md5" and not complete:
            raise ValueError(f"{self.path}: the end of its record is missing")
        if not self.model_fields_set - {"path"} and not self.model_extra:
            raise ValueError(f"{self.path}: has no hash")
        return self


class RecordedStage(BaseModel):
    """What a stage read and wrote when it last succeeded."""

    cmd: str | list[str]
    deps: list[RecordedFile] = []
    params: dict[str, dict[str, Any]] = {}
    outs: list[RecordedFile] = []


class LockFile(BaseModel):
    """All of `dvc.lock`."""

    version: Literal["2.0"] = Field(alias="schema")
    stages: dict[str, RecordedStage] = {}


def parse_lock(content: bytes) -> LockFile | None:
    """Return what `content` records; None if it is not whole. A part of it may parse as YAML, so the last newline counts.

    It is read as DVC reads it, in YAML 1.2: in 1.1, `1e-05` would be a text.
    """
    if not content.endswith(b"\n"):
        return None
    try:
        return LockFile.model_validate(parse_yaml(content))
    except ValueError:  # pydantic's errors are some, too
        return None
