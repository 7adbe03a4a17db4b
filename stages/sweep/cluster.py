"""Ray: the machines that trials run on, and how many jobs fit on them."""

import logging
import math
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from stages.pipeline.errors import ConfigError, first_line
from stages.sweep import node

_SILENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
_QUIETLY: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
_PATIENCE = 10.0
"""Seconds that a cluster has to answer."""
_THREADS_OF_WORKER = 4
"""The job runs in one; the others answer for its progress, and stop it."""


@dataclass(frozen=True)
class Resources:
    """The CPUs and GPUs that one job takes."""

    cpus: int
    gpus: float = 0.0

    def __str__(self) -> str:
        gpus = f" and {self.gpus:g} {'GPU' if self.gpus == 1 else 'GPUs'}" if self.gpus else ""
        return f"{self.cpus} {'CPU' if self.cpus == 1 else 'CPUs'}{gpus}"


def prepare_import() -> None:
    """Set the environment variables that Ray reads when it is imported. Raise ConfigError if a package is not installed."""
    missing = [package for package in ("ray", "optuna") if find_spec(package) is None]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)}: not installed; install what sweeps need with "
            "`python -m pip install --constraint constraints.txt 'stagewright[sweep]'`"
        )
    os.environ.update(_SILENT)


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Start Ray on this machine, or join the cluster at `address`, and leave it after the block.

    Raises ConfigError if Ray does not start, or the cluster can't be reached.
    """
    import ray

    ray.cloudpickle.register_pickle_by_value(node)
    logging.getLogger("ray").setLevel(logging.ERROR)
    if address is None:
        _start_here()
    else:
        _join(address)
    try:
        yield
    finally:
        ray.shutdown()


def _start_here() -> None:
    """Start Ray on this machine. Try twice: Ray gives its processes 30 s, and another program may take a port that it chose."""
    import ray

    for tries_left in (1, 0):
        try:
            # without an address Ray joins a cluster that it finds
            ray.init(address="local", include_dashboard=False, **_QUIETLY)
            return
        except Exception as error:  # Ray raises plain ones, too
            ray.shutdown()
            if not tries_left:
                raise ConfigError(
                    f"Ray: does not start on this machine ({first_line(error)}); its log is in /tmp/ray/session_latest/logs"
                ) from error


def _join(address: str) -> None:
    import ray

    _require_answer(address)
    try:
        ray.init(address=address, **_QUIETLY)
    except Exception as error:
        ray.shutdown()
        raise ConfigError(
            f"--address {address}: can't be reached ({first_line(error)}); see `ray status`, and set "
            "RAY_AUTH_MODE=token if the cluster asks for a token"
        ) from error


def _require_answer(address: str) -> None:
    """Raise ConfigError if nothing listens at HOST:PORT: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(
            f"--address {address}: is not the address of a Ray cluster; write HOST:PORT, as `ray start` prints it"
        )
    try:
        socket.create_connection((host, int(port)), _PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"--address {address}: can't be reached ({error}); start Ray there with `ray start --head`"
        ) from error


def gpus_per_job(wanted: float | None) -> float:
    """Return how many GPUs a trial takes: `wanted`, or if that is None, 1 where there are any."""
    import ray

    return float(bool(ray.cluster_resources().get("GPU"))) if wanted is None else wanted


def capacity(resources: Resources) -> int:
    """Return how many jobs fit on the cluster at once. Raises ConfigError if no machine is large enough for one."""
    import ray

    machines = [machine["Resources"] for machine in ray.nodes() if machine["Alive"]]
    fitting = sum(_jobs_on(machine, resources) for machine in machines)
    if machines and not fitting:
        most = Resources(*(int(max(machine.get(kind, 0) for machine in machines)) for kind in ("CPU", "GPU")))
        raise ConfigError(
            f"a trial takes {resources}, and no machine has more than {most}; "
            "set --gpus-per-job, --cpus-per-job, threads or train.processes"
        )
    return fitting


def _jobs_on(machine: dict[str, float], resources: Resources) -> int:
    by_cpu = int(machine.get("CPU", 0) // resources.cpus)
    return by_cpu if not resources.gpus else min(by_cpu, _by_gpu(machine.get("GPU", 0), resources.gpus))


def _by_gpu(gpus: float, each: float) -> int:
    """Return how many jobs fit on the GPUs. A job that takes a fraction shares one GPU, and never takes parts of two."""
    return int(gpus * math.floor(1 / each + 1e-9)) if each < 1 else int(gpus // each)


def require_local_node() -> None:
    """Raise ConfigError if Ray has died on the driver's machine: the cluster then ends all that the driver started."""
    import ray

    own = ray.get_runtime_context().get_node_id()
    if not any(machine["Alive"] for machine in ray.nodes() if machine["NodeID"] == own):
        raise ConfigError(
            "Ray has stopped on this machine, and all trials with it; start it again, and run the same command to continue"
        )


def start(job: node.Job, resources: Resources) -> Any:
    """Start a worker for a job, on a machine where it fits. Return Ray's handle of the `node.Worker`."""
    import ray

    worker = ray.remote(node.Worker).options(
        num_cpus=resources.cpus, num_gpus=resources.gpus, max_restarts=0, max_concurrency=_THREADS_OF_WORKER
    )
    return worker.remote(job)


def clean_machines(token: str) -> None:
    """Remove the caches and checkpoints of a project's sweeps from the machines that don't share the driver's disk."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    alive = [machine["NodeID"] for machine in ray.nodes() if machine["Alive"]]
    there = [NodeAffinitySchedulingStrategy(number, soft=False) for number in alive]
    remove = ray.remote(node.remove_local_folder)
    asked = [remove.options(num_cpus=0, scheduling_strategy=machine).remote(token) for machine in there]
    ray.wait(asked, num_returns=len(asked), timeout=_PATIENCE)


def package_versions() -> dict[str, str]:
    """Return the version of each package on which the last bits of a result depend, and of Python."""
    from importlib.metadata import version

    packages = ("ray", "dvc", "torch", "transformers", "tokenizers", "datasets", "numpy", "accelerate", "safetensors")
    return {"python": ".".join(map(str, sys.version_info[:3])), **{package: version(package) for package in packages}}
