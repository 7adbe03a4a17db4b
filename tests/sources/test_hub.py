"""The Hub source against the real `huggingface_hub` and a Hub on this machine.

Most tests point this process at that Hub; those about the environment, the network or two runs start a new process, as
a user does. `huggingface_hub` has no setting for its pauses between attempts, so in this process `time.sleep` is a
no-op; the attempts themselves are made.
"""

import glob
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import close_session, constants, hf_hub_download

from stages.configuration.schema import HubData, HubModel
from stages.pipeline.errors import HubError
from stages.sources.hub import fetch_dataset, fetch_model
from tests.support import hub_server
from tests.support.hub_server import COMMIT, SIGNATURE, HubServer, Repo, text_data, token_data
from tests.support.imports import ROOT

READER, STRANGER = "hf_reader", "hf_stranger"
TRAIN, TEST = "plain_text/train-00000-of-00001.parquet", "plain_text/test-00000-of-00001.parquet"
MODEL = {"config.json": b"{}", "model.safetensors": b"weights", "tokenizer.json": b"{}", "vocab.txt": b"a"}
BIG = bytes(range(256)) * 4096  # 1 MiB
BIG_DIGEST = hashlib.sha256(BIG).hexdigest()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    shards = [f"{folder}/{number}.parquet" for folder in ("a", "a/b", "c") for number in (1, 0)]
    repos = {
        "datasets/acme/reviews": text_data(),
        "datasets/acme/words": token_data(),
        "datasets/acme/private": Repo(text_data().files, private=True, readers=[READER]),
        "datasets/acme/gated": Repo(text_data().files, gated=True, readers=[READER]),
        "datasets/acme/big": Repo({"train.parquet": BIG, "test.parquet": b"test"}),
        "datasets/acme/xet": Repo(text_data().files, xet=True),
        "datasets/acme/shards": Repo({name: name.encode() for name in shards}),
        "acme/tiny": hub_server.model(MODEL),
        "acme/pickled": Repo({"config.json": b"{}", "pytorch_model.bin": b"a pickle", "vocab.txt": b"a"}),
    }
    with HubServer(repos, accounts=[STRANGER]) as server:
        server.patch(monkeypatch, tmp_path)
        yield server
    close_session()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


def data(name: str = "reviews", **changed: Any) -> HubData:
    keys = {"repo": f"acme/{name}", "revision": COMMIT, "train": TRAIN, "test": TEST} | changed
    return HubData(name=name, kind="text", source="hub", **keys)


def model(name: str = "tiny", **changed: Any) -> HubModel:
    return HubModel(name=name, source="hub", **({"repo": f"acme/{name}", "revision": COMMIT} | changed))


def failure(fetch: Callable[[], object]) -> str:
    """The text of the HubError that is raised: one line, without a secret."""
    with pytest.raises(HubError) as caught:
        fetch()
    text = str(caught.value)
    assert "\n" not in text
    assert not any(secret in text for secret in (READER, STRANGER, SIGNATURE, "Bearer"))
    return text


def files_in_cache(home: Path) -> list[Path]:
    """Everything that a later run could take for a file of a repository, whole or not."""
    folders = [*home.glob("hub/*/blobs"), *home.glob("hub/*/snapshots")]
    return [path for folder in folders for path in folder.rglob("*") if not path.is_dir()]


def run(environment: dict[str, str], *configs: HubData | HubModel) -> subprocess.CompletedProcess[str]:
    """Fetch in a new process. It prints what came back as JSON, or on standard error the text of the HubError."""
    program = f"""
import json, sys
from pathlib import *
from stages.configuration.schema import *
from stages.pipeline.errors import HubError
from stages.sources.hub import fetch_dataset, fetch_model
for config in {configs!r}:
    try:
        fetched = fetch_dataset(config) if isinstance(config, HubData) else fetch_model(config)
        print(json.dumps(fetched, default=str))
    except HubError as error:
        print(error, file=sys.stderr)
"""
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=True)


