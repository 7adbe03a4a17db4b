"""Ray's start on this machine, when it takes more than one try."""

import pytest

from stages.pipeline.errors import ConfigError
from stages.sweep.cluster import connected, prepare_import

pytestmark = pytest.mark.slow  # Ray takes seconds to import
pytest.importorskip("ray")


class Starts:
    """`ray.init` of a machine on which the first tries fail."""

    def __init__(self, failing: int) -> None:
        self.failing, self.tried = failing, 0

    def __call__(self, **arguments: object) -> None:
        assert arguments["address"] == "local", "else Ray joins what it finds"
        self.tried += 1
        if self.tried <= self.failing:
            raise Exception("The current node timed out during startup.\nThis could happen because of anything")


@pytest.fixture
def starts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Starts:
    prepare_import()
    starts = Starts(request.param)
    monkeypatch.setattr("ray.init", starts)
    return starts


@pytest.mark.parametrize("starts", [0, 1], indirect=True)
def test_a_start_that_fails_once_is_tried_again(starts: Starts) -> None:
    with connected(None):
        assert starts.tried == starts.failing + 1


@pytest.mark.parametrize("starts", [2], indirect=True)
def test_a_start_that_fails_twice_is_one_line(starts: Starts) -> None:
    with (
        pytest.raises(ConfigError, match=r"Ray: does not start .*timed out during startup\.\)") as told,
        connected(None),
    ):
        pass
    assert "\n" not in str(told.value) and starts.tried == 2
