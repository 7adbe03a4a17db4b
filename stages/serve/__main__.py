"""`stagewright serve`: answer requests for predictions over HTTP with an exported model.

    curl http://127.0.0.1:8000/predict -d '{"inputs": "It arrived broken."}'
    curl http://127.0.0.1:8000/predict -d '{"inputs": ["one text", "another"], "parameters": {"top_k": null}}'
    curl http://127.0.0.1:8000/health

Responses have the format of transformers' pipelines. http://127.0.0.1:8000/ is a page to try the model by hand. Ctrl-C or SIGTERM
ends the server once the requests that it has accepted are answered. There is no authentication: with another --host than the
default, anybody who can reach this machine can use the server.

Examples:
  stagewright serve                                      models/export at http://127.0.0.1:8000/
  stagewright serve --model my-experiment --port 0       an experiment's model, on any free port
"""

import argparse
import os
import signal
import socket
import sys
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from stages.configuration.kinds import labels_words
from stages.pipeline.argument_types import count
from stages.pipeline.errors import ConfigError
from stages.pipeline.one_line import one_line_errors
from stages.predict.model_options import add_model_options, loaded, model_folder
from stages.predict.settings import read_settings
from stages.serve.request_body import Accepted

_EXTRA = ("starlette", "uvicorn")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main() -> None:
    """Run the command line."""
    arguments = parser().parse_args()
    for number in _SIGNALS:
        signal.signal(number, lambda *_: sys.exit(0))  # until there is something to finish
    with one_line_errors(), model_folder(arguments.model) as folder:
        _require_extra()
        if arguments.max_waiting < arguments.max_texts:
            raise ConfigError(f"--max-waiting {arguments.max_waiting}: is less than --max-texts {arguments.max_texts}")
        is_whole = _serve(arguments, folder, _listening(arguments.host, arguments.port))
    if not is_whole:
        print(f"error: not all requests were answered within {arguments.stop_within} seconds", file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)  # the model computes, and Python would wait for its threads


def _serve(arguments: argparse.Namespace, folder: Path, listening: socket.socket) -> bool:
    """Answer requests until a signal comes. Return whether all that were accepted are answered."""
    settings = read_settings(folder)
    accepted = Accepted(labels_words(settings.task.kind), arguments.max_texts, settings.pairs)
    predictor = loaded(folder, arguments)
    import uvicorn

    from stages.serve.answers import predictions_of
    from stages.serve.app import Health, Worker, make_app

    worker = Worker(partial(predictions_of, predictor), max_waiting=arguments.max_waiting)
    health = Health(
        "ready", arguments.model, predictor.runtime, predictor.task.pipeline, predictor.labels, accepted.max_texts,
        arguments.max_bytes, metadata.version("stagewright"),
    )  # fmt: skip
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(worker, accepted, health), http="h11", ws="none", loop="asyncio", lifespan="off", log_config=None,
            access_log=False, server_header=False, proxy_headers=False,
            timeout_graceful_shutdown=arguments.stop_within,
        )
    )  # fmt: skip

    def stop(*_: object) -> None:
        server.should_exit = True

    for number in _SIGNALS:
        signal.signal(number, stop)  # uvicorn takes them over while it serves, and raises them again at the end
    host, port = listening.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    print(f"{arguments.model}, by {predictor.runtime}: {address} (Ctrl-C ends it)", flush=True)
    server.run(sockets=[listening])
    return worker.stop(seconds=1)


def _require_extra() -> None:
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the server needs {' and '.join(missing)}; install with: "
            "pip install --constraint constraints.txt 'stagewright[serve]'"
        )


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens: a port that is in use is told before a model is loaded."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror  # below 0 are the numbers of name resolution
        raise ConfigError(
            f"--host {host} --port {port}: can't listen there ({reason}); choose another --port"
        ) from error


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port number from 0 to 65535")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="stagewright serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--host", default="127.0.0.1", help="the address to listen on; default: only this machine")
    made.add_argument(
        "--port", type=_port, default=8000, help="the port; 0 chooses a free one and prints it; default: 8000"
    )
    add_model_options(made)
    for name, default, help in (
        ("--max-texts", 128, "the maximum number of texts in a request"),
        ("--max-bytes", 1 << 20, "the maximum size of a request's body, in bytes"),
        ("--max-waiting", 1024, "the maximum number of texts that wait for the model; further requests get status 503"),
        (
            "--stop-within",
            30,
            "seconds to answer accepted requests after a signal; if that is not enough, the exit status is 1",
        ),
    ):
        made.add_argument(name, type=count, default=default, metavar="N", help=f"{help}; default: {default}")
    return made


if __name__ == "__main__":
    main()
