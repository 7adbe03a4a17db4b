"""Pushing an export over HTTP to a Hub on this machine: what arrives there, what is refused, and what breaks on the way.

Most tests run the command in this process. `huggingface_hub` has no setting for its pauses between attempts, so `time.sleep` is
a no-op there; the attempts themselves are made.
"""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi, close_session
from transformers import pipeline

from stages.exporting.model_card import CardFacts, model_card
from stages.modeling.batch_format import BatchFormat
from stages.modeling.load import new_model
from stages.push import __main__ as command
from stages.push.hub_repository import difference
from stages.push.recorded_export import ExportedFile, dvc_hash, files_of
from stages.training.trained import write_tokenizer
from tests.support.hub_server import SIGNATURE, Repo, files_in
from tests.support.imports import ROOT
from tests.support.tiny import write_tiny_model
from tests.support.tokenized import task_of
from tests.support.workspace import Workspace
from tests.support.writable_hub import WritableHub

WRITER, READER, STRANGER = "hf_writer", "hf_reader", "hf_stranger"
LABELS = ("no", "yes")
BIG = "model_int8.onnx"
EXPORT = "models/export"

DAG = f"stages: {{export: {{cmd: cp -r prepared {EXPORT}, deps: [prepared], outs: [{EXPORT}]}}}}\n"
"""DVC hashes the export itself, in a stage that takes no time."""


class Project(Workspace):
    """A git repository with an export that its `dvc.lock` records."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.ok("dvc", "init", "--quiet")
        (root / "dvc.yaml").write_text(DAG, encoding="utf-8")
        (root / ".gitignore").write_text(f"/{EXPORT}\n", encoding="utf-8")
        write_export(root / "prepared")
        self.reproduce("start")

    def reproduce(self, message: str) -> None:
        """Make the export and commit."""
        (self.root / "models").mkdir(exist_ok=True)
        self.ok("dvc", "repro", "--quiet", DVC_NO_ANALYTICS="1")
        self.commit(message)

    @property
    def files(self) -> dict[str, bytes]:
        """Those of the export."""
        return files_in(self.root / EXPORT)

    @property
    def tag(self) -> str:
        """The tag that its commit gives."""
        return self.git("rev-parse", "HEAD")[:12]


def write_export(folder: Path) -> None:
    """A tiny model with a head, its tokenizer, a card, and a file that is large for these tests."""
    base = write_tiny_model(folder.parent / ".git/base")
    folder.mkdir()
    write_tokenizer(base, folder, BatchFormat(0))
    torch.manual_seed(0)
    new_model(task_of("text"), base, LABELS).save_pretrained(folder)
    write_card(folder)
    (folder / BIG).write_bytes(random.Random(0).randbytes(3_000_000))


def write_card(folder: Path, language: str = "en") -> None:
    facts = CardFacts(
        task=task_of("text"), data="two words", base_model="acme/tiny", labels=LABELS,
        scores={"accuracy": 0.912345}, intervals={"accuracy": (0.81, 0.93)}, threshold=None, per_label={},
        base_model_repo="acme/tiny", language=language, license="apache-2.0",
    )  # fmt: skip
    (folder / "README.md").write_text(model_card(facts), encoding="utf-8")


@dataclass(frozen=True)
class Done:
    """How a push ended."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project") / "original")


