"""The other part of the small Hub: what `create_repo`, `upload_folder` (or `create_commit`) and `create_tag` ask.

    with WritableHub({}, owners={"acme": ["hf_writer"]}) as hub:
        subprocess.run([...], env=os.environ | hub.environment(tmp_path) | {"HF_TOKEN": "hf_writer"})

Big files go to the storage (`localhost`) at a signed address, without a token, and then into a commit by their SHA-256.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from huggingface_hub import constants

from tests.support.hub_server import (
    LFS_SUFFIXES,
    SIGNATURE,
    HubServer,
    Repo,
    Request,
    Response,
    error_response,
    git_digest,
    json_response,
)

GITATTRIBUTES = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n*.onnx filter=lfs diff=lfs merge=lfs -text\n"

_HUB_ID = re.compile(r"(?:[\w-]+/)?[\w.-]+", re.ASCII)
_LANGUAGE = re.compile("[a-z]{2,3}|multilingual|code")
_LICENSES = {
    "apache-2.0",
    "mit",
    "bsd-3-clause",
    "cc-by-4.0",
    "cc-by-sa-4.0",
    "openrail",
    "gpl-3.0",
    "other",
    "unknown",
}


class WritableHub(HubServer):
    """A Hub that can be written to. `owners` has the tokens that may write below each namespace."""

    def __init__(
        self,
        repos: Mapping[str, Repo],
        accounts: Collection[str] = (),
        owners: Mapping[str, Collection[str]] | None = None,
    ):
        self.owners = dict(owners or {})
        super().__init__(repos, {*accounts, *(token for tokens in self.owners.values() for token in tokens)})
        self.uploaded: dict[str, bytes] = {}
        """What the storage holds, by its SHA-256."""
        self.commits: list[dict[str, Any]] = []
        """The header of each commit that was made."""

    def environment(self, home: Path) -> dict[str, str]:
        """As for reading. Xet's own client, which this Hub can't serve, is switched off."""
        return {**super().environment(home), "HF_HUB_DISABLE_XET": "1"}

    def patch(self, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
        """Point this process at this Hub, without Xet."""
        super().patch(monkeypatch, home)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)

    def may_read(self, name: str, token: str | None) -> bool:
        """Owners may read what is theirs."""
        return super().may_read(name, token) or self._owns(name, token)

    def _owns(self, name: str, token: str | None) -> bool:
        return token in self.owners.get(name.partition("/")[0], ())

    def answer(self, path: str, request: Request) -> Response:
        """What the Hub answers to a request."""
        match request.line.split()[0]:
            case "POST":
                return self._answer_post(path, request)
            case "PUT" if found := re.fullmatch(r"/storage/(\w{64})", path):
                return self._store(found[1], request)
            case "GET" if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/refs)?", path):
                name, refs = found.groups()
                refused = self.refusal(name, "main", request.token)
                return refused or (self._refs(name) if refs else self.listing("revision", name, "main"))
        return super().answer(path, request)

    def _answer_post(self, path: str, request: Request) -> Response:
        if path == "/api/validate-yaml":
            return _validation(json.loads(request.body)["content"])
        if path == "/api/repos/create":
            return self._create(json.loads(request.body), request.token)
        answers: dict[str, Callable[[str, str, Request], Response]] = {
            r"/api/models/([^/]+/[^/]+)/preupload/([^/]+)": self._preupload,
            r"/([^/]+/[^/]+)\.git/info/lfs/objects/(batch)": self._batch,
            r"/([^/]+/[^/]+)\.git/info/lfs/(verify)": self._verify,
            r"/api/models/([^/]+/[^/]+)/commit/([^/]+)": self._write,
            r"/api/models/([^/]+/[^/]+)/tag/([^/]+)": self._tag,
        }
        for pattern, answer in answers.items():
            if match := re.fullmatch(pattern, path):
                name, revision = match.groups()
                return self._denial(name, request.token) or answer(name, revision, request)
        return error_response(404, "", "Not found")

    def _denial(self, name: str, token: str | None) -> Response | None:
        if refused := self.refusal(name, "main", token):
            return refused
        if not self._owns(name, token):
            return error_response(403 if token else 401, "", f"You don't have the rights to write to {name}")
        return None

    def _create(self, asked: Mapping[str, Any], token: str | None) -> Response:
        name = f"{asked['organization']}/{asked['name']}"
        if token not in self.accounts:
            return error_response(401, "", "Invalid credentials in Authorization header")
        if not self._owns(name, token):
            return error_response(403, "", "You don't have the rights to create a model under this namespace")
        if name in self.repos:
            return error_response(409, "", "You already created this model repo")
        private = asked.get("visibility") == "private"
        self.repos[name] = Repo({".gitattributes": GITATTRIBUTES}, commit=_commit_id(name), private=private)
        return json_response({"url": f"{self.url}/{name}", "name": name})

    def _refs(self, name: str) -> Response:
        repo = self.repos[name]
        tags = [{"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": commit} for tag, commit in repo.tags.items()]
        branches = [{"name": "main", "ref": "refs/heads/main", "targetCommit": repo.commit}]
        return json_response({"branches": branches, "converts": [], "tags": tags})

    def _preupload(self, name: str, revision: str, request: Request) -> Response:
        files = self.repos[name].files

        def about(path: str) -> dict[str, Any]:
            big = PurePosixPath(path).suffix in LFS_SUFFIXES
            digest = _sha256 if big else git_digest
            oid = digest(files[path]) if path in files else None
            return {"path": path, "uploadMode": "lfs" if big else "regular", "shouldIgnore": False, "oid": oid}

        return json_response({"files": [about(file["path"]) for file in json.loads(request.body)["files"]]})

    def _batch(self, name: str, _: str, request: Request) -> Response:
        objects = [
            asked if asked["oid"] in self.uploaded else {**asked, "actions": self._actions(name, asked["oid"])}
            for asked in json.loads(request.body)["objects"]
        ]
        return json_response({"transfer": "basic", "objects": objects})

    def _actions(self, name: str, oid: str) -> dict[str, Any]:
        upload = {"href": f"http://localhost:{self.port}/storage/{oid}?signature={SIGNATURE}", "header": {}}
        return {"upload": upload, "verify": {"href": f"{self.url}/{name}.git/info/lfs/verify"}}

    def _store(self, digest: str, request: Request) -> Response:
        if request.token is not None:
            return error_response(400, "", "A token was sent to a host that is not the Hub")
        if _sha256(request.body) != digest:
            return error_response(400, "", "The content has another digest")
        self.uploaded[digest] = request.body
        return Response(200)

    def _verify(self, name: str, _: str, request: Request) -> Response:
        asked = json.loads(request.body)
        stored = self.uploaded.get(asked["oid"])
        whole = stored is not None and len(stored) == asked["size"]
        return json_response({}) if whole else error_response(404, "", "The storage has no such object")

    def _write(self, name: str, revision: str, request: Request) -> Response:
        repo, files = self.repos[name], dict(self.repos[name].files)
        lines = [json.loads(line) for line in request.body.splitlines()]
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, repo.commit):
            return error_response(412, "", "A commit has happened since. Please refresh and try again.")
        for line in lines[1:]:
            path = line["value"]["path"]
            match line["key"]:
                case "file":
                    files[path] = base64.b64decode(line["value"]["content"])
                case "lfsFile" if line["value"]["oid"] in self.uploaded:
                    files[path] = self.uploaded[line["value"]["oid"]]
                case "deletedFile" if path in files:
                    del files[path]
                case _:
                    return error_response(400, "", f"{line['key']} {path}: there is no such file")
        repo.older[repo.commit] = repo.files
        repo.files, repo.commit = files, _commit_id(repo.commit + request.body.decode())
        self.commits.append(header)
        return json_response({"commitUrl": f"{self.url}/{name}/commit/{repo.commit}", "commitOid": repo.commit})

    def _tag(self, name: str, revision: str, request: Request) -> Response:
        repo, tag = self.repos[name], json.loads(request.body)["tag"]
        commit = repo.resolve(revision)
        if commit is None:
            return error_response(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if tag in repo.tags:
            return error_response(409, "", f"Tag {tag} already exists")
        repo.tags[tag] = commit
        return json_response({})


def _validation(card: str) -> Response:
    """The Hub's opinion of a card's metadata: the rules of it that a fine-tuned model's can break."""
    content = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    metadata = yaml.safe_load(content[1]) if content else {}
    errors = [{"message": message} for message in _faults(metadata)]
    warnings = [] if metadata else [{"message": "empty or missing yaml metadata in repo card"}]
    body = json.dumps({"errors": errors, "warnings": warnings}).encode()
    return Response(400 if errors else 200, {"Content-Type": "application/json"}, body)


def _faults(metadata: Mapping[str, Any]) -> Iterator[str]:
    for key, kind in (("base_model", "model"), ("datasets", "dataset")):
        for value in _listed(metadata.get(key)):
            if not (isinstance(value, str) and _HUB_ID.fullmatch(value)):
                yield f'"{key}" with value "{value}" is not valid. Use a {kind} id from https://hf.co/{kind}s.'
    for value in _listed(metadata.get("language")):
        if not (isinstance(value, str) and _LANGUAGE.fullmatch(value)):
            yield f'"language" with value "{value}" must be an ISO 639-1, 639-2 or 639-3 code, or "code", "multilingual"'
    for value in _listed(metadata.get("license")):
        if value not in _LICENSES:
            yield f'"license" must be one of {sorted(_LICENSES)}'
    for model in metadata.get("model-index", ()):
        if not model.get("name"):
            yield '"model-index[0].name" is required'
        for result in model.get("results", ()):
            value = result["dataset"]["type"]
            if not _HUB_ID.fullmatch(value):
                yield f'"model-index[0].results[0].dataset.type" with value "{value}" fails to match the required pattern'


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _commit_id(content: str) -> str:
    return hashlib.sha1(content.encode()).hexdigest()
