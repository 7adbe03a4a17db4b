"""Searches that are interrupted, whose trials fail, and that Optuna asks for the same values twice."""

from pathlib import Path

import pytest

pytest.importorskip("optuna")

from stages.sweep.search import Search
from stages.sweep.trials import Trial, grid

pytestmark = pytest.mark.slow  # Optuna and Hydra take long to import


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def search(journal: Path, swept: str, trials: int, *, prune: bool = False) -> Search:
    return Search("s", [swept], trials, prune=prune, journal=journal)


def all_of(source: Search) -> list[Trial]:
    return list(iter(source.next, None))


def test_values_that_are_at_work_are_not_run_twice(journal: Path) -> None:
    source = search(journal, "train.epochs=2,3", 8)
    asked = all_of(source)
    assert len({trial.name for trial in asked}) == len(asked) == 2
    for trial in asked:
        source.finish(trial, 0.5)
    assert all_of(search(journal, "train.epochs=2,3", 8)) == [], "all eight have ended"
    assert all_of(search(journal, "train.epochs=2,3", 4)) == [], "and fewer are wanted"


@pytest.mark.parametrize("changed", ["a.csv", "b.csv"])
def test_scores_on_other_data_are_not_taken_up(changed: str, journal: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("text,label\nfine,1\nbad,2\n")
    files = [f"data.train={tmp_path}/a.csv,{tmp_path}/b.csv", "task=text", "data=files"]

    def begun() -> Search:
        return Search("s", files, 12, prune=False, journal=journal)

    source = begun()
    for trial in (before := all_of(source)):
        source.finish(trial, 0.5)
    assert len(before) == 2 and all_of(begun()) == []
    (tmp_path / changed).write_text("text,label\nfine,2\nbad,1\n")
    again = all_of(begun())
    assert len(again) == 2 and len({trial.name for trial in [*before, *again]}) == 3


def test_values_that_are_written_differently_are_one_trial() -> None:
    assert len(grid("s", ["seed=1,2", "train.learning_rate=1e-4,0.0001"])) == 2


def test_what_was_pruned_is_pruned_if_it_is_asked_for_again(journal: Path) -> None:
    source = search(journal, "train.epochs=2,3", 12, prune=True)
    first, second = source.next(), source.next()
    assert first is not None and second is not None
    assert source.should_continue(first, 1, 0.9)
    assert not source.should_continue(second, 1, 0.1)
    source.finish(second, None)
    source.finish(first, 0.9)
    assert {trial.name for trial in all_of(source)} <= {first.name}


def test_a_search_that_goes_on_asks_for_other_values_and_for_what_failed(journal: Path) -> None:
    interval = "train.learning_rate=interval(1e-5,1e-3)"
    source = search(journal, interval, 4)
    done, failed, running, also_failed = all_of(source)
    source.finish(done, 0.5)
    source.finish(failed, None)
    source.finish(also_failed, None)
    again = all_of(search(journal, interval, 6))
    assert {trial.name for trial in again[:3]} == {failed.name, also_failed.name, running.name}
    assert len(again) == 5 and len({trial.name for trial in [done, *again]}) == 6
