"""A stage ends when the DVC that started it does: as an orphan it would write on, beside the run that follows.

A small process beside the one that is guarded does it. A thread would wait for code that holds Python's lock, and
the kernel's own signal on a parent's death exists on Linux alone and takes no notice of a shell in between.
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
"""Seconds between two looks at the parents."""

PATIENCE = 1.0
"""Seconds that the guarded process has for ending by itself once a parent is gone."""


def end_with_dvc() -> None:
    """Let this process end with the DVC that started it; one that was started by hand is left alone."""
    if DVC_STAGE in os.environ:
        _guard(_up_to_dvc)


def end_with_parent() -> None:
    """Let this process, and what it becomes by `exec`, end with the one that started it."""
    parent = os.getppid()
    _guard(lambda guarded: [found for found in guarded.parents()[:1] if found.pid == parent])


_LEFT_TO_THE_GUARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that reach the whole group: what they mean is for the guarded process to say."""


def _guard(parents_of: Callable[["Process"], list["Process"]]) -> None:
    """Start the process that watches. `parents_of` finds whom to watch, and nobody if they are gone already."""
    guarded = os.getpid()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _LEFT_TO_THE_GUARDED)  # until the child ignores them
    if os.fork():
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return
    try:
        for number in _LEFT_TO_THE_GUARDED:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        _step_aside()
        _watch(guarded, parents_of)
    finally:
        os._exit(0)


def _step_aside() -> None:
    """Hold on to no file of the guarded process."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        if standard is not None:
            os.dup2(nowhere, standard.fileno())
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))


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
        _end(process)


def lives(process: "Process") -> bool:
    """Whether it runs still: neither ended nor a zombie, whose number is only kept until its parent has looked."""
    from psutil import STATUS_ZOMBIE, NoSuchProcess

    try:
        return process.is_running() and process.status() != STATUS_ZOMBIE
    except NoSuchProcess:
        return False


def _end(process: "Process") -> None:
    """Ask the process to end, then make it and all that it started."""
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
    """The parents up to DVC, which is the first that does not carry the stage's name; a shell may be between.

    Empty if DVC is gone: whoever takes on orphans is not of the process group that DVC and its stage share or, in a
    container, a first process that may share it, but is a shell or `make`.
    """
    links = [process]
    for parent in process.parents():
        links.append(parent)
        if not carries_stage(parent):
            break
    below, last = links[-2:]
    shares_group = os.getpgid(below.pid) == os.getpgid(last.pid)
    return links[1:] if shares_group and (last.pid != 1 or _may_be_dvc(last)) else []


def _may_be_dvc(process: "Process") -> bool:
    """Whether it runs Python, as DVC does and programs that use it, or DVC as one executable."""
    from psutil import AccessDenied

    try:
        return Path(process.exe()).name.startswith(("python", "pypy", "dvc"))
    except AccessDenied:  # another user's
        return False


def carries_stage(process: "Process") -> bool:
    """Whether DVC started it for a stage, directly or not."""
    from psutil import AccessDenied

    try:
        return DVC_STAGE in process.environ()
    except AccessDenied:  # another user's: not what DVC started
        return False
