"""The reference jobs' downloads, over HTTP, against a local server that speaks the Hub's endpoints."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import load_from_disk

from stages.configuration.compose import write_params
from stages.configuration.composition import compose_params
from tests.support.hub_server import HubServer, Repo, files_in, model, text_data, token_data
from tests.support.imports import ROOT

IMDB = "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"
WNUT_17 = "1ac0b6d18c8a1a1d1606b24bef78b8af2f92d2d9"
DISTILBERT = "12040accade4e8a0f71eabdb258fecc2e7e948be"


def at(repo: Repo, commit: str) -> Repo:
    return Repo(files=repo.files, commit=commit)


def hub(tiny_model: Path) -> HubServer:
    """A Hub that holds small stand-ins for the reference jobs' repositories, at the pinned revisions."""
    return HubServer({
        "datasets/stanfordnlp/imdb": at(text_data(train=200, test=80), IMDB),
        "datasets/leondz/wnut_17": at(token_data(), WNUT_17),
        "distilbert/distilbert-base-uncased": at(model(files_in(tiny_model)), DISTILBERT),
    })  # fmt: skip


def download(experiment: str, server: HubServer, folder: Path) -> subprocess.CompletedProcess[str]:
    # The stand-in for DistilBERT can't have its digest; everything else is the experiment as it is committed.
    write_params(compose_params([f"experiment={experiment}", "model.sha256=null"]), folder / "params.yaml")
    environment = {**os.environ, **server.environment(folder / "home"), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "stages.download"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("experiment", "labels"), [("imdb", ["neg", "pos"]), ("wnut17", None)])
def test_a_reference_job_downloads_from_its_pinned_revisions(
    experiment: str, labels: list[str] | None, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    with hub(tiny_model) as server:
        done = download(experiment, server, tmp_path)
    assert done.returncode == 0, done.stderr
    splits = load_from_disk(str(tmp_path / "data/raw"))
    assert list(splits) == ["train", "validation", "test"]
    if labels is not None:
        assert splits["train"].features["label"].names == labels
        assert len(splits["train"]) + len(splits["validation"]) == 200  # validation is carved out of train
        assert len(splits["test"]) == 80
    else:
        assert splits["train"].features["tags"].feature.names[0] == "O"
    metrics = json.loads((tmp_path / "metrics/download.json").read_text())
    assert metrics["data"]["name"] == experiment
    assert (tmp_path / "models/base/weights/model.safetensors").is_file()
    assert {file.name for file in (tmp_path / "models/base/tokenizer").iterdir()} == {
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_a_model_that_is_not_the_pinned_one_is_refused(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    with hub(tiny_model) as server:
        write_params(compose_params(["experiment=imdb"]), tmp_path / "params.yaml")
        environment = {**os.environ, **server.environment(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-m", "stages.download"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "SHA-256" in done.stderr and len(done.stderr.strip().splitlines()) == 1
