"""Bring an export to a model's repository on the Hub, and tag it there.

The Hub states the digest of each of its files. They decide what is uploaded, what a tag stands on, and whether all has arrived:
a tag is set only on a revision that holds the export as it was recorded.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, ModelCard, constants, get_token
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from stages.exporting.exported_files import SAVED_MODEL
from stages.pipeline.errors import HubError
from stages.push.push_errors import push_errors
from stages.push.recorded_export import Export, ExportedFile
from stages.sources.hub import TOKENIZER_FILES, hub_address

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

_CARD = "README.md"
_MODEL_FILES = (
    "*.safetensors",
    "*.safetensors.index.json",
    "*.onnx",
    "*.onnx.data",
    "*.bin",
    "*config.json",
    "threshold.json",
    "tag_scheme.json",
    *TOKENIZER_FILES,
)
"""The files that are read to run a model. Those that the export does not have belong to another model."""
_MODEL_FOLDERS = (f"{SAVED_MODEL}/",)
"""The folders of an export, which hold nothing else."""


@dataclass(frozen=True)
class Destination:
    """Where a push goes."""

    repo: str
    """The repository's `owner/name`."""
    tag: str
    public: bool

    @property
    def page(self) -> str:
        """The address of its web page."""
        return f"{hub_address()}/{self.repo}"


@dataclass(frozen=True)
class Pushed:
    """What a push did."""

    commit: str
    """The revision that holds the export, 40 digits."""
    uploaded: Sequence[str]
    """The files that the commit adds or replaces."""
    removed: Sequence[str]
    """Those that it removes."""
    is_tagged: bool
    """Whether the tag is new. If not, it stood on the same content already."""


@dataclass(frozen=True)
class Difference:
    """How a revision differs from the export."""

    lacking: Sequence[str]
    """Files that it lacks, or has with other content."""
    left: Sequence[str]
    """Files of another model, which an earlier push may have left there."""

    def __bool__(self) -> bool:
        return bool(self.lacking or self.left)


def require_name(repo: str) -> None:
    """Raise HubError if `repo` is not the `owner/name` of a repository."""
    try:
        validate_repo_id(repo)
        valid = "/" in repo
    except HFValidationError:
        valid = False
    if not valid:
        raise HubError(f"{repo!r}: is not a repository's name; give owner/name, such as acme/my-model")


def push(export: Export, to: Destination) -> Pushed:
    """Make the repository if there is none, bring the export to its `main` in one commit, and tag that.

    Nothing is committed where all is there already. Raises HubError, and then no tag is set.
    """
    token = get_token()
    if token is None:
        raise HubError(
            f"{to.repo}: pushing needs a token; set HF_TOKEN to one with write access, or run `hf auth login` once"
        )
    api = HfApi(token=token)
    with push_errors(to.repo):
        found = _existing(api, to)
        tagged = None if found is None else _commit_of_tag(api, to, export)
        _require_valid_card(export, to)
        if found is None:
            api.create_repo(to.repo, private=not to.public)
        head = str(api.repo_info(to.repo).sha)
        differs = _difference(api, to.repo, head, export)
        commit = _commit(api, to.repo, head, export, differs) if differs else head
        _require_arrived(api, to.repo, commit, export)
        if tagged is None:
            api.create_tag(to.repo, tag=to.tag, revision=commit)
    return Pushed(commit, differs.lacking, differs.left, is_tagged=tagged is None)


def difference(files: Sequence[ExportedFile], remote: Mapping[str, str]) -> Difference:
    """Return how `remote`, the digests of a revision's files, differs from the export's."""
    names = {file.name for file in files}
    lacking = [file.name for file in files if remote.get(file.name) not in (file.sha256, file.git_sha1)]
    return Difference(lacking, [name for name in remote if name not in names and _is_of_a_model(name)])


def _is_of_a_model(name: str) -> bool:
    """Return whether a file is one of an export, of this model or another. Other folders are not an export's."""
    if "/" in name:
        return name.startswith(_MODEL_FOLDERS)
    return any(fnmatchcase(name, each) for each in _MODEL_FILES)


