"""A small Hub on this machine: the part of its HTTP interface that `huggingface_hub` downloads through.

    with HubServer({"datasets/acme/reviews": text_data(), "acme/tiny": model(files_in(folder))}) as hub:
        subprocess.run([...], env=os.environ | hub.environment(tmp_path))

Repositories are named as in the Hub's addresses (`datasets/owner/name`, `owner/name`). As on the Hub, big files (LFS)
come from another host, by a redirect to a signed address: `localhost` here stands for it, `127.0.0.1` for the Hub.
"""

import hashlib
import io
import json
import math
import re
import socket
import struct
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from threading import Lock, Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import close_session, constants

COMMIT = "c0ffee" * 6 + "c0de"
SIGNATURE = "secret-of-the-signed-address"
"""Stands in every address that must not be shown."""
LFS_SUFFIXES = {".parquet", ".safetensors", ".bin", ".h5", ".onnx", ".msgpack"}


@dataclass
class Repo:
    """One repository at one commit."""

    files: dict[str, bytes]
    commit: str = COMMIT
    private: bool = False
    gated: bool = False
    readers: Collection[str] = ()
    """The tokens that may read it where it is private or gated."""
    xet: bool = False
    """Whether big files are offered through Xet, as most are on the Hub. Xet's storage is always out of order here."""
    tags: dict[str, str] = field(default_factory=dict)
    """The commit of each tag."""
    older: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """The files at each commit before this one."""

    def resolve(self, revision: str) -> str | None:
        """The commit that a revision names. As in git, 40 digits are a commit, whatever tag has that name."""
        names = {} if re.fullmatch("[0-9a-f]{40}", revision) else {"main": self.commit, **self.tags}
        commit = names.get(revision, revision)
        return commit if commit == self.commit or commit in self.older else None

    def at(self, commit: str) -> dict[str, bytes]:
        """The files at a commit."""
        return self.files if commit == self.commit else self.older[commit]


@dataclass(frozen=True)
class Request:
    """What was asked: `GET /path`, and the two headers that matter."""

    line: str
    token: str | None
    range: str | None
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Fault:
    """What befalls the next `times` requests whose line holds `where`: a status, or a body cut off after some bytes.

    The body is the answer's, or of `PUT` the request's.
    """

    where: str
    times: float
    status: int | None = None
    cut_after: int | None = None
    reset: bool = False


