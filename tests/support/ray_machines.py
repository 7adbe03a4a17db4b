"""A Ray cluster of two machines with two GPUs each, as Ray has it for tests: all on this machine, devices by name alone.

It runs in a process of its own: Ray takes over a process's signals, and leaves files open.
"""

import os
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import Any


class Machines:
    """A head without room, and machines that come and go."""

    def __init__(self, root: Path) -> None:
        """`root`: of the modules that the cluster's processes find."""
        self._disk = tempfile.TemporaryDirectory()
        self.temporary = Path(self._disk.name)
        """Where the machines keep temporary files."""
        own = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": tempfile.gettempdir(), "TMPDIR": self._disk.name}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, cwd=root, env={**os.environ, **own},
        )  # fmt: skip
        self.address = self._answer()

    def kill_one(self) -> None:
        """A machine with work goes at once, and all that runs there; another one comes."""
        self._say("kill")

    def shutdown(self) -> None:
        """End all."""
        self._say("end")
        self._process.wait(60)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._disk.cleanup()

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        assert self._answer() == "done"

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def main() -> None:
    """Hold the cluster; obey the words that come in."""
    from ray.cluster_utils import Cluster

    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints as well
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "num_gpus": 0})
    addresses = (f"127.0.0.{number}" for number in count(2))  # so that a driver joins the head, which is not killed

    def add() -> Any:
        return cluster.add_node(num_cpus=8, num_gpus=2, node_ip_address=next(addresses))

    nodes = [add(), add()]
    print(cluster.address, file=said, flush=True)
    for line in sys.stdin:
        if line.strip() == "end":
            cluster.shutdown()
            print("done", file=said, flush=True)
            os._exit(0)  # Ray's threads would keep the process
        cluster.remove_node(nodes.pop(0), allow_graceful=False)
        nodes.append(add())
        print("done", file=said, flush=True)


if __name__ == "__main__":
    main()
