"""With this folder on PYTHONPATH, every Python process notes in the file SOCKETS whom it looks up or connects to."""

import os
import sys
from typing import Any

_EVENTS = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
}
"""And where in the event's arguments the address is."""


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _EVENTS:
        with open(os.environ["SOCKETS"], "a", encoding="utf-8") as file:  # noqa: PTH123 (pathlib may not be imported yet)
            file.write(f"{event} {arguments[_EVENTS[event]]!r} {sys.argv!r}\n")


if "SOCKETS" in os.environ:
    sys.addaudithook(_note)
