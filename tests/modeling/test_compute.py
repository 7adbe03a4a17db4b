"""Threads and deterministic algorithms: the switches are set, and what is pinned is what counts."""

import hashlib
import logging
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Event

import pytest
import torch
from threadpoolctl import threadpool_info
from transformers import AutoModelForSequenceClassification

from stages.modeling import compute
from stages.modeling.compute import (
    CUBLAS_WORKSPACE,
    each_in_a_thread,
    use_deterministic_algorithms,
    use_tf32,
    use_threads,
)
from stages.modeling.precision import is_fast_in_bf16
from tests.support.imports import ROOT


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    threads, blas = torch.get_num_threads(), _blas_threads()
    monkeypatch.delenv(CUBLAS_WORKSPACE, raising=False)
    yield
    use_threads(blas.pop())
    torch.set_num_threads(threads)
    use_deterministic_algorithms(False)
    os.environ.pop(CUBLAS_WORKSPACE, None)


def _blas_threads() -> set[int]:
    return {int(pool["num_threads"]) for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.parametrize("threads", [1, 3])
def test_torch_and_numpy_compute_with_the_threads_asked_for(threads: int) -> None:
    use_threads(threads)
    assert torch.get_num_threads() == threads
    assert _blas_threads() == {threads}


def test_items_are_computed_side_by_side_and_given_in_order() -> None:
    torch.set_num_threads(5)
    both = Barrier(2)

    def threads_of(item: str) -> tuple[str, int]:
        both.wait(timeout=60)  # no item could be left if they came one after the other
        return item, torch.get_num_threads()

    assert list(each_in_a_thread(threads_of, ["b", "a"])) == [("b", 2), ("a", 2)]
    assert torch.get_num_threads() == 5
    assert list(each_in_a_thread(threads_of, [])) == []


def test_the_error_is_that_of_the_first_item_which_has_one() -> None:
    torch.set_num_threads(3)
    fifth = Event()

    def itself(item: int) -> int:
        if item == 4:
            fifth.wait(timeout=60)
        if item == 5:
            fifth.set()
        if item >= 4:
            raise ValueError(item)
        return item

    results = each_in_a_thread(itself, range(100))
    assert [next(results) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match=r"^4$"):
        next(results)
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(("cores", "told"), [(64, True), (2, False), (1, False)])
def test_idle_cores_are_told(
    cores: int, told: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(compute.os, "sched_getaffinity", lambda _: range(cores), raising=False)
    with caplog.at_level(logging.INFO, "stages"):
        use_threads(2)
    assert ("threads=2 of 64 cores" in caplog.text) is told


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "")],
    ids=str,
)
def test_threads_that_wait_soon_sleep_unless_the_user_says_otherwise(given: dict[str, str], expected: str) -> None:
    """Seen from OpenMP itself, which tells its settings when PyTorch loads it."""
    code = "import stages, os, torch; print(os.environ.get('GOMP_SPINCOUNT', ''))"
    others = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={**others, **given, "OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == expected
    told = re.findall(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)
    assert told and (not expected or set(told) == {expected})


@pytest.mark.parametrize("wanted", [True, False])
def test_the_switches_of_deterministic_algorithms(wanted: bool) -> None:
    use_deterministic_algorithms(wanted)
    assert torch.are_deterministic_algorithms_enabled() is wanted
    assert torch.backends.cudnn.deterministic is wanted
    assert not torch.backends.cudnn.benchmark
    assert os.environ.get(CUBLAS_WORKSPACE) == (":4096:8" if wanted else None)


def test_a_workspace_that_the_user_chose_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CUBLAS_WORKSPACE, ":16:8")
    use_deterministic_algorithms(True)
    assert os.environ[CUBLAS_WORKSPACE] == ":16:8"


def _step(model: Path) -> str:
    """The digest of the weights after one step of training."""
    torch.manual_seed(0)
    classifier = AutoModelForSequenceClassification.from_pretrained(model)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=1e-3)
    ids = torch.arange(5, 69).reshape(2, 32)
    classifier.train()(input_ids=ids, attention_mask=torch.ones_like(ids), labels=torch.tensor([0, 1])).loss.backward()
    optimizer.step()
    weights = (tensor.detach().numpy().tobytes() for tensor in classifier.parameters())
    return hashlib.sha256(b"".join(weights)).hexdigest()


@pytest.mark.filterwarnings("ignore::UserWarning")  # transformers tells of the new head
def test_training_has_deterministic_algorithms_for_all_it_does(tiny_model: Path) -> None:
    use_deterministic_algorithms(False)
    free = _step(tiny_model)
    use_deterministic_algorithms(True)
    assert _step(tiny_model) == free


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system can't take cores away from a process")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_number_of_cores_changes_no_bit(tiny_model: Path) -> None:
    cores = os.sched_getaffinity(0)
    use_threads(4)
    on_all = _step(tiny_model)
    os.sched_setaffinity(0, {min(cores)})
    try:
        assert _step(tiny_model) == on_all
    finally:
        os.sched_setaffinity(0, cores)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this system's C library is another")
@pytest.mark.parametrize(("keeping", "kept"), [("keep_freed_memory()", 80), ("", 0)])
def test_freed_memory_is_kept_for_what_follows(keeping: str, kept: int) -> None:
    script = f"""
import psutil, torch
from stages.modeling.compute import keep_freed_memory
{keeping}
before = psutil.Process().memory_info().rss
tensors = [torch.ones(5_000_000) for _ in range(4)]
del tensors
print(psutil.Process().memory_info().rss - before)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) / 1e6 == pytest.approx(kept, abs=25)


@pytest.mark.parametrize(("has_gpu", "expected"), [(True, "high"), (False, "highest")])
def test_a_gpu_multiplies_fp32_in_tf32(has_gpu: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    try:
        use_tf32()
        assert torch.get_float32_matmul_precision() == expected
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize(
    ("vendor", "capabilities", "expected"),
    [
        ("GenuineIntel", {"amx_bf16": True, "avx512_bf16": True}, True),
        ("GenuineIntel", {"amx_bf16": False, "avx512_bf16": True}, False),  # Cooper Lake, or AMX that a cloud masks
        ("AuthenticAMD", {"amx_bf16": False, "avx512_bf16": True}, True),
        ("AuthenticAMD", {"avx512_f": True}, False),
        ("ARM", {}, False),
    ],
)
def test_bf16_is_chosen_where_its_products_are_faster(
    vendor: str, capabilities: dict[str, bool], expected: bool
) -> None:
    assert is_fast_in_bf16(capabilities, vendor) is expected