class HubServer:
    """A Hub on a free port of 127.0.0.1, between `with` and its end. `requests` tells what was asked of it."""

    def __init__(self, repos: Mapping[str, Repo], accounts: Collection[str] = ()):
        self.repos = dict(repos)
        self.accounts = {*accounts, *(token for repo in repos.values() for token in repo.readers)}
        self.requests: list[Request] = []
        self.ranges = True
        """Whether the storage heeds `Range`; some mirrors don't, and send the whole file again."""
        self.stored: dict[str, bytes] = {}
        """What the storage sends for a SHA-256 instead of the right bytes."""
        self._faults: list[Fault] = []
        self._lock = Lock()
        self._http = _HttpServer(("127.0.0.1", 0), _Handler)
        self._http.hub = self
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self.port: int = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "HubServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuse connections from now on."""
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()

    def environment(self, home: Path) -> dict[str, str]:
        """The variables that point a process at this Hub, with its cache below `home` and without a token."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_TOKEN": "",
            "HF_HUB_OFFLINE": "",
            "TRANSFORMERS_OFFLINE": "",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def patch(self, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
        """Point this process at this Hub. It has read its environment, so `huggingface_hub`'s constants must change too."""
        for variable, value in self.environment(home).items():
            monkeypatch.setenv(variable, value)
        values = {
            "ENDPOINT": self.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": self.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_TOKEN_PATH": str(home / "token"),
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_TELEMETRY": True,
        }
        for name, constant in values.items():
            monkeypatch.setattr(constants, name, constant)
        close_session()  # the old one may know a proxy

    def fail(self, where: str = "", *, status: int = 500, times: float = math.inf) -> None:
        """Answer with `status` the next `times` requests whose line (`GET /path`) holds `where`."""
        self._faults.append(Fault(where, times, status=status))

    def cut(self, where: str, *, after: int = 0, times: float = math.inf, reset: bool = False) -> None:
        """Break the connection after `after` bytes of the body: a plain close, or a reset (RST)."""
        self._faults.append(Fault(where, times, cut_after=after, reset=reset))

    def heal(self) -> None:
        """Let nothing fail any more."""
        self._faults.clear()

    def fault(self, line: str) -> Fault | None:
        """The fault that befalls this request, if any."""
        with self._lock:
            for fault in self._faults:
                if fault.where in line and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def answer(self, path: str, request: Request) -> Response:
        """What the Hub answers to a request."""
        if path == "/api/agent-harnesses":  # asked once a day for the user agent
            return json_response({"standardEnvVars": [], "harnesses": {}})
        if match := re.fullmatch(r"/storage/(\w{64})", path):
            return self._storage(match[1], request)
        if "/xet-read-token/" in path:
            return _xet_token(f"{self.url}/xet")
        if match := re.fullmatch(r"/api/(datasets|models)/([^/]+/[^/]+)/(revision|tree)/([^/]+)", path):
            kind, repo_id, what, revision = match.groups()
            name = f"datasets/{repo_id}" if kind == "datasets" else repo_id
            return self.refusal(name, revision, request.token) or self.listing(what, name, revision)
        if match := re.fullmatch(r"/((?:datasets/)?[^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            name, revision, file = match.groups()
            return self.refusal(name, revision, request.token) or self._file(name, revision, file, request)
        return error_response(404, "", "Not found")

    def may_read(self, name: str, token: str | None) -> bool:
        """Whether a private repository is shown to the account of a token."""
        return token in self.repos[name].readers

    def refusal(self, name: str, revision: str, token: str | None) -> Response | None:
        repo = self.repos.get(name)
        if token is not None and token not in self.accounts:
            return error_response(401, "", "Invalid credentials in Authorization header")
        if repo is None or (repo.private and not self.may_read(name, token)):
            if token is None:
                return error_response(401, "RepoNotFound", "Invalid username or password.")
            return error_response(404, "RepoNotFound", "Repository not found")
        if repo.resolve(revision) is None:
            return error_response(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return None

    def listing(self, what: str, name: str, revision: str) -> Response:
        """The `tree` at a revision, or what else there is to tell of it."""
        repo, commit = self.repos[name], self._commit(name, revision)
        if what == "tree":
            return json_response(_tree(repo.at(commit)))
        siblings = [{"rfilename": path} for path in repo.at(commit)]
        plain_id = name.removeprefix("datasets/")
        return json_response({"id": plain_id, "sha": commit, "private": repo.private, "siblings": siblings})

    def _commit(self, name: str, revision: str) -> str:
        commit = self.repos[name].resolve(revision)
        assert commit is not None, "it was not refused"
        return commit

    def _file(self, name: str, revision: str, file: str, request: Request) -> Response:
        repo, commit = self.repos[name], self._commit(name, revision)
        headers = {"X-Repo-Commit": commit}
        if repo.gated and request.token not in repo.readers:  # the listing is open, as on the Hub
            return error_response(
                403 if request.token else 401, "GatedRepo", f"Access to {name} is restricted.", headers
            )
        if file not in repo.at(commit):
            return error_response(404, "EntryNotFound", "Entry not found", headers)
        content = repo.at(commit)[file]
        if PurePosixPath(file).suffix not in LFS_SUFFIXES:
            return _ranged(content, headers | {"ETag": f'"{git_digest(content)}"'}, request.range)
        digest = hashlib.sha256(content).hexdigest()
        headers |= {"X-Linked-Size": str(len(content)), "X-Linked-ETag": f'"{digest}"'}
        headers["Location"] = f"http://localhost:{self.port}/storage/{digest}?signature={SIGNATURE}"
        if repo.xet:
            headers["X-Xet-Hash"] = digest
            kind = "" if name.startswith("datasets/") else "models/"
            headers["Link"] = f'<{self.url}/api/{kind}{name}/xet-read-token/{repo.commit}>; rel="xet-auth"'
        return Response(302, headers)

    def _storage(self, digest: str, request: Request) -> Response:
        if request.token is not None:
            return error_response(400, "", "A token was sent to a host that is not the Hub")
        trees = (tree for repo in self.repos.values() for tree in (repo.files, *repo.older.values()))
        contents = (content for tree in trees for content in tree.values())
        right = next(content for content in contents if hashlib.sha256(content).hexdigest() == digest)
        return _ranged(self.stored.get(digest, right), {"ETag": f'"{digest}"'}, request.range if self.ranges else None)


def json_response(content: Any) -> Response:
    """An answer with JSON."""
    return Response(200, {"Content-Type": "application/json"}, json.dumps(content).encode())


def error_response(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """A refusal as the Hub words it: a code and a message in the headers."""
    said = {"Content-Type": "text/plain", "X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
    return Response(status, said | dict(headers or {}), message.encode())


def _xet_token(storage: str) -> Response:
    headers = {"X-Xet-Cas-Url": storage, "X-Xet-Access-Token": SIGNATURE, "X-Xet-Token-Expiration": str(2**40)}
    return Response(200, headers)


def _ranged(content: bytes, headers: dict[str, str], asked: str | None) -> Response:
    headers = headers | {"Accept-Ranges": "bytes"}
    if asked is None:
        return Response(200, headers, content)
    start = int(asked.removeprefix("bytes=").removesuffix("-"))
    headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    return Response(206, headers, content[start:])


def _tree(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    folders = {str(folder) for path in files for folder in PurePosixPath(path).parents} - {"."}
    entries: list[dict[str, Any]] = [
        {"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in sorted(folders)
    ]
    for path, content in files.items():
        entry: dict[str, Any] = {"type": "file", "path": path, "oid": git_digest(content), "size": len(content)}
        if PurePosixPath(path).suffix in LFS_SUFFIXES:
            digest = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
        entries.append(entry)
    return entries


def git_digest(content: bytes) -> str:
    """The name that git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close waits for them, and leaves no open socket behind
    hub: HubServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client may hang up; anything else is our fault
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _HttpServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._respond()

    def do_HEAD(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def do_PUT(self) -> None:
        self._respond()

    def log_message(self, *_: Any) -> None:
        pass

    def _respond(self) -> None:
        hub = self.server.hub
        path = unquote(urlsplit(self.path).path)
        authorization = self.headers["Authorization"]
        token = authorization.removeprefix("Bearer ") if authorization else None
        line = f"{self.command} {path}"
        fault = hub.fault(line)
        cut_after = fault.cut_after if fault and self.command == "PUT" else None
        body = self._body(cut_after)
        request = Request(line, token, self.headers["Range"], body)
        hub.requests.append(request)
        if cut_after is not None:
            self._reset()
        elif fault and fault.status:
            self._send(error_response(fault.status, "", "The server is told to fail"), None)
        else:
            self._send(hub.answer(path, request), fault)

    def _body(self, most: int | None) -> bytes:
        """What comes with the request, or the first bytes of it."""
        if self.headers["Transfer-Encoding"] == "chunked":
            return b"".join(iter(self._chunk, b""))[:most]
        length = int(self.headers["Content-Length"] or 0)
        return self.rfile.read(length if most is None else min(most, length))

    def _chunk(self) -> bytes:
        content = self.rfile.read(int(self.rfile.readline(), 16))
        self.rfile.readline()
        return content

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _send(self, response: Response, fault: Fault | None) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.send_header("Connection", "close")  # one request a connection: no thread is left waiting for the next
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body[: fault.cut_after if fault else None])
        if fault and fault.reset:
            self._reset()


# Repositories in the Hub's layouts.


def text_data(train: int = 24, test: int = 12) -> Repo:
    """Two labels, no validation split, laid out as `stanfordnlp/imdb` is."""
    features = {"text": _value("string"), "label": _class_label("neg", "pos")}

    def rows(count: int, seed: int) -> dict[str, list[Any]]:
        labels = [row * 2 // count for row in range(count)]  # sorted by label, as IMDb is
        texts = [f"A {('dull', 'fine')[label]} film, no. {seed + i}." for i, label in enumerate(labels)]
        return {"text": texts, "label": labels}

    return Repo(
        {
            "README.md": b"# Reviews\n",
            "plain_text/train-00000-of-00001.parquet": parquet(rows(train, 0), features),
            "plain_text/test-00000-of-00001.parquet": parquet(rows(test, 10_000), features),
        }
    )


def token_data(train: int = 24, validation: int = 8, test: int = 12) -> Repo:
    """Words with IOB2 tags, laid out as the Hub's own conversion of `leondz/wnut_17` to Parquet is."""
    tags = _class_label("O", "B-location", "I-location", "B-person", "I-person")
    features = {
        "id": _value("string"),
        "tokens": {"feature": _value("string"), "_type": "Sequence"},
        "ner_tags": {"feature": tags, "_type": "Sequence"},
    }

    def rows(count: int, seed: int) -> dict[str, list[Any]]:
        return {
            "id": [str(i) for i in range(count)],
            "tokens": [["Ada", "Lovelace", "saw", "Paris", "on", "day", str(seed + i)] for i in range(count)],
            "ner_tags": [[3, 4, 0, 1, 0, 0, 0]] * count,
        }

    splits = {"train": rows(train, 0), "validation": rows(validation, 10_000), "test": rows(test, 20_000)}
    return Repo({f"wnut_17/{split}/0000.parquet": parquet(columns, features) for split, columns in splits.items()})


def parquet(columns: Mapping[str, list[Any]], features: Mapping[str, Any]) -> bytes:
    """A Parquet file that carries its features as `datasets` writes them."""
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    sink = io.BytesIO()
    pq.write_table(pa.table(dict(columns)).replace_schema_metadata(metadata), sink)
    return sink.getvalue()


def model(files: Mapping[str, bytes]) -> Repo:
    """A model as `save_pretrained` writes it (`files_in(folder)`), among the files of other kinds that the Hub's have."""
    others = [
        "README.md",
        "pytorch_model.bin",
        "tf_model.h5",
        "flax_model.msgpack",
        "onnx/config.json",
        "onnx/model.onnx",
    ]
    return Repo({name: f"{name}: not to be taken".encode() for name in others} | dict(files))


def files_in(folder: Path) -> dict[str, bytes]:
    """The files of a folder on this machine, as those of a repository."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _value(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "_type": "Value"}


def _class_label(*names: str) -> dict[str, Any]:
    return {"names": list(names), "_type": "ClassLabel"}
