"""The base model and its tokenizer, in one form whatever they came from, or one line that says what is wrong with them."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.configuration.hydra_plugins.fingerprint import model_fingerprint
from stages.configuration.schema import FilesModel, PackageModel
from stages.pipeline.errors import ModelError
from stages.sources.base_model import write_base_model
from stages.tasks.encoding.subwords import SubwordEncoder
from tests.support.tiny import write_tiny_model
from tests.support.tokenized import task_of
from tests.support.told import told


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A model folder of the test's own, to spoil."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def write(model: Path, target: Path, **settings: Any) -> str:
    config = FilesModel(name="tiny", source="files", path=str(model), **settings)
    return write_base_model(config, target / "weights", target / "tokenizer")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_weights_are_copied_with_their_digest(model: Path, tmp_path: Path) -> None:
    digest = write(model, tmp_path / "base")
    copied = files(tmp_path / "base/weights")
    assert copied == {name: (model / name).read_bytes() for name in ("config.json", "model.safetensors")}
    assert digest == hashlib.sha256(copied["model.safetensors"]).hexdigest()
    write(model, tmp_path / "again", sha256=digest)


def test_weights_with_another_digest_are_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        write(model, tmp_path / "base", sha256="0" * 64)
    digest = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
    assert f"has SHA-256 {digest}, but model.sha256={'0' * 64};" in told(error)
    assert not (tmp_path / "base").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_model_without_safetensors_or_config_is_refused(name: str, model: Path, tmp_path: Path) -> None:
    (model / name).rename(model / "pytorch_model.bin")
    with pytest.raises(ModelError) as error:
        write(model, tmp_path / "base")
    assert told(error).startswith(f"model=tiny: has no {name}; Stagewright loads safetensors only")


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_that_comes_with_a_model_is_not_run(
    file: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither where transformers would ask whether to, nor where it has a class of its own and would take that."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    (model / "evil.py").write_text(f"open({str(tmp_path / 'was run')!r}, 'w')\nclass Evil: pass\n", encoding="utf-8")
    names = {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil", "AutoTokenizer": ["evil.Evil", "evil.Evil"]}
    for kind in ("bert", "evil"):
        content = json.loads((model / file).read_text(encoding="utf-8")) | {"auto_map": names, "model_type": kind}
        (model / file).write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(ModelError) as error:
            write(model, tmp_path / "base")
        assert told(error).startswith(f"model=tiny: its {file} needs code that comes with the model (auto_map)")
    assert not (tmp_path / "was run").exists() and not (tmp_path / "base").exists()


def test_a_model_that_transformers_does_not_have_is_told_before_training(model: Path, tmp_path: Path) -> None:
    content = json.loads((model / "config.json").read_text(encoding="utf-8")) | {"model_type": "no-such-type"}
    (model / "config.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ModelError) as error:
        write(model, tmp_path / "base")
    assert "its config.json says model_type=no-such-type, which transformers does not have" in told(error)


def test_a_model_folder_that_is_missing_is_told_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        write(tmp_path / "nowhere", tmp_path / "base")
    assert told(error).startswith(f"model.path={tmp_path}/nowhere: there is no such folder")


@pytest.mark.parametrize("package", ["no_such_package", "no_such_package.inside", "os.path"])
def test_a_package_that_is_not_installed_is_told_with_its_key(package: str, tmp_path: Path) -> None:
    config = PackageModel(name="tiny", source="package", package=package)
    with pytest.raises(ModelError) as error:
        write_base_model(config, tmp_path / "weights", tmp_path / "tokenizer")
    assert told(error).startswith(f"model.package={package}: is not installed; run `make install`")


def test_a_package_is_found_without_running_it(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "carries_a_model"
    shutil.copytree(model, package / "model")
    (package / "__init__.py").write_text("raise SystemExit('was run')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    config = PackageModel(name="tiny", source="package", package="carries_a_model", folder="model")
    digest = write_base_model(config, tmp_path / "weights", tmp_path / "tokenizer")
    assert digest == hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()


def test_a_folder_that_has_changed_since_it_was_composed_is_refused(model: Path, tmp_path: Path) -> None:
    found = model_fingerprint(str(model))
    write(model, tmp_path / "same", fingerprint=found)
    (model / "optimizer.pt").write_bytes(b"not read")
    (model / "README.md").write_text("not read")
    write(model, tmp_path / "beside", fingerprint=found)
    for name in ("model.safetensors", "tokenizer.json"):
        content = (model / name).read_bytes()
        (model / name).write_bytes(content + b" ")
        with pytest.raises(ModelError) as error:
            write(model, tmp_path / "other", fingerprint=found)
        assert told(error).startswith(
            f"model.fingerprint={found}: the files have changed since params.yaml was composed"
        )
        (model / name).write_bytes(content)


def test_a_folder_without_a_tokenizer_is_refused(model: Path, tmp_path: Path) -> None:
    (model / "tokenizer.json").unlink()
    (model / "tokenizer_config.json").unlink()
    with pytest.raises(ModelError) as error:
        write(model, tmp_path / "base")
    assert told(error).startswith("model=tiny: has no tokenizer;")


def test_a_broken_tokenizer_is_told(model: Path, tmp_path: Path) -> None:
    (model / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match=r"^model=tiny: its tokenizer can't be loaded"):
        write(model, tmp_path / "base")


def test_truncation_and_padding_are_taken_out_of_the_tokenizer(model: Path, tmp_path: Path) -> None:
    cuts_and_pads(model)
    write(model, tmp_path / "base")
    written = json.loads((tmp_path / "base/tokenizer/tokenizer.json").read_text(encoding="utf-8"))
    assert (written["truncation"], written["padding"]) == (None, None)
    settings = json.loads((tmp_path / "base/tokenizer/tokenizer_config.json").read_text(encoding="utf-8"))
    assert settings["model_max_length"] == 128
    assert settings["pad_token"] == "[PAD]"


def test_two_models_with_the_same_vocabulary_get_the_same_tokenizer_bytes(tmp_path: Path) -> None:
    first, second = write_tiny_model(tmp_path / "one"), write_tiny_model(tmp_path / "two", family="distilbert", seed=1)
    with_settings(first, tokenizer_class="BertTokenizer", name_or_path="someone/one", model_max_length=512)
    with_settings(second, tokenizer_class="DistilBertTokenizer", do_lower_case=True, never_split=None)
    cuts_and_pads(second)
    write(first, tmp_path / "first")
    write(second, tmp_path / "second")
    assert files(tmp_path / "first/tokenizer") == files(tmp_path / "second/tokenizer")
    assert files(tmp_path / "first/weights") != files(tmp_path / "second/weights")


def test_another_vocabulary_gives_other_tokenizer_bytes(model: Path, tmp_path: Path) -> None:
    other = write_tiny_model(tmp_path / "other", words=["entirely", "different"])
    write(model, tmp_path / "first")
    write(other, tmp_path / "second")
    assert files(tmp_path / "first/tokenizer") != files(tmp_path / "second/tokenizer")


def test_a_tokenizer_that_states_no_limit_gets_the_models_positions(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "roberta", family="roberta")
    with_settings(model, model_max_length=int(1e30))
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config |= {"max_position_embeddings": 114, "pad_token_id": 1}  # as RoBERTa's 514: the first two stand for padding
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    write(model, tmp_path / "base")
    settings = json.loads((tmp_path / "base/tokenizer/tokenizer_config.json").read_text(encoding="utf-8"))
    assert settings["model_max_length"] == 112


def test_a_tokenizer_without_padding_gets_some_and_the_model_an_embedding_for_it(model: Path, tmp_path: Path) -> None:
    from stages.modeling.load import new_model

    without_padding(model)
    write(model, tmp_path / "base")
    padding = SubwordEncoder(tmp_path / "base/tokenizer", None).padding_id
    embeddings = json.loads((model / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    assert padding == embeddings
    made = new_model(task_of("text"), tmp_path / "base/weights", ["a", "b"], padding=padding)
    assert made.get_input_embeddings().num_embeddings == embeddings + 1
    assert (made.config.pad_token_id, made.config.vocab_size) == (padding, embeddings + 1)


def test_a_tokenizer_of_another_model_is_refused(model: Path, tmp_path: Path) -> None:
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (model / "config.json").write_text(json.dumps(config | {"vocab_size": 7}), encoding="utf-8")
    with pytest.raises(ModelError) as error:
        write(model, tmp_path / "base")
    assert "but the model only 7 embeddings" in told(error)


def without_padding(model: Path) -> None:
    """As GPT-2's tokenizer is: no sub-word is for padding. The vocabulary keeps as many as the model has embeddings."""
    path = model / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8").replace('"[PAD]"', '"[OLD]"'))
    path.write_text(json.dumps(content), encoding="utf-8")
    settings = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8"))
    del settings["pad_token"]
    (model / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def with_settings(model: Path, **changes: Any) -> None:
    path = model / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def cuts_and_pads(model: Path) -> None:
    path = model / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["truncation"] = {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
    content["padding"] = {
        "strategy": {"Fixed": 5}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
    }  # fmt: skip
    path.write_text(json.dumps(content), encoding="utf-8")


def sharded(model: Path, folder: Path) -> Path:
    """The same model with its weights in several files."""
    from transformers import AutoModel

    AutoModel.from_pretrained(model).save_pretrained(folder, max_shard_size="20KB")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(model / name, folder / name)
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    return folder


def test_weights_in_several_files_are_taken_with_a_digest_of_them_all(model: Path, tmp_path: Path) -> None:
    from stages.modeling.load import new_model

    parts = sharded(model, tmp_path / "sharded")
    digest = write(parts, tmp_path / "base")
    whole = new_model(task_of("text"), model, ["a", "b"]).base_model.state_dict()
    found = new_model(task_of("text"), tmp_path / "base/weights", ["a", "b"]).base_model.state_dict()
    assert all(torch.equal(weight, found[name]) for name, weight in whole.items())
    names = ["model.safetensors.index.json", *sorted(path.name for path in parts.glob("model-*.safetensors"))]
    listed = "".join(f"{hashlib.sha256((parts / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    assert digest == hashlib.sha256(listed.encode()).hexdigest()
    with pytest.raises(ModelError) as error:
        write(parts, tmp_path / "other", sha256="0" * 64)
    what = f"the list of {names[0]} and its {len(names) - 1} files"
    assert told(error).startswith(f"model=tiny: {what} has SHA-256 {digest}, but model.sha256=000")
    write(parts, tmp_path / "again", sha256=digest)


def test_a_file_that_the_index_names_and_nobody_has_is_told(model: Path, tmp_path: Path) -> None:
    parts = sharded(model, tmp_path / "sharded")
    lost = sorted(parts.glob("model-*.safetensors"))[1]
    lost.unlink()
    with pytest.raises(ModelError) as error:
        write(parts, tmp_path / "base")
    assert (
        told(error) == f"model=tiny: has no {lost.name}, which its model.safetensors.index.json names; fetch it as well"
    )


@pytest.mark.parametrize("content", ["{}", '{"weight_map": 3}', '{"weight_map": {"a": "../../etc/passwd"}}'])
def test_a_damaged_index_is_told(content: str, model: Path, tmp_path: Path) -> None:
    parts = sharded(model, tmp_path / "sharded")
    (parts / "model.safetensors.index.json").write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=r"^model.safetensors.index.json: names"):
        write(parts, tmp_path / "base")
