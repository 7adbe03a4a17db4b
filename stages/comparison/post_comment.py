"""`stagewright post-comment FILE --pull-request NUMBER`: post a comparison on a GitHub pull request, or update it.

If a bot, such as a workflow, has posted the comment before, it is updated, so that a pull request has only one. GITHUB_TOKEN and
GITHUB_REPOSITORY must be set, as they are in a workflow. GITHUB_API_URL names another server than github.com.

Examples:
  stagewright pull-request origin/main > comment.md
  stagewright post-comment comment.md --pull-request 12
"""

import argparse
import json
import os
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from stages.pipeline.errors import ConfigError, HubError
from stages.pipeline.one_line import one_line_errors

MARK = "<!-- stagewright -->"
"""The first line of the comment."""

_PAGE = 100
"""Comments a request, the most that GitHub gives."""
_LONGEST = 65_000
"""Characters of a comment; GitHub refuses more than 65,536."""
_SECONDS = 60


@dataclass(frozen=True)
class Repository:
    """A repository on GitHub, and the token to write to it with."""

    api: str
    name: str
    token: str

    def call(self, method: str, path: str, body: str | None = None) -> Any:
        """Send a request about the repository's issues; return the answer. Raises HubError if it is refused, or none comes."""
        request = urllib.request.Request(
            f"{self.api}/repos/{self.name}/issues/{path}",
            method=method,
            data=None if body is None else json.dumps({"body": body}).encode(),
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise HubError(
                f"{self.name}: {method} {path} was refused ({error.code} {error.reason}); {_ADVICE}"
            ) from error
        except (URLError, TimeoutError) as error:
            raise HubError(f"{self.api}: can't be reached ({error})") from error


_ADVICE = "the token needs `pull-requests: write`"


def repository_here() -> Repository:
    """Return what the environment names. Raises ConfigError for a variable that is missing."""
    missing = [name for name in ("GITHUB_TOKEN", "GITHUB_REPOSITORY") if not os.environ.get(name)]
    if missing:
        raise ConfigError(f"{' and '.join(missing)}: not in the environment; in a workflow, set them for this step")
    api = os.environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
    return Repository(api, os.environ["GITHUB_REPOSITORY"], os.environ["GITHUB_TOKEN"])


def post(repository: Repository, number: int, text: str) -> str:
    """Write the pull request's comment; return its address. Raises HubError if that fails."""
    there = next(_own_comments(repository, number), None)
    if there is None:
        return str(repository.call("POST", f"{number}/comments", text)["html_url"])
    return str(repository.call("PATCH", f"comments/{there}", text)["html_url"])


def _own_comments(repository: Repository, number: int) -> Iterator[int]:
    """Yield the ids of the comments that this command wrote. A person may have copied the mark, so only a bot's count."""
    for page in count(1):
        comments = repository.call("GET", f"{number}/comments?per_page={_PAGE}&page={page}")
        for comment in comments:
            if comment["user"]["type"] == "Bot" and comment["body"].startswith(MARK):
                yield comment["id"]
        if len(comments) < _PAGE:
            return


def shortened(text: str, link: str | None) -> str:
    """Cut a comment that is too long for GitHub, and add the link to the whole report."""
    end = "" if link is None else f"\n\n[The report with every example, and all plots]({link})\n"
    if len(text) + len(end) > _LONGEST:
        end = f"\n\n… The rest is too long for a comment.{end}"
        text = text[: _LONGEST - len(end)]
    return text + end


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="stagewright post-comment", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("file", type=Path, metavar="FILE", help="the comment, as `stagewright pull-request` prints it")
    made.add_argument(
        "--pull-request", type=int, required=True, metavar="NUMBER", help="the number of the pull request"
    )
    made.add_argument(
        "--link", metavar="URL", help="the address of the whole report, to link at the end of the comment"
    )
    return made


def main() -> None:
    """Run the command line."""
    arguments = parser().parse_args()
    with one_line_errors():
        try:
            text = arguments.file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ConfigError(f"{arguments.file}: can't be read; write it with `stagewright pull-request`") from error
        if not text.startswith(MARK):
            raise ConfigError(f"{arguments.file}: is not what `stagewright pull-request` prints")
        print(post(repository_here(), arguments.pull_request, shortened(text, arguments.link)))


if __name__ == "__main__":
    main()
