"""Sweeps on a cluster of two machines with two GPUs each, as Ray has it for tests: all on this machine, devices by name."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.imports import ROOT
from tests.support.ray_machines import Machines
from tests.support.small_project import wait_until
from tests.support.swept_project import SweptProject

pytestmark = pytest.mark.slow
pytest.importorskip("ray")


LONG = ("-S", "train.epochs=40")


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    started = Machines(ROOT)
    yield started
    started.shutdown()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[SweptProject]:
    made = SweptProject(tmp_path / "a, project's #1")
    yield made
    made.end()


def sweep(project: SweptProject, machines: Machines, *arguments: str) -> subprocess.CompletedProcess[str]:
    return project.run("python", "-m", "stages.sweep", "--address", machines.address, *arguments)


def model_of(project: SweptProject, trial: str) -> str:
    """The trained model of an experiment."""
    return project.ok("dvc", "get", ".", "models/trained", "--rev", trial, "--out", "/dev/stdout", "--quiet")


def at_once(project: SweptProject) -> int:
    """The most trainings that were at work on devices of one name at a time."""
    busy: dict[str, int] = {}
    device_of: dict[str, str] = {}
    most = 0
    for what, name, *rest in project.said():
        if what == "train":
            device_of[name] = rest[1]
            busy[rest[1]] = busy.get(rest[1], 0) + 1
            most = max(most, *busy.values())
        elif what == "trained":
            busy[device_of[name]] -= 1
    return most


def trainings_alive(project: SweptProject) -> list[int]:
    return [int(line[2]) for line in project.said("train") if psutil.pid_exists(int(line[2]))]


def test_every_trial_is_an_experiment_made_on_a_device_of_its_own(project: SweptProject, machines: Machines) -> None:
    project.python("stages.configuration.compose", "seed=9", "train.epochs=1", "train.batch_size=4")
    done = sweep(project, machines, "-S", "seed=1,2,3", "-S", "train.learning_rate=1e-3,1e-4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(project.experiments()) == 6
    assert "without train.epochs, train.batch_size; give what you want with -S" in done.stdout
    assert not [*project.root.glob(".dvc/tmp/sweeps/*/clones")]
    assert len(project.said("tokenize")) == 1, "what trials share is made once"
    assert {line[3] for line in project.said("train")} == {"0", "1"}
    assert at_once(project) <= 2, "there is one device of each name on each of two machines"
    params = [project.git("show", f"{revision}:params.yaml") for revision in project.experiments().values()]
    assert sum("learning_rate: 0.001\n" in each for each in params) == 3
    again = sweep(project, machines, "-S", "seed=1,2,3", "-S", "train.learning_rate=1e-3,1e-4")
    assert again.returncode == 0 and "6 done" in again.stdout
    assert len(project.said("train")) == 6, "what is finished is not run again"
    name = again.stdout.split()[-3].rstrip(":")
    other = sweep(project, machines, "-S", "seed=4", "--name", name)
    assert (
        other.returncode == 1
        and f"--name {name}: is the name of a sweep of other values (seed=1,2,3 train" in other.stderr
    )


def test_a_fault_of_the_users_is_told_and_not_tried_again(project: SweptProject, machines: Machines) -> None:
    (project.root / ".git").rename(project.root.parent / ".git")  # the project is in a folder of the repository
    project.commit("moved")
    done = sweep(project, machines, "-S", "seed=1,13,14,15,16")
    assert done.returncode == 1
    assert len(project.experiments()) == 1, "the others finish"
    attempts = {seed: len(project.said("train", f"{seed}-0.0001")) for seed in (13, 14, 15, 16)}
    assert attempts == {13: 1, 14: 3, 15: 1, 16: 1}
    told = done.stdout.split("1 done, 4 failed")[1]
    assert "status 1  train.learning_rate: 13 brings bad luck; choose another seed" in told
    assert "status 137  ended by SIGKILL (run fewer at once with --jobs if memory was full), in each of 3" in told
    assert "status 1  train: validation's accuracy is nan after step 5; lower train.learning_rate, or set" in told
    assert "status 1  train: the GPU's memory is full; set train.gradient_accumulation=auto, or lower" in told
    searched = sweep(project, machines, "-S", "seed=15", "-S", "train.epochs=1,2", "--trials", "2", "--prune")
    assert searched.returncode == 1, "a score that is no number is a failure: it isn't pruned"
    assert "pruned" not in searched.stdout and "accuracy is nan" in searched.stdout
    assert not list((project.root / ".dvc/tmp/sweeps").glob("*/clones/*")), "clones go, also that of the last one"


def test_a_lost_machine_costs_no_trial(project: SweptProject, machines: Machines) -> None:
    project.wait.touch()
    driver = project.start("--address", machines.address, "-S", "seed=1,2,3", *LONG)
    wait_until(lambda: len(project.said("train")) == 3)
    project.wait.unlink()
    time.sleep(0.3)
    project.wait.touch()
    machines.kill_one()
    wait_until(lambda: len(project.said("train")) > 3)
    project.wait.unlink()
    printed, _ = driver.communicate(timeout=120)
    assert driver.returncode == 0, printed
    assert "its process or machine was lost" in printed and len(project.experiments()) == 3
    assert project.said("resumed")
    assert not trainings_alive(project)


def test_a_killed_driver_goes_on_where_it_ended(project: SweptProject, machines: Machines) -> None:
    arguments = ["--address", machines.address, "-S", "seed=1,2", *LONG]
    project.wait.touch()
    driver = project.start(*arguments)
    wait_until(lambda: len(project.said("train")) == 2)
    project.wait.unlink()
    time.sleep(0.2)
    project.wait.touch()
    driver.kill()
    driver.communicate()
    wait_until(lambda: not trainings_alive(project), 20)
    project.wait.unlink()
    done = sweep(project, machines, "-S", "seed=1,2", *LONG)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(project.experiments()) == 2 and len(project.said("tokenize")) == 1


def test_a_stopped_sweep_keeps_checkpoints_and_is_gone_on_with(project: SweptProject, machines: Machines) -> None:
    arguments = ["--address", machines.address, "-S", "seed=1,2", *LONG]
    project.wait.touch()
    driver = project.start(*arguments)
    wait_until(lambda: len(project.said("train")) == 2)
    second = sweep(project, machines, "-S", "seed=7")
    assert second.returncode == 1 and f"process {driver.pid}, sweep " in second.stderr
    project.wait.unlink()
    time.sleep(0.2)
    project.wait.touch()
    assert "stopping" in project.python("stages.sweep", "stop")
    printed, _ = driver.communicate(timeout=60)
    assert driver.returncode == 128 + signal.SIGTERM and "2 stopped" in printed
    assert len(project.said("stopped")) == 2
    project.wait.unlink()
    done = project.run("python", "-m", "stages.sweep", "retry")
    assert done.returncode == 0 and len(project.experiments()) == 2
    assert len(project.said("resumed")) == 2


def test_a_search_prunes_what_lags_behind(project: SweptProject, machines: Machines) -> None:
    swept = ["-S", "train.learning_rate=interval(1e-5,1e-3)", "-S", "train.epochs=40", "-S", "seed=1"]
    done = sweep(project, machines, *swept, "--trials", "8", "--prune", "--jobs", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pruned" in done.stdout
    again = sweep(project, machines, *swept, "--trials", "8", "--prune")
    assert again.returncode == 0 and again.stdout.count(": done") == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-S", "train.epochs=1,banana"], "train.epochs='banana'"),
        (["-S", "train.epoch=1,2"], "did you mean epochs?"),
        (["-S", "train.learning_rate=interval(1e-5,1e-3)"], "--trials 40"),
        (["-S", "seed=interval(1,9)", "--trials", "3"], "seed=1.0: input should be a valid integer"),
        (["-S", "seed=1", "-S", "seed=2"], "seed: is given twice"),
        (["-S", "seed=1", "--prune"], "--trials"),
        (["-S", "seed=1,2", "--remote", "nowhere"], "no such DVC remote"),
        (["-S", "seed=1,2", "--address", "127.0.0.1:1"], "--address 127.0.0.1:1: can't be reached"),
        (["-S", "seed=1,2", "--gpus-per-job", "64"], "no machine has more than"),
        (["-S", "seed=1,2", "--name", "../.."], "--name ../..: is not a valid name of a sweep"),
        (["-S", "seed=1,2", "--name", "checkpoints"], "is not a valid name of a sweep"),
        (["logs", "nothing"], "no such sweep"),
        (["stop"], "no sweep is running"),
        ([], "nothing is swept"),
    ],
)
def test_what_a_user_can_mend_is_one_line(project: SweptProject, arguments: list[str], told: str) -> None:
    done = project.run("python", "-m", "stages.sweep", *arguments)
    assert done.returncode == 1 and told in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and not project.said()


def test_what_is_not_committed_is_refused(project: SweptProject) -> None:
    (project.root / "metrics").mkdir()
    (project.root / "metrics/runs.json").write_text("{}", encoding="utf-8")
    project.commit("metrics")
    for made in ("metrics/runs.json", "params.yaml"):  # what runs write is no matter
        (project.root / made).write_text("{}\n\n", encoding="utf-8")
    (project.root / "conf/data/mine.yaml").write_text("source: files\n", encoding="utf-8")
    (project.root / "stage.py").write_text("", encoding="utf-8")
    done = project.run("python", "-m", "stages.sweep", "-S", "seed=1,2")
    assert done.returncode == 1
    assert "error: stage.py, conf/data/mine.yaml: not in the commit" in done.stderr


_ELSEWHERE = """
import dataclasses, sys
from stages.sweep import __main__ as sweep, repository
sharing = repository.sharing
repository.sharing = lambda folder, remote: dataclasses.replace(sharing(folder, remote), folder=f"/elsewhere/{folder.name}")
sys.argv[0] = "sweep"
sweep.main()
"""
"""A driver whose disk no machine sees."""


def test_without_a_shared_disk_results_come_through_the_remote(project: SweptProject, machines: Machines) -> None:
    arguments = ["--address", machines.address, "-S", "seed=1,2", "-S", f"data.name='{project.root.parent.name} \"'"]
    refused = project.run("python", "-c", _ELSEWHERE, *arguments)
    assert refused.returncode == 1 and refused.stdout.count("--remote") == 4, refused.stdout + refused.stderr
    assert not project.said()
    project.ok("dvc", "remote", "add", "--local", "other", "../nowhere", "--default")
    project.ok("dvc", "remote", "add", "--local", "mine", "../a, remote's #1")
    done = project.run("python", "-c", _ELSEWHERE, *arguments, "--remote", "mine")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (project.root / ".dvc/cache/files").exists()
    assert not [*machines.temporary.glob("stagewright-*/*")], "the machines keep nothing of a sweep that has ended"
    for trial in project.experiments():
        project.git("reset", "--quiet", "--hard")
        project.git("clean", "--quiet", "--force", "-d")
        project.run("dvc", "exp", "apply", trial)  # says that the cache lacks its files
        project.ok("dvc", "pull", "--quiet", "--remote", "mine")
        assert len((project.root / "models/trained").read_text().split()) == 10
    assert len(project.said("tokenize")) == 1
    failed = project.run("python", "-c", _ELSEWHERE, *arguments[:2], "-S", "seed=13", "--remote", "mine")
    assert failed.returncode == 1 and [*machines.temporary.glob("stagewright-*/*/cache")]
    project.python("stages.sweep", "clean", "--address", machines.address)
    assert not [*machines.temporary.glob("stagewright-*/*")]


def test_a_fault_of_dvc_is_told_once_for_all_that_share_a_stage(project: SweptProject, machines: Machines) -> None:
    (project.root / ".dvc/cache").mkdir()
    (project.root / ".dvc/cache/files").write_text("in the way")
    done = sweep(project, machines, "-S", "seed=range(0,20)", "--jobs", "2")
    assert done.returncode == 1
    assert len(project.said("tokenize")) == 1
    assert done.stdout.count("status 1  ") == 20 and "files" in done.stdout and "signal" not in done.stdout
    (project.root / ".dvc/cache/files").unlink()
    (record,) = (project.root / ".dvc/tmp/sweeps").glob("*/sweep.json")
    first = json.loads(record.read_text())["trials"][0]["name"]
    assert "tokenize" in project.python("stages.sweep", "logs", first)
    record.write_text("{")
    assert project.run("python", "-m", "stages.sweep", "status").returncode == 1
    project.python("stages.sweep", "clean")
    assert project.python("stages.sweep", "status") == "no sweep is running\n"
