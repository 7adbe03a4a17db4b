"""`stagewright post-comment`, and the workflow step that calls it, against a server that answers as GitHub does."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.comparison.post_comment import MARK, shortened
from tests.support.imports import ROOT

WORKFLOWS = (".github/workflows/checks.yml", "stagewright/template/dot_github/workflows/checks.yml")
TOKEN = "made-up"


class GitHub(ThreadingHTTPServer):
    """The comments of one pull request, which others have commented on 100 times, so that ours is on the second page."""

    def __init__(self, others: int = 100) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.comments = [self.comment(number, "User", f"{MARK} copied by a person") for number in range(others)]
        self.methods: list[str] = []

    @staticmethod
    def comment(number: int, author: str, body: str) -> dict[str, Any]:
        return {"id": number, "body": body, "user": {"type": author}, "html_url": f"https://example.org/{number}"}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def ours(self) -> list[str]:
        return [comment["body"] for comment in self.comments if comment["user"]["type"] == "Bot"]


class _Answers(BaseHTTPRequestHandler):
    server: GitHub

    def _answer(self, status: int, content: object) -> None:
        self.server.methods.append(self.command)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def _is_allowed(self) -> bool:
        if self.headers["Authorization"] == f"Bearer {TOKEN}":
            return True
        self._answer(403, {"message": "Resource not accessible by integration"})
        return False

    def _body(self) -> str:
        body: str = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]
        return body

    def do_GET(self) -> None:
        found = re.fullmatch(r"/repos/acme/reviews/issues/12/comments\?per_page=(\d+)&page=(\d+)", self.path)
        assert found
        size, page = int(found[1]), int(found[2])
        if self._is_allowed():
            self._answer(200, self.server.comments[size * (page - 1) : size * page])

    def do_POST(self) -> None:
        assert self.path == "/repos/acme/reviews/issues/12/comments"
        if self._is_allowed():
            self.server.comments.append(self.server.comment(len(self.server.comments), "Bot", self._body()))
            self._answer(201, self.server.comments[-1])

    def do_PATCH(self) -> None:
        found = re.fullmatch(r"/repos/acme/reviews/issues/comments/(\d+)", self.path)
        assert found
        if self._is_allowed():
            self.server.comments[int(found[1])]["body"] = self._body()
            self._answer(200, self.server.comments[int(found[1])])

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def step(workflow: str) -> str:
    """The command of the workflow's step that posts the comment."""
    content = YAML(typ="safe").load((ROOT / workflow).read_text(encoding="utf-8"))
    commands = [str(step.get("run", "")) for job in content["jobs"].values() for step in job["steps"]]
    (found,) = (command for command in commands if "post-comment" in command)
    return found


def run_step(workflow: str, folder: Path, github: GitHub, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    """Run the step as a runner does: its variables, and `bash -e`."""
    command = folder / "bin/stagewright"
    command.parent.mkdir(exist_ok=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m stagewright "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    variables = {
        "GITHUB_API_URL": github.address, "GITHUB_REPOSITORY": "acme/reviews", "GITHUB_TOKEN": token, "NUMBER": "12",
        "REPORT": "https://example.org/report", "PYTHONPATH": str(ROOT),
        "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    return subprocess.run(
        ["bash", "-e", "-c", step(workflow)], cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_the_step_of_the_workflow_posts_once_and_then_updates(workflow: str, tmp_path: Path, github: GitHub) -> None:
    for text in ("first", "second: ü"):
        (tmp_path / "comment.md").write_text(f"{MARK}\n{text}\n", encoding="utf-8")
        done = run_step(workflow, tmp_path, github)
        assert done.returncode == 0 and done.stdout == "https://example.org/100\n", done.stderr
    (ours,) = github.ours()
    assert ours.startswith(f"{MARK}\nsecond: ü\n") and "(https://example.org/report)" in ours
    assert github.methods == ["GET", "GET", "POST", "GET", "GET", "PATCH"]
    assert all("copied by a person" in comment["body"] for comment in github.comments[:100])


def test_a_token_that_may_not_write_is_one_line(tmp_path: Path, github: GitHub) -> None:
    (tmp_path / "comment.md").write_text(f"{MARK}\n", encoding="utf-8")
    done = run_step(WORKFLOWS[0], tmp_path, github, token="another")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "was refused (403" in done.stderr and "pull-requests: write" in done.stderr
    assert "another" not in done.stderr


@pytest.mark.parametrize(("content", "said"), [("no mark", "is not what"), (None, "can't be read")])
def test_a_file_that_is_no_comment_is_not_posted(
    content: str | None, said: str, tmp_path: Path, github: GitHub
) -> None:
    if content is not None:
        (tmp_path / "comment.md").write_text(content, encoding="utf-8")
    done = run_step(WORKFLOWS[0], tmp_path, github)
    assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1
    assert not github.methods


def test_a_comment_that_is_too_long_is_cut_and_keeps_its_link() -> None:
    text = shortened(MARK + "x" * 70_000, "https://example.org/report")
    assert len(text) <= 65_000 and text.startswith(MARK) and "(https://example.org/report)" in text
    assert shortened(MARK, None) == MARK
