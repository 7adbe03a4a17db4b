"""A Ray cluster of two machines with two GPUs each, as Ray has it for tests: all on this machine, devices by name alone.

It runs in a process of its own: Ray takes over a process's signals, and leaves files open.
"""

import os
import subprocess
import sys
import tempfile
import traceback
from itertools import count
from pathlib import Path
from typing import Any

_TRIES = 3
"""Ray gives a machine 30 s to start, and takes a port that was free a moment ago."""


class Machines:
    """A head without room, and machines that come and go."""

    def __init__(self, root: Path) -> None:
        """`root`: of the modules that the cluster's processes find. Raises RuntimeError with Ray's words if it can't start."""
        self._disk = tempfile.TemporaryDirectory()
        self.temporary = Path(self._disk.name)
        """Where the machines keep temporary files."""
        self._log = self.temporary / "cluster.log"
        for _ in range(_TRIES):
            self._process = self._start(root)
            self.address = self._answer()
            if self.address:
                return
            self._close()
        log = self._log.read_text(encoding="utf-8")
        self._disk.cleanup()
        raise RuntimeError(f"the cluster did not start in {_TRIES} tries:\n{log}")

    def kill_one(self) -> None:
        """A machine with work goes at once, and all that runs there; another one comes."""
        assert self._process.stdin is not None
        print("kill", file=self._process.stdin, flush=True)
        assert self._answer() == "done", self._log.read_text(encoding="utf-8")

    def shutdown(self) -> None:
        """End all."""
        self._close()
        self._disk.cleanup()

    def _start(self, root: Path) -> "subprocess.Popen[str]":
        own = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": tempfile.gettempdir(), "TMPDIR": self._disk.name}
        with self._log.open("a", encoding="utf-8") as log:
            return subprocess.Popen(
                [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True, cwd=root, env={**os.environ, **own},
            )  # fmt: skip

    def _close(self) -> None:
        """End the cluster's process, and leave no open stream."""
        self._process.communicate(timeout=60)

    def _answer(self) -> str:
        """Return the next line of the cluster's process; an empty one if it has died."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def main() -> None:
    """Hold the cluster until the input ends; lose a machine at each line that comes in."""
    from ray.cluster_utils import Cluster

    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints as well
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "num_gpus": 0})
    addresses = (f"127.0.0.{number}" for number in count(2))  # so that a driver joins the head, which is not killed

    def add() -> Any:
        return cluster.add_node(num_cpus=8, num_gpus=2, node_ip_address=next(addresses))

    nodes = [add(), add()]
    print(cluster.address, file=said, flush=True)
    for _ in sys.stdin:
        cluster.remove_node(nodes.pop(0), allow_graceful=False)
        nodes.append(add())
        print("done", file=said, flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    try:
        main()
    except Exception:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(0)  # Ray's threads would keep the process