@pytest.fixture
def project(original: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The same for each test, and the current folder."""
    copied = original.copy_to(tmp_path / "project")
    monkeypatch.chdir(copied.root)
    return copied


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WritableHub]:
    """A Hub where `acme` belongs to the writer, whose token is in the environment."""
    with WritableHub({}, accounts=[STRANGER], owners={"acme": [WRITER]}) as server:
        server.patch(monkeypatch, tmp_path / "home")
        monkeypatch.setenv("HF_TOKEN", WRITER)
        monkeypatch.setattr(time, "sleep", lambda _: None)
        yield server
    close_session()


@pytest.fixture
def push(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run the command in this process. What it prints holds no secret."""

    def run(*arguments: str, to: str = "acme/model") -> Done:
        monkeypatch.setattr(sys, "argv", ["push", to, *arguments])
        status = 0
        try:
            command.main()
        except SystemExit as exit_:
            status = int(exit_.code or 0)
        printed = capfd.readouterr()
        done = Done(status, printed.out, printed.err)
        assert not any(secret in done.out + done.err for secret in (WRITER, READER, STRANGER, SIGNATURE, "Bearer"))
        return done

    return run


def told(done: Done) -> str:
    """The error of a push that failed: one line, after which nothing is tagged."""
    assert done.status == 1
    assert done.err.startswith("error: ") and done.err.count("\n") == 1, done.err
    return done.err


def remote(hub: WritableHub, commit: str | None = None) -> dict[str, bytes]:
    """The files on the Hub, without the one that it makes itself."""
    repo = hub.repos["acme/model"]
    return {name: content for name, content in repo.at(commit or repo.commit).items() if name != ".gitattributes"}


# What arrives


def test_the_export_arrives_in_a_private_repository_and_is_tagged_with_the_commit(
    project: Project, hub: WritableHub, push: Callable[..., Done]
) -> None:
    done = push()
    repo = hub.repos["acme/model"]
    assert done.status == 0, done.err
    assert remote(hub) == project.files
    assert repo.private
    assert repo.tags == {project.tag: repo.commit}
    (header,) = hub.commits
    assert header["parentCommit"] in repo.older  # refused, had somebody else committed meanwhile
    assert header["description"].endswith(f"{project.git('rev-parse', 'HEAD').strip()}.")
    assert f"{hub.url}/acme/model/tree/{repo.commit}" in done.out
    assert f"model=hub model.repo=acme/model model.revision={repo.commit}" in done.out
    assert all(request.token == WRITER for request in hub.requests if "/api/models/acme" in request.line)


def test_public_is_public(project: Project, hub: WritableHub, push: Callable[..., Done]) -> None:
    assert push("--public").status == 0
    assert not hub.repos["acme/model"].private


def test_the_card_holds_what_the_configuration_names_and_the_intervals(
    project: Project, hub: WritableHub, push: Callable[..., Done]
) -> None:
    assert push().status == 0
    assert any(request.line == "POST /api/validate-yaml" for request in hub.requests)
    card = remote(hub)["README.md"].decode()
    assert all(line in card.splitlines() for line in ("base_model: acme/tiny", "language: en", "license: apache-2.0"))
    assert "| accuracy | 0.9123 | [0.8100, 0.9300] |" in card


def test_a_second_push_makes_no_commit_and_uploads_nothing(
    project: Project, hub: WritableHub, push: Callable[..., Done]
) -> None:
    push()
    before, commit = len(hub.requests), hub.repos["acme/model"].commit
    done = push()
    assert done.status == 0
    assert "nothing to push" in done.out and f"tag {project.tag}, as before" in done.out
    assert hub.repos["acme/model"].commit == commit
    assert all(request.line.startswith("GET") or "validate" in request.line for request in hub.requests[before:])


def test_the_same_content_gets_a_second_tag_without_a_commit(
    project: Project, hub: WritableHub, push: Callable[..., Done]
) -> None:
    push()
    assert push("--tag", "v1.0").status == 0
    repo = hub.repos["acme/model"]
    assert repo.tags == {project.tag: repo.commit, "v1.0": repo.commit}
    assert len(hub.commits) == 1


@pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")
def test_what_upload_folder_has_brought_is_only_tagged(
    project: Project, hub: WritableHub, push: Callable[..., Done]
) -> None:
    HfApi().create_repo("acme/model", private=True)
    HfApi().upload_folder(repo_id="acme/model", folder_path=EXPORT)
    assert "nothing to push" in push().out
    assert remote(hub) == project.files
    assert len(hub.commits) == 1 and list(hub.repos["acme/model"].tags) == [project.tag]


def test_another_export_is_one_commit_without_what_it_does_not_have(
    project: Project, hub: WritableHub, push: Callable[..., Done]
) -> None:
    push()
    repo, first, tag = hub.repos["acme/model"], hub.repos["acme/model"].commit, project.tag
    repo.files["LICENSE"] = b"written by hand"
    (project.root / "prepared" / BIG).unlink()
    (project.root / "prepared/config.json").write_text("{}", encoding="utf-8")
    project.reproduce("another")
    done = push()
    assert done.status == 0, done.err
    assert f"removed {BIG}" in done.out and "pushed config.json\n" in done.out
    assert remote(hub) == {**project.files, "LICENSE": b"written by hand"}
    assert BIG in remote(hub, first)
    assert repo.tags == {tag: first, project.tag: repo.commit}
    assert len(hub.commits) == 2


def test_a_tag_on_other_content_is_not_kept_silently(
    project: Project, hub: WritableHub, push: Callable[..., Done]
) -> None:
    push("--tag", "v1.0")
    repo, commit = hub.repos["acme/model"], hub.repos["acme/model"].commit
    (project.root / "prepared/config.json").write_text("{}", encoding="utf-8")
    project.reproduce("another")
    assert f"the tag v1.0 marks other content (revision {commit})" in told(push("--tag", "v1.0"))
    assert repo.commit == commit and repo.tags == {"v1.0": commit}
    assert push("--tag", "v1.1").status == 0
    assert repo.tags == {"v1.0": commit, "v1.1": repo.commit} and repo.commit != commit


def test_a_tag_is_no_branchs_name(project: Project, hub: WritableHub, push: Callable[..., Done]) -> None:
    push()
    assert "has a branch main" in told(push("--tag", "main"))


@pytest.mark.parametrize(
    ("private", "arguments", "expected"),
    [(False, [], "is public"), (True, ["--public"], "is private"), (True, [], None), (False, ["--public"], None)],
)
def test_an_existing_repository_stays_as_visible_as_it_is(
    private: bool, arguments: list[str], expected: str | None,
    project: Project, hub: WritableHub, push: Callable[..., Done],
) -> None:  # fmt: skip
    hub.repos["acme/model"] = Repo({"README.md": b"old", "notes.txt": b"mine"}, private=private)
    done = push(*arguments)
    if expected is None:
        assert done.status == 0, done.err
        assert remote(hub) == {**project.files, "notes.txt": b"mine"}
    else:
        assert expected in told(done)
        assert not hub.commits
    assert hub.repos["acme/model"].private == private


def test_a_dry_run_lists_files_and_sizes_and_asks_nothing(
    project: Project, hub: WritableHub, push: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    done = push("--dry-run")
    assert done.status == 0
    assert done.out.startswith(f"would push to acme/model (private), tag {project.tag}:\n")
    sizes = {line.split()[1]: int(line.split()[0].replace(",", "")) for line in done.out.splitlines()[1:-1]}
    assert sizes == {name: len(content) for name, content in project.files.items()}
    assert done.out.splitlines()[-1].split()[0].replace(",", "") == str(sum(sizes.values()))
    assert not hub.requests


# What is refused


def change_a_byte(root: Path) -> None:
    path = root / EXPORT / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut_the_lock_off(root: Path) -> None:
    lock = root / "dvc.lock"
    lock.write_bytes(lock.read_bytes()[:-20])
    commit_all(root)


def forget_the_export(root: Path) -> None:
    (root / "dvc.lock").write_text("schema: '2.0'\nstages:\n  export:\n    cmd: none\n", encoding="utf-8")
    commit_all(root)


def train_alone(root: Path) -> None:
    """What `dvc.lock` says after `dvc repro train`: the export was made of another model."""
    lock = root / "dvc.lock"
    trained = "{cmd: none, outs: [{path: prepared, hash: md5, md5: 0.dir, size: 1, nfiles: 1}]}"
    lock.write_text(f"{lock.read_text(encoding='utf-8')}  train: {trained}\n", encoding="utf-8")
    commit_all(root)


def commit_all(root: Path) -> None:
    identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.com"]
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)
    subprocess.run(["git", *identity, "commit", "--quiet", "--message", "changed"], cwd=root, check=True)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda root: (root / "dvc.yaml").write_text("stages: {}\n"), "dvc.yaml: not committed"),
        (lambda root: (root / "new.py").touch(), "new.py: not committed"),
        (lambda root: shutil.rmtree(root / EXPORT), "models/export: is not there; make it with `stagewright run`"),
        (change_a_byte, "models/export: is not what dvc.lock records"),
        (lambda root: (root / EXPORT / "extra").touch(), "models/export: is not what dvc.lock records"),
        (lambda root: (root / EXPORT / BIG).unlink(), "models/export: is not what dvc.lock records"),
        (cut_the_lock_off, "dvc.lock: is missing or incomplete"),
        (forget_the_export, "dvc.lock: records no models/export"),
        (train_alone, "models/export: is stale: export read another prepared than train wrote; run `dvc repro export`"),
        (lambda root: shutil.rmtree(root / ".git"), "run it in a clone of the project"),
    ],
    ids=[
        "changed",
        "untracked",
        "no export",
        "other byte",
        "one more",
        "one less",
        "half a lock",
        "no record",
        "stale",
        "no git",
    ],
)
@pytest.mark.parametrize("arguments", [[], ["--dry-run"]], ids=["push", "dry run"])
def test_what_the_commit_does_not_say_is_not_pushed(
    spoil: Callable[[Path], object], expected: str, arguments: list[str],
    project: Project, hub: WritableHub, push: Callable[..., Done],
) -> None:  # fmt: skip
    spoil(project.root)
    assert expected in told(push(*arguments))
    assert not hub.requests


