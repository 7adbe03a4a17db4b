"""Which outputs are stale, by what `dvc.lock` and `params.yaml` say of them."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from stages.pipeline.lock_schema import LockFile, RecordedFile, RecordedStage, parse_lock
from stages.pipeline.paths import EXPORTED_MODEL, LOCK, PARAMS, PREDICTIONS, TRAINED_MODEL
from stages.reporting.staleness import stale, stale_here
from tests.support.imports import ROOT

CHAIN = ("download", "tokenize", "train", "evaluate", "export")
PARAMETERS = {"seed": 1, "train": {"rate": 1e-05, "epochs": 2}, "task": {"kind": "text"}, "free": 3}
RECORDED = {"seed": 1, "train": {"rate": 1e-05, "epochs": 2}, "task.kind": "text"}


def digest(number: int) -> str:
    return f"{number:032x}"


def file(path: str, number: int) -> RecordedFile:
    return RecordedFile(path=path, hash="md5", md5=digest(number), size=1)


def chain(written: list[int], read: list[int], params: dict[str, Any] | None = None) -> LockFile:
    """Stages that each read what the one before wrote: numbers stand for contents."""
    stages = {
        name: RecordedStage(
            cmd=name,
            deps=[file("code", 7), *([file(CHAIN[place - 1], read[place - 1])] if place else [])],
            outs=[file(name, written[place])],
            params={PARAMS.as_posix(): RECORDED if params is None else params},
        )
        for place, name in enumerate(CHAIN)
    }
    return LockFile(schema="2.0", stages=stages)


contents = st.lists(st.integers(0, 2), min_size=5, max_size=5)


@given(contents, contents, st.sampled_from(CHAIN))
def test_an_output_is_stale_if_a_stage_up_to_its_own_read_what_is_not_recorded(
    written: list[int], read: list[int], output: str
) -> None:
    place = CHAIN.index(output)
    found = stale(chain(written, read), PARAMETERS, Path(output))
    expected = [
        f"{CHAIN[k]} read another {CHAIN[k - 1]} than {CHAIN[k - 1]} wrote"
        for k in range(1, place + 1)
        if written[k - 1] != read[k - 1]
    ]
    assert found == (f"{'; '.join(expected)}; run `dvc repro {output}`" if expected else None)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 2}, "seed"),
        ({"train": {"rate": 1e-05, "epochs": 3}}, "train.epochs"),
        ({"train": {"rate": 1e-05}}, "train.epochs"),
        ({"train": {"rate": 1e-05, "epochs": 2, "new": 1}}, "train.new"),
        ({"task": {"kind": "tokens"}}, "task.kind"),
        ({"task": "text"}, "task.kind"),
        ({"seed": 2, "train": {}, "task": {}}, "seed, train.rate, train.epochs and 1 more"),
        ({"free": 4}, None),
        ({"task": {"kind": "text", "free": 1}}, None),
    ],
)
def test_only_the_parameters_that_a_stage_records_make_it_stale(change: dict[str, Any], named: str | None) -> None:
    lock = chain([0] * 5, [0] * 5, params={})
    lock.stages["train"].params = {PARAMS.as_posix(): RECORDED}
    found = stale(lock, {**PARAMETERS, **change}, Path("evaluate"))
    told = f"train was run with another {named} than params.yaml says; run `dvc repro evaluate`"
    assert found == (named and told)
    assert stale(lock, {**PARAMETERS, **change}, Path("tokenize")) is None


def test_what_is_not_known_is_not_stale() -> None:
    lock = chain([0] * 5, [1] * 5)
    assert stale(LockFile(schema="2.0"), PARAMETERS, PREDICTIONS) is None
    assert stale(lock, {"seed": 5}, Path("elsewhere")) is None
    assert stale(chain([0] * 5, [0] * 5), {}, Path("export")) is None
    for dep in (dep for stage in lock.stages.values() for dep in stage.deps):
        dep.hash = None  # of an older DVC, which hashed texts without their line ends
    assert stale(lock, PARAMETERS, Path("export")) is None


def test_the_committed_run_is_not_stale_and_a_rate_in_other_digits_is_the_same() -> None:
    """DVC writes `1e-05` where a person writes `1e-5`."""
    lock = parse_lock((ROOT / LOCK).read_bytes())
    params = YAML(typ="safe").load((ROOT / PARAMS).read_text(encoding="utf-8"))
    assert lock is not None
    for output in (TRAINED_MODEL, PREDICTIONS, EXPORTED_MODEL):
        assert stale(lock, params, output) is None
    text = (ROOT / LOCK).read_text(encoding="utf-8").replace("learning_rate: 0.0001", "learning_rate: 5e-05")
    lock = parse_lock(text.encode())
    params["train"]["learning_rate"] = YAML(typ="safe").load("5e-5")
    assert lock is not None and stale(lock, params, PREDICTIONS) is None


@pytest.mark.parametrize("content", [None, "seed: [", "seed: 2024-13-01", "5"])
def test_parameters_that_cant_be_read_make_nothing_stale(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    LOCK.write_bytes((ROOT / LOCK).read_bytes())
    if content is not None:
        PARAMS.write_text(f"{content}\n", encoding="utf-8")
    assert stale_here(PREDICTIONS) is None