def _existing(api: HfApi, to: Destination) -> "ModelInfo | None":
    """Return what the Hub tells of the repository; None if there is none. This is the first request: it does not wait long."""
    try:
        found = api.model_info(to.repo, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except RepositoryNotFoundError:
        return None
    if found.private and to.public:
        raise HubError(f"{to.repo}: is private; push without --public, or make it public at {to.page}/settings")
    if not found.private and not to.public:
        raise HubError(
            f"{to.repo}: is public, and all could read what is pushed; push with --public, or make it private at "
            f"{to.page}/settings"
        )
    return found


def _commit_of_tag(api: HfApi, to: Destination, export: Export) -> str | None:
    """Return the commit that the tag stands on; None if there is no such tag. Raises HubError if that is other content."""
    refs = api.list_repo_refs(to.repo)
    if to.tag in {branch.name for branch in refs.branches}:
        raise HubError(f"{to.repo}: has a branch {to.tag}, and a tag of that name would hide it; choose another --tag")
    commit = next((tag.target_commit for tag in refs.tags if tag.name == to.tag), None)
    if commit is not None and _difference(api, to.repo, commit, export):
        raise HubError(
            f"{to.repo}: the tag {to.tag} marks other content (revision {commit}); choose another --tag, or remove it with "
            f"`hf repos tag delete {to.repo} {to.tag}`"
        )
    return commit


def _require_valid_card(export: Export, to: Destination) -> None:
    """Let the Hub check the card's metadata before anything is made or uploaded."""
    try:
        ModelCard((export.folder / _CARD).read_text(encoding="utf-8")).validate()
    except ValueError as error:
        raise HubError(
            f"{to.repo}: the Hub refuses the model card's metadata{_faults_in(str(error))}; correct export.language, "
            "export.license or data.name, run `stagewright run`, commit, and push again"
        ) from error


def _faults_in(answer: str) -> str:
    """Return what the Hub's answer says of the metadata's faults."""
    try:
        faults = json.loads(answer)["errors"]
        return f" ({'; '.join(str(fault['message']) for fault in faults)})"
    except (ValueError, LookupError, TypeError):
        return ""


def _difference(api: HfApi, repo: str, commit: str, export: Export) -> Difference:
    entries = api.list_repo_tree(repo, revision=commit, recursive=True)
    files = [entry for entry in entries if isinstance(entry, RepoFile)]
    return difference(
        export.files, {file.path: file.blob_id if file.lfs is None else file.lfs.sha256 for file in files}
    )


def _commit(api: HfApi, repo: str, head: str, export: Export, differs: Difference) -> str:
    """Commit what differs; return the new revision.

    It is one commit, which `upload_folder` does not promise: `main` never holds half a push. It is refused if somebody else
    has committed since `head`.
    """
    gone = [name for name in differs.lacking if not (export.folder / name).is_file()]
    if gone:
        raise HubError(
            f"{repo}: {export.folder / gone[0]} is gone; push again when no other run is active in this folder"
        )
    added = [CommitOperationAdd(name, export.folder / name) for name in differs.lacking]
    removed = [CommitOperationDelete(name) for name in differs.left]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # of the card, which is checked already, and of how `huggingface_hub` sends files
        done = api.create_commit(
            repo,
            [*added, *removed],
            commit_message=f"Export of commit {export.commit[:12]}",
            commit_description=f"Pushed by Stagewright from git commit {export.commit}.",
            parent_commit=head,
        )
    return str(done.oid)


def _require_arrived(api: HfApi, repo: str, commit: str, export: Export) -> None:
    if found := _difference(api, repo, commit, export):
        names = ", ".join([*found.lacking, *found.left])
        raise HubError(
            f"{repo}: revision {commit} is not the export ({names}), and is not tagged; {export.folder} has changed meanwhile, "
            "or the upload was damaged: push again"
        )
