"""The prediction server as a user starts it, and requests to it."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

from tests.support.imports import ROOT


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    process: subprocess.Popen[str]
    port: int

    @property
    def address(self) -> str:
        """Without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def connection(self) -> http.client.HTTPConnection:
        """A connection that waits for as long as a test may take."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, HTTPMessage, Any]:
        """The status, the headers, and what the body holds if it is JSON."""
        connection = self.connection()
        try:
            connection.request(method, path, body)
            return answer_of(connection)
        finally:
            connection.close()

    def predict(self, **content: Any) -> Any:
        """The answer to a request that must succeed."""
        status, _, answer = self.ask("POST", "/predict", json.dumps(content).encode())
        assert status == 200, answer
        return answer

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """The exit status after a signal, and what the server has written to standard error."""
        self.process.send_signal(number)
        errors = self.process.communicate(timeout=60)[1]
        return self.process.returncode, errors


def answer_of(connection: http.client.HTTPConnection) -> tuple[int, HTTPMessage, Any]:
    """What comes back on a connection."""
    response = connection.getresponse()
    content = response.read()
    is_json = response.headers["Content-Type"] == "application/json"
    return response.status, response.headers, json.loads(content) if is_json else content


@contextmanager
def served(root: Path, *arguments: str, module: str = "stages.serve") -> Iterator[Served]:
    """A server of the model exported in `root`, at a free port."""
    command = [sys.executable, "-m", module, "--port", "0", "--threads", "1", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        try:
            yield Served(process, int(line.partition("http://127.0.0.1:")[2].split()[0]))
        finally:
            process.kill()


def asked_to_start(root: Path, *arguments: str, program: str | None = None) -> str:
    """What a server says that must not start; `program`: in place of the module."""
    start = ["-m", "stages.serve"] if program is None else ["-c", program]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *start, *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    return line
