"""The HTTP interface: `POST /predict`, `GET /health`, and a page to try the model by hand."""

import asyncio
import json
import logging
import os
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from stages.pipeline.errors import first_line
from stages.pipeline.escaping import visible
from stages.pipeline.one_line import DEBUG
from stages.serve.answers import Prediction, answer_to
from stages.serve.batching import BatchingWorker, ComputeError, QueueFullError
from stages.serve.request_body import Accepted, BodyError, Input, read_body

log = logging.getLogger("stages.serve")

Worker: TypeAlias = BatchingWorker[Input, Prediction]

_HERE = "there is POST /predict, GET /health and a page at GET /"
_SECONDS_FOR_A_BODY = 30
_SECONDS_TO_RETRY = "1"
_PAGE = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Health:
    """What `GET /health` tells."""

    status: str
    model: str
    runtime: str
    task: str
    """The pipeline of transformers whose answers these are."""
    labels: tuple[str, ...]
    """In the model's order; none where it predicts a number."""
    max_texts: int
    max_bytes: int
    version: str


def make_app(worker: Worker, accepted: Accepted, health: Health) -> Starlette:
    """Return the ASGI application."""

    async def predict(request: Request) -> Response:
        try:
            asked = read_body(await _body(request, health.max_bytes), accepted)
            predictions = await _outputs(request, worker.submit(asked.inputs))
        except BodyError as error:
            raise HTTPException(422, str(error)) from error
        except QueueFullError as error:
            message = "too many texts wait already; try again in a second"
            raise HTTPException(503, message, {"Retry-After": _SECONDS_TO_RETRY}) from error
        except ComputeError as error:
            log.error("error: a request failed: %s", visible(str(error)), exc_info=DEBUG in os.environ)
            raise HTTPException(500, f"the model fails for these inputs ({error})") from error
        except asyncio.CancelledError as error:  # the time that --stop-within gives is over
            raise HTTPException(503, "the server ends before it came to this request") from error
        return _json(answer_to(asked, predictions))

    async def tell_health(_: Request) -> Response:
        return _json(health)

    routes = [
        Route("/predict", predict, methods=["POST"]),
        Route("/health", tell_health),
        *(Route(path, _file(name, media_type)) for path, (name, media_type) in _PAGE.items()),
    ]
    return Starlette(
        routes=routes, exception_handlers={HTTPException: _refusal, ClientDisconnect: _nothing, Exception: _failure}
    )


async def _body(request: Request, most: int) -> bytes:
    """Read a body, and no further than it may be long."""
    too_large = HTTPException(413, f"the body is larger than {most} bytes; send fewer or shorter texts at once")
    if int(request.headers.get("content-length", 0)) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS_FOR_A_BODY):
            async for part in request.stream():
                body += part
                if len(body) > most:
                    raise too_large
    except TimeoutError as error:
        raise HTTPException(
            408, f"the body did not arrive within {_SECONDS_FOR_A_BODY} seconds; send it again"
        ) from error
    return bytes(body)


async def _outputs(request: Request, waiting: Future[Sequence[Prediction]]) -> Sequence[Prediction]:
    """Wait for predictions as long as the client does. What it no longer wants is not computed."""
    gone, outputs = asyncio.ensure_future(request.receive()), asyncio.wrap_future(waiting)
    either: set[asyncio.Future[Any]] = {gone, outputs}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not outputs.done():
            raise ClientDisconnect
        return outputs.result()
    finally:
        gone.cancel()
        outputs.cancel()


def _file(name: str, media_type: str) -> Any:
    """Return an endpoint for a file of the page."""
    content = Path(__file__).with_name(name).read_bytes()

    async def endpoint(_: Request) -> Response:
        return Response(content, media_type=media_type, headers=_HEADERS)

    return endpoint


def _json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(content, default=vars, ensure_ascii=False, allow_nan=False)
    return Response(text, status, {"X-Content-Type-Options": "nosniff", **(headers or {})}, "application/json")


async def _refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = _HERE if error.status_code in (404, 405) else error.detail
    return _json({"error": detail}, error.status_code, dict(error.headers or {}))


async def _failure(_: Request, error: Exception) -> Response:
    return _json({"error": f"the server fails ({type(error).__name__}: {first_line(error)})"}, 500)


async def _nothing(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it
