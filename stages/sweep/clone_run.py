"""`python -m stages.sweep.clone_run prepare|run NAME [OVERRIDE]…`: what a sweep runs in the clone of a trial.

`prepare` makes the outputs of download and tokenize, which other trials take from DVC's cache. `run` makes a DVC
experiment. Both end with the process that started them, and stop with a checkpoint on SIGTERM.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from stages.configuration.compose import write_params
from stages.configuration.composition import compose_params
from stages.pipeline.one_line import one_line_errors, one_line_log
from stages.pipeline.orphans import end_with_parent
from stages.pipeline.paths import PARAMS
from stages.reproduction.reproduce import DvcChild
from stages.sweep.node import REMOTE

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def dvc_command(purpose: str, name: str, overrides: Sequence[str], remote: str | None) -> list[str]:
    """Return the DVC command of a job. With a remote, what its cache lacks is taken from there."""
    pull = ["--pull"] if remote else []
    if purpose == "prepare":
        return [sys.executable, "-m", "dvc", "repro", *pull, "tokenize"]
    chosen = [part for override in overrides for part in ("-S", override)]
    return [sys.executable, "-m", "dvc", "exp", "run", *pull, "--name", name, *chosen]


def main() -> None:
    """Run the command line. Exits with DVC's status, or 128 + the signal that ended DVC."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)  # Ray blocks some in what it starts
    end_with_parent()
    one_line_log()
    purpose, name, *overrides = sys.argv[1:]
    remote = os.environ.get(REMOTE)
    with one_line_errors():
        if purpose == "prepare":
            write_params(compose_params(overrides), PARAMS)
        status = DvcChild(dvc_command(purpose, name, overrides, remote)).wait()
        if status == 0 and remote:
            pushed = subprocess.run(
                [sys.executable, "-m", "dvc", "push", "--quiet", "--run-cache", "--remote", remote], check=False
            )
            status = pushed.returncode
    sys.exit(status)


if __name__ == "__main__":
    main()