# What is fetched.


def test_dataset_files_are_the_repositorys_bytes(hub: HubServer) -> None:
    fetched = fetch_dataset(data())
    assert list(fetched) == ["train", "test"]
    for [path], name in zip(fetched.values(), (TRAIN, TEST), strict=True):
        assert path.read_bytes() == hub.repos["datasets/acme/reviews"].files[name]
        assert str(path).endswith(name)
    assert not any("README" in request.line for request in hub.requests)


def test_dataset_takes_all_three_splits(hub: HubServer) -> None:
    splits = {split: f"wnut_17/{split}/0000.parquet" for split in ("train", "validation", "test")}
    fetched = fetch_dataset(data("words", **splits))
    files = hub.repos["datasets/acme/words"].files
    assert {split: [path.read_bytes() for path in paths] for split, paths in fetched.items()} == {
        split: [files[name]] for split, name in splits.items()
    }


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a/*.parquet", ["a/0.parquet", "a/1.parquet"]),  # not a/b/..., which a plain fnmatch would take
        ("a/**/*.parquet", ["a/0.parquet", "a/1.parquet", "a/b/0.parquet", "a/b/1.parquet"]),
        ("**/b/?.parquet", ["a/b/0.parquet", "a/b/1.parquet"]),
        ("a/**", ["a/0.parquet", "a/1.parquet", "a/b/0.parquet", "a/b/1.parquet"]),
        ("*/[0].parquet", ["a/0.parquet", "c/0.parquet"]),
    ],
)
def test_glob_matches_as_for_local_files(hub: HubServer, tmp_path: Path, pattern: str, names: list[str]) -> None:
    local = tmp_path / "local"
    for name in hub.repos["datasets/acme/shards"].files:
        (local / name).parent.mkdir(parents=True, exist_ok=True)
        (local / name).touch()
    matches = glob.glob(pattern, root_dir=local, recursive=True)  # noqa: PTH207 (what `data=files` uses)
    assert sorted(match for match in matches if (local / match).is_file()) == names
    fetched = fetch_dataset(data("shards", train=pattern, test="c/1.parquet"))["train"]
    assert [path.read_text() for path in fetched] == names


def test_a_file_whose_name_looks_like_a_glob_is_found(hub: HubServer) -> None:
    hub.repos["datasets/acme/odd"] = Repo({"[x].parquet": b"odd", "x.parquet": b"even"})
    fetched = fetch_dataset(data("odd", train="[x].parquet", test="x.parquet"))
    assert [fetched[split][0].read_bytes() for split in ("train", "test")] == [b"odd", b"even"]


def test_a_file_that_two_globs_match_is_taken_once(hub: HubServer) -> None:
    fetched = fetch_dataset(data("shards", train=["a/1.parquet", "a/*.parquet"], test="c/1.parquet"))["train"]
    assert [path.read_text() for path in fetched] == ["a/1.parquet", "a/0.parquet"]


def test_model_is_configuration_weights_and_tokenizer_only(hub: HubServer) -> None:
    folder = fetch_model(model())
    taken = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert taken == MODEL
    assert hub.repos["acme/tiny"].files.keys() > MODEL.keys()


def test_second_fetch_asks_nothing(hub: HubServer) -> None:
    first = fetch_dataset(data()), fetch_model(model())
    hub.requests.clear()
    assert (fetch_dataset(data()), fetch_model(model())) == first
    assert hub.requests == []


def test_importing_is_light() -> None:
    heavy = {"torch", "transformers", "datasets", "httpx2", "huggingface_hub.hf_api"}
    program = f"import sys, stages.sources.hub; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Who may read.


def test_missing_repository(hub: HubServer) -> None:
    text = failure(lambda: fetch_dataset(data("nowhere")))
    assert text == (
        f"dataset acme/nowhere at {COMMIT}: no such repository, or it is private; "
        "check data.repo, or set HF_TOKEN to a token that may read it"
    )
    assert "check model.repo" in failure(lambda: fetch_model(model("nowhere")))


