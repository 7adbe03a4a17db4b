"""Ray: the machines that trials run on, and how many fit."""

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
"""A job runs in one; the others look at it and stop it."""


@dataclass(frozen=True)
class Need:
    """What one job takes of a machine."""

    cpus: int
    gpus: float = 0.0

    def __str__(self) -> str:
        return f"{self.cpus} CPUs" + (f" and {self.gpus:g} GPUs" if self.gpus else "")


def before_import() -> None:
    """Set what Ray reads when it is imported. Raise ConfigError if what sweeps need is not installed."""
    missing = [package for package in ("ray", "optuna") if find_spec(package) is None]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)}: not installed; install what sweeps need with "
            "`python -m pip install --constraint constraints.txt 'stagewright[sweep]'`"
        )
    os.environ.update(_SILENT)


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Start Ray on this machine, or join a cluster; leave it at the end. Raises ConfigError if it can't be reached."""
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
    """Start Ray on this machine, twice if need be: it gives its processes 30 s, and takes a port that was free a moment ago."""
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
    """Raise ConfigError if nothing listens at HOST:PORT. Ray would try for minutes."""
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
    """Return how many GPUs a trial takes: as wanted, or one where there are any."""
    import ray

    return float(bool(ray.cluster_resources().get("GPU"))) if wanted is None else wanted


def room(need: Need) -> int:
    """Return how many jobs fit into the cluster at once. Raises ConfigError if no machine is large enough for one."""
    import ray

    machines = [machine["Resources"] for machine in ray.nodes() if machine["Alive"]]
    fitting = sum(_fitting(machine, need) for machine in machines)
    if machines and not fitting:
        most = Need(*(int(max(machine.get(kind, 0) for machine in machines)) for kind in ("CPU", "GPU")))
        raise ConfigError(
            f"a trial takes {need}, and no machine has more than {most}; "
            "set --gpus-per-job, --cpus-per-job, threads or train.processes"
        )
    return fitting


def _fitting(machine: dict[str, float], need: Need) -> int:
    by_cpu = int(machine.get("CPU", 0) // need.cpus)
    return by_cpu if not need.gpus else min(by_cpu, _by_gpu(machine.get("GPU", 0), need.gpus))


def _by_gpu(gpus: float, each: float) -> int:
    """A job of less than one GPU shares one; it never takes parts of two."""
    return int(gpus * math.floor(1 / each + 1e-9)) if each < 1 else int(gpus // each)


def require_own_machine() -> None:
    """Raise ConfigError if Ray has died on the driver's own machine: the cluster takes the driver for dead then."""
    import ray

    own = ray.get_runtime_context().get_node_id()
    if not any(machine["Alive"] for machine in ray.nodes() if machine["NodeID"] == own):
        raise ConfigError(
            "Ray has stopped on this machine, and all trials with it; start it again, and run the same command to continue"
        )


def start(job: node.Job, need: Need) -> Any:
    """Start a worker for a job, on a machine with room for it. Return Ray's handle of the `node.Worker`."""
    import ray

    worker = ray.remote(node.Worker).options(
        num_cpus=need.cpus, num_gpus=need.gpus, max_restarts=0, max_concurrency=_THREADS_OF_WORKER
    )
    return worker.remote(job)


def remove_from_machines(token: str) -> None:
    """Remove what the sweeps of a project have left on the machines that don't share the driver's disk: caches, checkpoints."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    alive = [machine["NodeID"] for machine in ray.nodes() if machine["Alive"]]
    there = [NodeAffinitySchedulingStrategy(number, soft=False) for number in alive]
    remove = ray.remote(node.remove_own_place)
    asked = [remove.options(num_cpus=0, scheduling_strategy=machine).remote(token) for machine in there]
    ray.wait(asked, num_returns=len(asked), timeout=_PATIENCE)


def versions() -> dict[str, str]:
    """Return the versions that the machines of a cluster must share, for the same bytes."""
    from importlib.metadata import version

    packages = ("ray", "dvc", "torch", "transformers", "tokenizers", "datasets", "numpy", "accelerate", "safetensors")
    return {"python": ".".join(map(str, sys.version_info[:3])), **{package: version(package) for package in packages}}
