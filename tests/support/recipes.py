"""Recipes as the defaults of `conf/` make them, with some keys changed."""

from dataclasses import replace
from functools import cache
from typing import Any

import yaml
from pydantic import TypeAdapter

from stages.configuration.schema import LoraConfig, TrainConfig
from tests.support.imports import ROOT


@cache
def _default() -> TrainConfig:
    text = (ROOT / "conf/train/default.yaml").read_text(encoding="utf-8")
    return TypeAdapter(TrainConfig).validate_python(yaml.safe_load(text), strict=False)


def recipe(**changed: Any) -> TrainConfig:
    """Keys of `train` by name."""
    return replace(_default(), **changed)


def with_lora(rank: int = 4, targets: Any = "auto", *, dropout: float = 0.0, **changed: Any) -> TrainConfig:
    """Adapters that are scaled by 3."""
    return recipe(adapter="lora", lora=LoraConfig(rank, 3 * rank, dropout, targets), **changed)