def test_a_name_that_no_repository_can_have(hub: HubServer) -> None:
    assert "set data.repo to its owner/name" in failure(lambda: fetch_dataset(data(repo="a/b/c")))


def test_private_repository(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "it is private; check data.repo, or set HF_TOKEN" in failure(lambda: fetch_dataset(data("private")))
    monkeypatch.setenv("HF_TOKEN", STRANGER)
    assert "or the token may not read it" in failure(lambda: fetch_dataset(data("private")))
    monkeypatch.setenv("HF_TOKEN", READER)
    assert fetch_dataset(data("private"))["train"][0].read_bytes() == text_data().files[TRAIN]


def test_token_goes_to_the_hub_alone(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", READER)
    fetch_dataset(data("private"))
    tokens = {request.line.split("/")[1]: request.token for request in hub.requests}
    assert tokens == {"api": READER, "datasets": READER, "storage": None}


def test_gated_repository(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    page = f"{hub.url}/datasets/acme/gated"
    text = failure(lambda: fetch_dataset(data("gated")))
    assert f"it is gated; accept its terms at {page}, then set HF_TOKEN" in text
    assert TRAIN in text
    monkeypatch.setenv("HF_TOKEN", STRANGER)
    assert f"the token's account has no access; ask for it at {page}" in failure(lambda: fetch_dataset(data("gated")))
    monkeypatch.setenv("HF_TOKEN", READER)
    assert len(fetch_dataset(data("gated"))) == 2


@pytest.mark.parametrize(("token", "advice"), [("hf_expired", "to a valid one, or unset it"), ("hf_ä", "again")])
def test_bad_token(hub: HubServer, monkeypatch: pytest.MonkeyPatch, token: str, advice: str) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    text = failure(lambda: fetch_dataset(data()))
    assert f"set HF_TOKEN {advice}" in text
    assert token not in text


def test_no_token_in_what_a_run_prints(hub: HubServer, tmp_path: Path) -> None:
    names = ["private", "gated", "nowhere"]
    done = run(hub.environment(tmp_path) | {"HF_TOKEN": STRANGER, "HF_DEBUG": "1"}, *map(data, names))
    assert [f"dataset acme/{name} at" in done.stderr for name in names] == [True] * 3
    assert "(authenticated: True)" in done.stderr
    assert STRANGER not in done.stdout + done.stderr


# What there is to read.


def test_missing_revision(hub: HubServer) -> None:
    text = failure(lambda: fetch_model(model(revision="0" * 40)))
    assert text == (
        f"model acme/tiny at {'0' * 40}: it has no such revision; "
        f"set model.revision to one that {hub.url}/acme/tiny/commits/main lists"
    )


def test_pattern_that_matches_nothing_is_told_before_anything_is_fetched(hub: HubServer) -> None:
    text = failure(lambda: fetch_dataset(data(test="plain_text/tset-*.parquet")))
    assert text == (
        f"dataset acme/reviews at {COMMIT}: data.test=plain_text/tset-*.parquet matches no file; "
        f"its files are {TEST}, {TRAIN}, README.md"
    )
    assert not any("/resolve/" in request.line for request in hub.requests)


def test_few_of_many_files_are_listed(hub: HubServer) -> None:
    text = failure(lambda: fetch_dataset(data("shards", train="train.parquet")))
    assert text.count(".parquet") == 1 + 5
    assert text.endswith(" and 1 more")


@pytest.mark.parametrize("pattern", ["/plain_text", "../train.parquet", "plain_text", "PLAIN_TEXT/*"])
def test_pattern_that_is_no_path_in_the_repository(hub: HubServer, pattern: str) -> None:
    assert f"data.train={pattern} matches no file" in failure(lambda: fetch_dataset(data(train=pattern)))


def test_model_without_safetensors(hub: HubServer) -> None:
    text = failure(lambda: fetch_model(model("pickled")))
    assert "has no model.safetensors, only " in text
    assert "pytorch_model.bin" in text
    assert "pickled weights are not loaded: choose a model.repo or model.revision that has them" in text
    assert not any("/resolve/" in request.line for request in hub.requests)


# Connections that break.


def big() -> HubData:
    return data("big", train="train.parquet", test="test.parquet")


def test_broken_connection_is_taken_up_again(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 2**16)  # smaller ones than of 10 MiB, to resume in this file
    hub.cut(f"/storage/{BIG_DIGEST}", after=300_000, times=3)
    assert fetch_dataset(big())["train"][0].read_bytes() == BIG
    ranges = [request.range for request in hub.requests if request.line.endswith(BIG_DIGEST)]
    assert ranges == [None, "bytes=262144-", "bytes=524288-", "bytes=786432-"]


def test_broken_connection_where_ranges_are_ignored(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 2**16)
    hub.ranges = False
    hub.cut(f"/storage/{BIG_DIGEST}", after=300_000, times=2)
    assert fetch_dataset(big())["train"][0].read_bytes() == BIG


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_connection_that_keeps_breaking(hub: HubServer, tmp_path: Path, reset: bool) -> None:
    hub.cut(f"/storage/{BIG_DIGEST}", after=300_000, reset=reset)
    text = failure(lambda: fetch_dataset(big()))
    assert f"dataset acme/big at {COMMIT} (train.parquet): the connection broke; run again" in text
    assert {path.read_bytes() for path in files_in_cache(tmp_path)} <= {b"test"}
    hub.heal()
    fetched = fetch_dataset(big())
    assert [fetched[split][0].read_bytes() for split in ("train", "test")] == [BIG, b"test"]


def test_storage_that_sends_less_than_the_hub_announced(hub: HubServer, tmp_path: Path) -> None:
    hub.stored[BIG_DIGEST] = BIG[:-1]
    assert "(train.parquet): the connection broke" in failure(lambda: fetch_dataset(big()))
    assert {path.read_bytes() for path in files_in_cache(tmp_path)} <= {b"test"}


def test_storage_that_sends_other_bytes_of_the_same_length(hub: HubServer, tmp_path: Path) -> None:
    hub.stored[BIG_DIGEST] = BIG[:-1] + b"?"
    text = failure(lambda: fetch_dataset(big()))
    assert "(train.parquet): is not the file that the Hub has, and was removed; run again" in text
    assert {path.read_bytes() for path in files_in_cache(tmp_path)} == {b"test"}
    hub.stored.clear()
    assert fetch_dataset(big())["train"][0].read_bytes() == BIG


def test_a_cached_file_that_was_damaged_later_is_not_taken(hub: HubServer) -> None:
    path = fetch_model(model()) / "model.safetensors"
    path.resolve().write_bytes(b"WEIGHTS")
    assert "(model.safetensors): is not the file that the Hub has" in failure(lambda: fetch_model(model()))
    assert (fetch_model(model()) / "model.safetensors").read_bytes() == b"weights"


def test_xet_storage_that_fails(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(hub.environment(tmp_path), data("xet"))
    assert done.stderr.splitlines()[-1].endswith("the Hub's Xet storage, set HF_HUB_DISABLE_XET=1")
    assert SIGNATURE not in done.stderr
    assert files_in_cache(tmp_path) == []
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    assert len(fetch_dataset(data("xet"))) == 2


# A Hub that fails.


@pytest.mark.parametrize("where", ["/revision/", "/tree/", "HEAD "])
def test_server_error(hub: HubServer, where: str) -> None:
    hub.fail(where, status=503)
    text = failure(lambda: fetch_dataset(data()))
    assert f"{hub.url} answered 503 Service Unavailable; this is a server error: try again later" in text


def test_passing_server_error_is_survived(hub: HubServer, pauses: list[float]) -> None:
    hub.fail("/tree/", status=502, times=2)
    hub.fail(f"HEAD /datasets/acme/reviews/resolve/{COMMIT}/{TRAIN}", status=500, times=2)
    assert len(fetch_dataset(data())) == 2
    assert pauses == [1, 2, 1]


def test_too_many_requests(hub: HubServer) -> None:
    hub.fail(status=429)
    assert "(429); wait some minutes, or set HF_TOKEN" in failure(lambda: fetch_dataset(data()))


def test_a_page_that_is_not_the_hubs(hub: HubServer) -> None:
    hub.fail(status=200)  # as the login page of a hotel's network does
    assert "does not answer like the Hugging Face Hub; check HF_ENDPOINT" in failure(lambda: fetch_dataset(data()))


# No network.


def test_refused_connection_is_told_at_once(hub: HubServer, pauses: list[float]) -> None:
    hub.stop()
    text = failure(lambda: fetch_dataset(data()))
    assert f"can't reach {hub.url} " in text
    assert "Connection refused); check the network, HF_ENDPOINT and HTTPS_PROXY" in text
    assert pauses == []


def test_name_resolution_that_fails(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr(constants, "ENDPOINT", "http://someone:hunter2@hub.invalid")
    text = failure(lambda: fetch_dataset(data()))
    assert "can't reach http://hub.invalid (" in text
    assert "Name or service not known); check the network" in text
    assert "hunter2" not in text


def test_network_that_swallows_what_is_sent(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.1)
        assert "timed out); check the network" in failure(lambda: fetch_dataset(data()))


def test_connection_lost_between_listing_and_files(hub: HubServer) -> None:
    hub.cut("/tree/")
    assert "the connection broke; run again" in failure(lambda: fetch_dataset(data()))


def test_a_run_whose_files_are_cached_needs_no_network(hub: HubServer, tmp_path: Path) -> None:
    configs = data(train="plain_text/train-*.parquet"), model()
    first = run(hub.environment(tmp_path), *configs)
    offline = run(hub.environment(tmp_path) | {"HF_HUB_OFFLINE": "1"}, *configs)
    hub.stop()
    cut_off = run(hub.environment(tmp_path), *configs)
    assert first.stdout == offline.stdout == cut_off.stdout
    fetched = json.loads(first.stdout.splitlines()[0])
    assert Path(fetched["train"][0]).read_bytes() == text_data().files[TRAIN]
    assert cut_off.stderr == ""


def test_offline_without_the_files(hub: HubServer, tmp_path: Path) -> None:
    done = run(hub.environment(tmp_path) | {"HF_HUB_OFFLINE": "1"}, data())
    assert done.stderr == (
        f"dataset acme/reviews at {COMMIT}: the cache does not hold it all, "
        "and HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set; unset it once\n"
    )
    assert hub.requests == []


def test_files_that_another_program_cached_are_taken(hub: HubServer) -> None:
    for name in (TRAIN, TEST):
        hf_hub_download("acme/reviews", name, repo_type="dataset", revision=COMMIT)
    hub.stop()
    assert len(fetch_dataset(data())) == 2


def test_a_glob_is_not_answered_from_half_a_cache(hub: HubServer) -> None:
    """Without a listing, `snapshot_download` returns whatever folder the cache has, and fewer shards would train."""
    hf_hub_download("acme/shards", "a/0.parquet", repo_type="dataset", revision=COMMIT)
    shards = data("shards", train="a/*.parquet", test="c/0.parquet")
    hub.fail("/tree/", status=500)
    assert "(a/1.parquet, c/0.parquet): the connection broke" in failure(lambda: fetch_dataset(shards))
    hub.stop()
    assert "can't reach" in failure(lambda: fetch_dataset(shards))


def test_cache_that_can_not_be_written(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "hub").write_text("not a folder")
    text = failure(lambda: fetch_dataset(data()))
    assert f"can't write to the cache {tmp_path / 'hub'} (" in text
    assert "set HF_HOME elsewhere" in text