@pytest.mark.parametrize(
    "name", ["model", "acme/model/x", "acme/mo del", "acme/mod--el", "https://hf.co/acme/model", ""]
)
def test_a_name_that_is_none_is_told(name: str, project: Project, hub: WritableHub, push: Callable[..., Done]) -> None:
    assert "give owner/name" in told(push(to=name))
    assert not hub.requests


@pytest.mark.parametrize("tag", ["a b", "a..b", "", "x" * 300 + "~"])
def test_a_tag_that_is_none_is_told(tag: str, project: Project, hub: WritableHub, push: Callable[..., Done]) -> None:
    assert "not a valid git tag" in told(push("--tag", tag))
    assert not hub.requests


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (None, "pushing needs a token; set HF_TOKEN"),
        ("hf_of_nobody", "does not know the token"),
        ("hf_ümlaut", "contains invalid characters"),
        (STRANGER, "may write to what belongs to acme"),
    ],
)
def test_a_token_that_will_not_do_is_told_and_not_shown(
    token: str | None, expected: str,
    project: Project, hub: WritableHub, push: Callable[..., Done], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("HF_TOKEN", token or "")
    text = told(push())
    assert expected in text and str(token) not in text
    assert "acme/model" not in hub.repos


def test_who_may_only_read_may_not_write(
    project: Project, hub: WritableHub, push: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repos["acme/model"] = Repo({}, private=True, readers=[READER])
    hub.accounts.add(READER)
    monkeypatch.setenv("HF_TOKEN", READER)
    assert "the token may not write there" in told(push())
    assert not hub.uploaded and not hub.commits


def test_a_card_that_the_hub_refuses_is_told_before_anything_is_made(
    project: Project, hub: WritableHub, push: Callable[..., Done]
) -> None:
    write_card(project.root / "prepared", language="English")
    project.reproduce("in English")
    text = told(push())
    assert 'refuses the model card\'s metadata ("language" with value "English"' in text and "export.language" in text
    assert "acme/model" not in hub.repos


# What breaks on the way


@pytest.mark.parametrize(
    ("where", "status", "expected"),
    [
        ("GET /api/models", 500, "answered 500"),
        ("GET /api/models", 404, "does not know what was asked for"),
        ("GET /api/models", 429, "too many requests"),
        ("/validate-yaml", 503, "answered 503"),
        ("/repos/create", 409, "has it already (409)"),
        ("/repos/create", 402, "refused it with 402"),
        ("/repos/create", 429, "too many requests"),
        ("/preupload/", 404, "does not know what was asked for"),
        ("/preupload/", 503, "answered 503"),
        ("/batch", 500, "answered 500"),
        ("PUT /storage", 403, "the Hub's storage answered 403"),
        ("/verify", 500, "answered 500"),
        ("/commit/", 412, "somebody else has committed"),
        ("/commit/", 502, "answered 502"),
        ("/tag/", 409, "has it already (409)"),
        ("/tag/", 500, "answered 500"),
    ],
)
def test_an_answer_that_is_an_error_is_told_and_a_second_push_heals_it(
    where: str, status: int, expected: str, project: Project, hub: WritableHub, push: Callable[..., Done]
) -> None:
    hub.fail(where, status=status)
    assert expected in told(push())
    assert not any(repo.tags for repo in hub.repos.values())
    hub.heal()
    assert push().status == 0
    assert remote(hub) == project.files
    assert list(hub.repos["acme/model"].tags) == [project.tag]
    assert len(hub.commits) == 1


def big_digest(project: Project) -> str:
    return next(file.sha256 for file in files_of(project.root / EXPORT) if file.name == BIG)


def test_a_connection_that_breaks_in_a_large_file_leaves_no_commit_and_the_next_push_sends_what_lacks(
    project: Project, hub: WritableHub, push: Callable[..., Done]
) -> None:
    hub.cut(f"PUT /storage/{big_digest(project)}", after=1_000_000)
    assert "acme/model: the connection broke; run again" in told(push())
    assert remote(hub) == {} and not hub.repos["acme/model"].tags
    attempts = [request for request in hub.requests if big_digest(project) in request.line]
    assert len(attempts) > 1 and all(len(request.body) == 1_000_000 for request in attempts)
    hub.heal()
    before = len(hub.requests)
    assert push().status == 0
    assert remote(hub) == project.files
    sent = [request.line for request in hub.requests[before:] if request.line.startswith("PUT")]
    assert sent == [f"PUT /storage/{big_digest(project)}"]  # what had arrived whole is not sent again


def test_a_connection_that_breaks_once_is_no_matter(
    project: Project, hub: WritableHub, push: Callable[..., Done]
) -> None:
    hub.cut(f"PUT /storage/{big_digest(project)}", after=1_000_000, times=1)
    done = push()
    assert done.status == 0, done.err
    assert done.err == ""
    assert remote(hub) == project.files


def test_a_commit_whose_answer_is_lost_is_not_made_twice(
    project: Project, hub: WritableHub, push: Callable[..., Done]
) -> None:
    hub.cut("/commit/", times=1)
    assert "the connection broke; run again" in told(push())
    assert not hub.repos["acme/model"].tags
    assert push().status == 0
    assert len(hub.commits) == 1
    assert hub.repos["acme/model"].tags == {project.tag: hub.repos["acme/model"].commit}


def test_what_changes_during_the_push_is_not_tagged(
    project: Project, hub: WritableHub, push: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    create = HfApi.create_repo

    def change_and_create(self: HfApi, *arguments: str, **options: bool) -> object:
        change_a_byte(project.root)
        return create(self, *arguments, **options)

    monkeypatch.setattr(HfApi, "create_repo", change_and_create)
    assert "is not the export (model.safetensors), and is not tagged" in told(push())
    assert not hub.repos["acme/model"].tags


def test_the_tag_stands_on_what_was_pushed_whatever_is_committed_meanwhile(
    project: Project, hub: WritableHub, push: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = HfApi.create_tag

    def commit_and_tag(self: HfApi, *arguments: str, **options: str) -> object:
        repo = hub.repos["acme/model"]
        repo.older[repo.commit], repo.files, repo.commit = repo.files, {}, "f" * 40
        return tag(self, *arguments, **options)

    monkeypatch.setattr(HfApi, "create_tag", commit_and_tag)
    assert push().status == 0
    assert remote(hub, hub.repos["acme/model"].tags[project.tag]) == project.files


def test_a_file_that_goes_during_the_push_is_told(
    project: Project, hub: WritableHub, push: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    create = HfApi.create_repo

    def remove_and_create(self: HfApi, *arguments: str, **options: bool) -> object:
        (project.root / EXPORT / BIG).unlink()
        return create(self, *arguments, **options)

    monkeypatch.setattr(HfApi, "create_repo", remove_and_create)
    assert f"{EXPORT}/{BIG} is gone" in told(push())
    assert not hub.repos["acme/model"].tags


def test_a_hub_that_can_not_be_reached_is_told(project: Project, hub: WritableHub, push: Callable[..., Done]) -> None:
    hub.stop()
    assert f"acme/model: can't reach {hub.url}" in told(push())


def test_offline_is_told(
    project: Project, hub: WritableHub, push: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    close_session()
    assert "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set; unset it to push" in told(push())


# As a user has it


def test_as_a_command_it_pushes_and_tells_a_fault_in_one_line(
    project: Project, hub: WritableHub, tmp_path: Path
) -> None:
    environment = os.environ | hub.environment(tmp_path / "other") | {"PYTHONPATH": str(ROOT), "HF_TOKEN": WRITER}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "stages.push", *arguments]
        return subprocess.run(line, cwd=project.root, env=environment, capture_output=True, text=True, check=False)

    done = run("acme/model")
    assert (done.returncode, done.stderr) == (0, "")
    assert remote(hub) == project.files
    hub.stop()
    done = run("acme/model")
    assert done.returncode == 1
    assert done.stderr.startswith("error: acme/model: can't reach ") and done.stderr.count("\n") == 1
    assert WRITER not in done.stdout + done.stderr


def test_transformers_loads_what_was_pushed_by_its_tag(
    project: Project, hub: WritableHub, push: Callable[..., Done]
) -> None:
    push("--tag", "v1.0")
    texts = ["my order never was great", "a great city"]
    here = pipeline("text-classification", model=EXPORT, device="cpu")(texts)
    there = pipeline("text-classification", model="acme/model", revision="v1.0", device="cpu")(texts)
    assert there == here and {answer["label"] for answer in here} <= set(LABELS)
    assert any("GET /storage" in request.line for request in hub.requests)


@pytest.mark.slow
def test_a_fresh_clone_fine_tunes_what_was_pushed(
    project: Project, hub: WritableHub, push: Callable[..., Done], tmp_path: Path
) -> None:
    push()
    clone = Workspace(tmp_path / "clone")
    model = ["model=hub", "model.repo=acme/model", f"model.revision={hub.repos['acme/model'].commit}"]
    sizes = ["data.train=20", "data.validation=10", "data.test=10"]
    clone.python("stages.configuration.compose", *model, *sizes)
    clone.python("stages.download", **hub.environment(tmp_path / "fresh") | {"HF_TOKEN": WRITER})
    assert clone.metrics("download")["model"]["repo"] == clone.metrics("download")["model"]["name"] == "acme/model"
    assert (clone.root / "models/base/weights/model.safetensors").is_file()
    assert WRITER not in (clone.root / "metrics/download.json").read_text(encoding="utf-8")


# Digests


def test_the_hash_of_a_folder_is_dvcs(original: Project, tmp_path: Path) -> None:
    folder = tmp_path / "repo/folder"
    names = ("b.txt", "B.txt", "a/b", "a-b", "a/ä b", "empty")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"" if name == "empty" else f"{name}\r\n".encode())
    repo = Workspace.__new__(Workspace)
    repo.root = folder.parent
    repo.ok("dvc", "init", "--quiet", "--no-scm")
    repo.ok("dvc", "add", "--quiet", "folder", DVC_NO_ANALYTICS="1")
    assert f"md5: {dvc_hash(files_of(folder))}" in (folder.parent / "folder.dvc").read_text(encoding="utf-8")


def test_files_of_another_model_are_told_from_what_a_user_put_there() -> None:
    files = [ExportedFile("config.json", 2, "m", "s", "g"), ExportedFile("model.safetensors", 2, "m", "s", "g")]
    same = {
        "config.json": "g",
        "model.safetensors": "s",
        ".gitattributes": "x",
        "LICENSE": "x",
        "images/config.json": "x",
    }
    assert not difference(files, same)
    others = ["vocab.txt", "model.onnx", "threshold.json", "tag_scheme.json"]
    others += ["saved_model/saved_model.pb", "saved_model/variables/variables.index"]
    found = difference(files, {**same, "config.json": "other", **dict.fromkeys(others, "x")})
    assert (found.lacking, found.left) == (["config.json"], others)
