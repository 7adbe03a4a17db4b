"""`stagewright push OWNER/NAME`: upload `models/export` to a model repository on the Hugging Face Hub.

It pushes what is committed: there must be no uncommitted changes, and the folder must be the one that `dvc.lock` records. The
revision on the Hub is tagged with the commit once everything has arrived. The token is taken from HF_TOKEN or `hf auth login`.

Examples:
  stagewright push acme/my-model --dry-run      files and sizes; nothing is sent
  stagewright push acme/my-model                private
  stagewright push acme/my-model --public --tag v1.0
"""

import argparse
import logging
from collections.abc import Iterator

from stages.pipeline.one_line import one_line_errors
from stages.push.hub_repository import Destination, Pushed, push, require_name
from stages.push.recorded_export import Export, recorded_export, require_tag

_TAG_DIGITS = 12
"""Of the commit's digits, those that its tag has. All 40 would make no tag to read by: git takes them for a commit of its own."""


def listing(export: Export) -> Iterator[str]:
    """Yield the files of an export with their sizes in bytes, as lines."""
    total = sum(file.size for file in export.files)
    width = len(f"{total:,}")
    yield from (f"{file.size:{width},}  {file.name}" for file in export.files)
    yield f"{total:{width},}  {len(export.files)} files"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="stagewright push", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("repo", metavar="OWNER/NAME", help="the repository; it is created if it does not exist")
    made.add_argument(
        "--public", action="store_true", help="create a public repository; without it, the repository is private"
    )
    made.add_argument("--tag", help=f"the tag of the revision (default: {_TAG_DIGITS} digits of the git commit)")
    made.add_argument("--dry-run", action="store_true", help="list the files and their sizes, and send nothing")
    return made


def _report_lines(pushed: Pushed, to: Destination) -> Iterator[str]:
    """Yield what a push did, as lines."""
    if pushed.uploaded or pushed.removed:
        yield f"pushed {', '.join(pushed.uploaded) or 'no file'}"
    else:
        yield "nothing to push: it has the same content already"
    if pushed.removed:
        yield f"removed {', '.join(pushed.removed)}, which this export does not have"
    yield f"{to.page}/tree/{pushed.commit}"
    yield f"tag {to.tag}{'' if pushed.is_tagged else ', as before'}"
    yield f"fine-tune it: model=hub model.repo={to.repo} model.revision={pushed.commit}"


def main() -> None:
    """Run the command line."""
    arguments = parser().parse_args()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # warnings of single attempts hold signed addresses
    with one_line_errors():
        require_name(arguments.repo)
        if arguments.tag is not None:
            require_tag(arguments.tag)
        export = recorded_export()
        to = Destination(arguments.repo, arguments.tag or export.commit[:_TAG_DIGITS], arguments.public)
        action, reader = "would push" if arguments.dry_run else "pushing", "public" if to.public else "private"
        print(f"{action} to {to.repo} ({reader}), tag {to.tag}:", *listing(export), sep="\n", flush=True)
        if not arguments.dry_run:
            print(*_report_lines(push(export, to), to), sep="\n")


if __name__ == "__main__":
    main()
