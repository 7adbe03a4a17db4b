"""What can go wrong while a repository on the Hub is written to: what it is, and what to do, in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from huggingface_hub import constants

from stages.pipeline.errors import HubError
from stages.sources.hub import BROKEN, WITHOUT_XET, explain_connection, explain_status, hub_address

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError


_TEXTS = {
    401: "the Hub does not know the token; set HF_TOKEN to a valid one, or run `hf auth login`",
    403: "the token may not write there; set HF_TOKEN to one that may write to what belongs to {owner}",
    404: "no such repository, or the token may not see it; set HF_TOKEN to one that may",
    409: "the Hub has it already (409): a tag that was set in the meantime, or a repository that the token may not see; "
    "run again, or choose another name",
    412: "somebody else has committed there in the meantime; run again",
}
"""What answers mean, by their status."""


@contextmanager
def push_errors(repo: str) -> Iterator[None]:
    """Turn what `huggingface_hub` raises into HubError. Its own messages may hold signed addresses, and are not repeated."""
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # its public alias, whatever it is built on

    try:
        yield
    except (OSError, ValueError, RuntimeError, httpx.HTTPError) as error:
        raise HubError(f"{repo}: {_explain(error, repo)}") from error


def _explain(error: BaseException, repo: str) -> str:
    from huggingface_hub import errors

    match error:
        case errors.HfHubHTTPError():
            return _explain_answer(error, repo)
        case errors.OfflineModeIsEnabled():
            return "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set; unset it to push"
        case RuntimeError(__cause__=Exception() as cause):  # names the file whose upload failed
            return _explain(cause, repo)
        case RuntimeError():  # all that hf_xet raises, after two minutes of attempts
            return f"{BROKEN}; {WITHOUT_XET}"
        case OSError(filename=str() as name, strerror=reason):
            return f"{name} can't be read ({reason}); push again when no other run is active in this folder"
        case _:
            return explain_connection(error)


def _explain_answer(error: "HfHubHTTPError", repo: str) -> str:
    from huggingface_hub import errors

    status, reason = error.response.status_code, error.response.reason_phrase
    if _host(str(error.response.request.url)) != _host(constants.ENDPOINT):
        text = f"the Hub's storage answered {status} {reason}; run again"
    elif status == 404 and not isinstance(error, errors.RepositoryNotFoundError):
        text = f"{hub_address()} does not know what was asked for ({status} {reason}); run again"
    elif status in _TEXTS:
        text = _TEXTS[status].format(owner=repo.partition("/")[0])
    elif status == 429 or status >= 500:
        text = explain_status(error)
    else:
        text = f"{hub_address()} refused it with {status} {reason} ({error.server_message or 'no reason given'})"
    return text


def _host(address: str) -> str | None:
    return urlsplit(address).hostname
