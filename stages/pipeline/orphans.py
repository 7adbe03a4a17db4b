"""End a stage when the DVC that started it is gone: an orphan would keep writing beside the next run.

If DVC dies, its stage exits within 2 s. A stage started by hand keeps running.

A small process beside the guarded one watches its parents. A thread would have to wait for code that holds Python's
global lock. The kernel's signal on a parent's death exists on Linux alone, and does not see past a shell in between.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psutil import Process

DVC_STAGE = "DVC_STAGE"
"""The environment variable in which DVC names the stage whose command it runs."""

INTERVAL = 0.1
"""Seconds between two checks of the parents."""

PATIENCE = 1.0
"""Seconds that the guarded process has to exit by itself once a parent is gone."""


def end_with_dvc() -> None:
    """End this process when the DVC that started it is gone. A process started by hand is left alone."""
    if DVC_STAGE in os.environ:
        _guard(_up_to_dvc)


def end_with_parent() -> None:
    """End this process, and what it becomes by `exec`, when the process that started it is gone."""
    parent = os.getppid()
    _guard(lambda guarded: [found for found in guarded.parents()[:1] if found.pid == parent])


_LEFT_TO_THE_GUARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that reach the whole process group. The watching process ignores them: the guarded one handles them."""


def _guard(parents_of: Callable[["Process"], list["Process"]]) -> None:
    """Start the watching process. `parents_of` returns the processes to watch, or none if they are gone already."""
    guarded = os.getpid()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _LEFT_TO_THE_GUARDED)  # until the child ignores them
    if os.fork():
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return
    try:
        for number in _LEFT_TO_THE_GUARDED:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
            if standard is not None:
                os.dup2(nowhere, standard.fileno())
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # a pipe ends only when every process has closed it
        _watch(guarded, parents_of)
    finally:
        os._exit(0)


def _watch(guarded: int, parents_of: Callable[["Process"], list["Process"]]) -> None:
    from psutil import NoSuchProcess, Process

    with suppress(NoSuchProcess):  # the guarded process itself: it has ended
        process = Process(guarded)
        try:
            parents = parents_of(process)
        except NoSuchProcess:
            parents = []
        while parents and all(lives(parent) for parent in parents):
            time.sleep(INTERVAL)
            if os.getppid() != guarded:
                return
        _terminate_then_kill(process)


def lives(process: "Process") -> bool:
    """Whether a process is still running. A zombie is not: it has exited, and its parent has not asked for its status yet."""
    from psutil import STATUS_ZOMBIE, NoSuchProcess

    try:
        return process.is_running() and process.status() != STATUS_ZOMBIE
    except NoSuchProcess:
        return False


def _terminate_then_kill(process: "Process") -> None:
    """Ask the process to exit; after `PATIENCE` seconds kill it and all that it started."""
    from psutil import NoSuchProcess

    family = [process, *_others_below(process)]
    process.terminate()
    patient_until = time.monotonic() + PATIENCE
    while lives(process) and time.monotonic() < patient_until:
        time.sleep(INTERVAL)
    for member in [*family, *_others_below(process)]:
        with suppress(NoSuchProcess):
            member.kill()


def _others_below(process: "Process") -> list["Process"]:
    from psutil import NoSuchProcess

    try:
        return [child for child in process.children(recursive=True) if child.pid != os.getpid()]
    except NoSuchProcess:
        return []


def _up_to_dvc(process: "Process") -> list["Process"]:
    """Return the parents up to DVC: the first without the stage's name in its environment. A shell may be in between.

    Empty if DVC is gone. Then the last parent is the process that adopts orphans: it is in another process group than
    the stage, or it is a container's first process, which may be in the same group but is a shell or `make`.
    """
    links = [process]
    for parent in process.parents():
        links.append(parent)
        if not carries_stage(parent):
            break
    below, last = links[-2:]
    shares_group = os.getpgid(below.pid) == os.getpgid(last.pid)
    return links[1:] if shares_group and (last.pid != 1 or _is_python_or_dvc(last)) else []


def _is_python_or_dvc(process: "Process") -> bool:
    """Whether the process runs Python, as DVC and programs that use it do, or DVC as one executable."""
    from psutil import AccessDenied

    try:
        return Path(process.exe()).name.startswith(("python", "pypy", "dvc"))
    except AccessDenied:  # another user's
        return False


def carries_stage(process: "Process") -> bool:
    """Whether DVC started the process for a stage, directly or not."""
    from psutil import AccessDenied

    try:
        return DVC_STAGE in process.environ()
    except AccessDenied:  # another user's: not what DVC started
        return False
