"""What git says of a repository, and what is said where it can't be asked."""

import subprocess
from pathlib import Path

import pytest

from stages.pipeline.errors import ConfigError
from stages.pipeline.git import file_at, git, git_if_possible
from tests.support.told import told

FILE = Path("folder/file")


@pytest.fixture
def content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The content of `FILE` in a repository's only commit; the repository is the current folder."""
    monkeypatch.chdir(tmp_path)
    content = b"\xff\r\n\0"
    FILE.parent.mkdir()
    FILE.write_bytes(content)
    author = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
    for command in (["init", "--quiet"], ["add", "."], [*author, "commit", "--quiet", "--message", "a"]):
        subprocess.run(["git", *command], check=True)
    return content


def test_a_file_of_a_revision_is_its_bytes(content: bytes) -> None:
    FILE.write_bytes(b"changed")
    assert file_at("HEAD", FILE) == content
    assert file_at("HEAD", Path("nowhere")) is None
    assert file_at("nowhere", FILE) is None


def test_what_git_refuses_is_told_in_one_line(content: bytes) -> None:
    with pytest.raises(ConfigError) as error:
        git("rev-parse", "--verify", "nowhere")
    assert told(error) == "`git rev-parse` failed: fatal: Needed a single revision"
    assert git_if_possible("rev-parse", "--verify", "nowhere") is None


def test_without_git_one_line_says_so(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git_if_possible("rev-parse", "--is-inside-work-tree") == "true\n"
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError) as error:
        git("rev-parse", "HEAD")
    assert told(error).startswith("git: can't be run") and "install it" in told(error)
    assert git_if_possible("rev-parse", "HEAD") is None
    assert file_at("HEAD", FILE) is None
