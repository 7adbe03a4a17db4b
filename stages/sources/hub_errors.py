"""What `huggingface_hub` raises, in one line: what is wrong, where, and what to do."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from huggingface_hub import constants

from stages.pipeline.errors import HubError
from stages.sources.hub_cache import Repo, hub_address, missing, some

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

BROKEN = "the connection broke; run again: what has arrived whole is kept, and the rest starts anew"


@contextmanager
def explained(repo: Repo, names: Sequence[str] = ()) -> Iterator[None]:
    """Turn what `huggingface_hub` raises into one line: what is wrong, where, and what to do."""
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # its public alias, whatever it is built on

    try:
        yield
    except (OSError, ValueError, RuntimeError, httpx.HTTPError) as error:
        where = f"{repo} ({some(missing(repo, names))})" if names else str(repo)
        raise HubError(f"{where}: {_explain(error, repo)}") from error


def _explain(error: Exception, repo: Repo) -> str:
    """What is wrong and what to do, in our own words: the libraries' may hold signed addresses."""
    from huggingface_hub import errors
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    cause = error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) else None
    match cause or error:
        case errors.HfHubHTTPError() as answer:
            text = _explain_answer(answer, repo)
        case errors.OfflineModeIsEnabled():
            text = "the cache does not hold it all, and HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set; unset it once"
        case (
            httpx.ConnectError() | httpx.TimeoutException() | httpx.ProxyError() | httpx.UnsupportedProtocol() as fault
        ):
            text = (
                f"can't reach {hub_address()} ({fault}); check the network, HF_ENDPOINT and HTTPS_PROXY, then run again"
            )
        case RuntimeError():  # all that hf_xet raises, after some two minutes of trying
            text = f"{BROKEN}; if the network blocks the Hub's Xet storage, set HF_HUB_DISABLE_XET=1"
        case errors.HFValidationError():
            text = f"that is not a repository's name; set {repo.group}.repo to its owner/name"
        case UnicodeEncodeError():
            text = "the token holds characters that no token has; set HF_TOKEN anew"
        case errors.FileMetadataError() | ValueError():
            text = f"{hub_address()} does not answer as a Hub does; check HF_ENDPOINT, and whether the network wants a login"
        case OSError(errno=int(), strerror=reason):
            text = f"can't write to the cache {constants.HF_HUB_CACHE} ({reason}); make room, or set HF_HOME elsewhere"
        case _:
            text = BROKEN
    return text


def _explain_answer(error: "HfHubHTTPError", repo: Repo) -> str:
    from huggingface_hub import errors

    status = error.response.status_code
    with_token = "authorization" in error.response.request.headers
    if isinstance(error, errors.RevisionNotFoundError):
        text = f"it has no such revision; set {repo.group}.revision to one that {repo.page}/commits/main lists"
    elif isinstance(error, errors.GatedRepoError) and with_token:
        text = f"it is gated, and the token's account has no access; ask for it at {repo.page}, or set another HF_TOKEN"
    elif isinstance(error, errors.GatedRepoError):
        text = f"it is gated; accept its terms at {repo.page}, then set HF_TOKEN to a token of that account"
    elif "Invalid credentials" in (error.server_message or ""):
        text = "the Hub does not know the token; set HF_TOKEN to a valid one, or unset it if the repository is public"
    elif isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403):
        why = "the token may not read it" if with_token else "it is private"
        text = f"no such repository, or {why}; check {repo.group}.repo, or set HF_TOKEN to a token that may read it"
    elif status == 429:
        text = f"{hub_address()} has had too many requests (429); wait some minutes, or set HF_TOKEN, which raises the limit"
    else:
        text = f"{hub_address()} answered {status} {error.response.reason_phrase}; the fault is on its side: try again later"
    return text
