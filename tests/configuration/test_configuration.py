"""Configuration: composed, committed, validated, and read through Hydra by the stages."""

import ast
import copy
import dataclasses
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from stages.configuration import schema
from stages.configuration.compose import require_equal, write_params
from stages.configuration.composition import compose_params
from stages.configuration.params_file import read_params
from stages.configuration.run_stage import run_stage
from stages.configuration.validation import select, validate
from stages.pipeline.errors import ConfigError
from tests.support.imports import ROOT

GROUPS = [
    folder.name for folder in sorted((ROOT / "conf").iterdir()) if folder.is_dir() and folder.name != "experiment"
]
EXPERIMENTS = [file.stem for file in sorted((ROOT / "conf/experiment").glob("*.yaml"))]


@pytest.fixture(autouse=True)
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_committed_params_equal_a_fresh_composition() -> None:
    committed = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert committed == compose_params([])


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes(experiment: str) -> None:
    params = validate(compose_params([f"experiment={experiment}"]), "conf")
    assert params.data.kind == params.task.kind


@pytest.mark.parametrize(("experiment", "repo"), [("imdb", "stanfordnlp/imdb"), ("wnut17", "leondz/wnut_17")])
def test_reference_jobs_are_the_tutorials_recipes_with_pinned_revisions(experiment: str, repo: str) -> None:
    params = validate(compose_params([f"experiment={experiment}"]), "conf")
    assert isinstance(params.data, schema.HubData)
    assert isinstance(params.model, schema.HubModel)
    assert params.data.repo == repo
    assert params.model.repo == "distilbert/distilbert-base-uncased"
    recipe = params.train
    assert (recipe.learning_rate, recipe.batch_size, recipe.epochs, recipe.weight_decay) == (2e-5, 16, 2, 0.01)
    assert recipe.evaluate_every is None  # each epoch


def test_a_reference_job_runs_from_local_files_by_configuration_alone() -> None:
    overrides = ["experiment=wnut17", "data=files", "data.train=a.conll", "data.test=b.conll", "model=minilm"]
    params = validate(compose_params(overrides), "conf")
    assert isinstance(params.data, schema.FilesData)
    assert params.data.kind == "tokens"
    assert params.train.learning_rate == 2e-5


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["train.lerning_rate=1"], ["train.lerning_rate", "did you mean learning_rate?"]),
        (["+train.epoch=3"], ["train.epoch", "did you mean epochs?"]),
        (["+tarin.epochs=3"], ["tarin", "did you mean train?"]),
        (["train.epochs=banana"], ["train.epochs='banana'", "number"]),
        (["train.epochs=0"], ["train.epochs=0", "greater than 0"]),
        (["threads=0"], ["threads=0", "greater than or equal to 1"]),
        (["threads=auto"], ["threads='auto'", "integer"]),
        (["train.deterministic=maybe"], ["train.deterministic='maybe'"]),
        (["train.batch_size=1.5"], ["train.batch_size=1.5"]),
        (["train.batch_size=true"], ["train.batch_size=True"]),
        (["seed=true"], ["seed=True"]),
        (["train.learning_rate=None"], ["train.learning_rate='None'"]),
        (["train.learning_rate=.nan"], ["train.learning_rate"]),
        (["task.metric=bleu"], ["task.metric=bleu", "accuracy", " f1,", "loss"]),
        (["data=nope"], ["data=nope: there is no such choice", "demo", "imdb", "wnut17"]),
        (["experiment=nope"], ["experiment=nope: there is no such choice", "imdb", "wnut17"]),
        (["data=files"], ["data.train", "is missing"]),
        (["data.fold=6/5"], ["data.fold='6/5'", "a part and the number of parts, such as 2/5"]),
        (["data.fold=0/5"], ["data.fold='0/5'"]),
        (["data.fold=1/1"], ["data.fold='1/1'"]),
        (["data.source=ftp"], ["data.source=ftp", "'demo'", "'files'", "'hub'"]),
        (["data=imdb", "data.revision=main"], ["data.revision='main': is not pinned", "git ls-remote"]),
        (["data=imdb", "data.sha256.train=abc"], ["data.sha256.train='abc'", "sha256sum"]),
        (["model=distilbert", "model.revision=v1.0"], ["model.revision='v1.0': is not pinned"]),
        (["train=5"], ["train=5", "Config group override must be a string"]),
        (["train.epochs=[1"], ["train.epochs=[1", "is not a valid override"]),
        (["data.name=${nope}"], ["data.name", "'nope' not found"]),
        (["data=files", "data.train=a", "data.sheet=2026"], ["data.sheet=2026: is a number", "'data.sheet=\"2026\"'"]),
        (["data=files", "data.train=5", "data.test=a"], ["data.train=5", "a valid string or a list"]),
        (["seed=-1"], ["seed=-1"]),
        (["seed=4294967296"], ["seed=4294967296"]),
        (
            ["task.metric=pearson"],
            ["task.metric=pearson", "task.target=label", "accuracy, precision, recall, f1, loss"],
        ),
        (
            ["data=files", "task=regression", "task.metric=f1"],
            ["task.metric=f1", "target=number", "pearson, spearman, loss"],
        ),
        (["task=multilabel"], ["data=demo-text has data.target=label", "task.target=labels", "choose task=text"]),
        (["task=tokens", "task.target=labels", "data.target=labels"], ["task.target=labels", "task.kind=tokens"]),
        (["data.source=demo", "data.target=number", "task=text"], ["data.target=number", "choose task=regression"]),
        (
            ["task=multilabel", "data.target=labels"],
            ["data.target=labels", "the demo data has one label per example"],
        ),
        (["data=files", "task=regression", "train.class_weights=balanced"], ["train.class_weights=balanced"]),
        (["data=files", "task=regression", "train.label_smoothing=0.1"], ["train.label_smoothing=0.1", "number"]),
        (["data=files", "task=multilabel", "train.label_smoothing=0.1"], ["train.label_smoothing=0.1", "labels"]),
        (["data=demoo"], ["data=demoo: there is no such choice; did you mean demo?"]),
        (["data=imdb", "task=tokens"], ["data=imdb", "task.kind=tokens"]),
        (["task=tokens", "tokenize.overflow=truncate"], ["tokenize.overflow=truncate", "windows"]),
        (["tokenize.max_length=64", "tokenize.stride=60"], ["tokenize.stride=60", "tokenize.max_length=64"]),
        (["train.batch_size=15", "train.processes=2"], ["train.batch_size=15", "2"]),
        (["train.batch_size=15", "train.processes=2", "train.gradient_accumulation=auto"], ["train.batch_size=15"]),
        (["train.batch_size=most"], ["train.batch_size='most'", "'auto'"]),
        (["train.batch_size=auto", "train.batch_tokens=4096"], ["train.batch_size=auto", "train.batch_tokens=4096"]),
        (["train.sharding=full"], ["train.sharding=full", "train.processes=1"]),
        (
            ["train.sharding=full", "train.processes=2", "train.optimizer=adamw_8bit"],
            ["train.sharding=full", "train.optimizer=adamw_8bit"],
        ),
        (
            ["train.sharding=full", "train.processes=2", "train.precision=fp16"],
            ["train.precision=fp16", "bf16 or fp32"],
        ),
        (["train.sharding=full", "train.processes=2", "train.batch_size=auto"], ["train.batch_size=auto", "number"]),
        (
            ["train.sharding=full", "train.processes=2", "train.gradient_accumulation=auto"],
            ["train.gradient_accumulation=auto", "number"],
        ),
        (["train.batch_size=auto", "train.gradient_accumulation=auto"], ["train.gradient_accumulation=auto", "number"]),
        (["train.adapter=dora"], ["train.adapter=dora", "'none' or 'lora'"]),
        (["train.lora.rank=0"], ["train.lora.rank=0", "greater than or equal to 1"]),
        (["train.lora.targets=[]"], ["train.lora.targets=[]", "'auto'", "at least 1 item"]),
        (["train.lora.targets=query"], ["train.lora.targets='query'", "'auto' or a list"]),
        (["train.lora.rank=4"], ["train.lora.rank is for adapters", "set train.adapter=lora"]),
        (["train.lora.targets=[query]"], ["train.lora.targets is for adapters", "set train.adapter=lora"]),
        (["train.lora.ranks=4"], ["train.lora.ranks", "did you mean rank?"]),
        (["train.keep_adapter=true"], ["train.keep_adapter=true", "set train.adapter=lora"]),
        (["train.frozen_precision=bf16"], ["train.frozen_precision=bf16", "nothing is frozen"]),
        (["train.layer_decay=0"], ["train.layer_decay=0", "greater than 0"]),
        (["train.layer_decay=1.1"], ["train.layer_decay=1.1", "less than or equal to 1"]),
        (["train.freeze=0"], ["train.freeze=0"]),
        (["train.freeze=all"], ["train.freeze='all'", "'none' or 'embeddings'"]),
        (["train.epochs=1", "train.early_stopping=2"], ["train.early_stopping=2"]),
        (["task=tokens", "evaluate.mode=strict", "evaluate.scheme=plain"], ["evaluate.mode=strict", "scheme=plain"]),
        (["task.decode=viterbi"], ["task.decode=viterbi", "task.kind=text", "set task.decode=argmax"]),
        (["task=tokens", "task.decode=viterbi", "evaluate.scheme=plain"], ["task.decode=viterbi", "scheme=plain"]),
        (["evaluate.scheme=iob3"], ["evaluate.scheme=iob3", "'iobes'"]),
        (["evaluate.resamples=-1"], ["evaluate.resamples=-1"]),
        (["evaluate.slices=[size]"], ["evaluate.slices has size", "'length'", "data.keep_columns"]),
        (["data=files", "data.keep_columns=[gold]"], ["data.keep_columns has gold", "rename the column"]),
        (
            ["data=files", "data.format=csv", "data.sheet=a"],
            ["data.sheet='a'", "data.format=csv", "set data.sheet=null"],
        ),
        (["data=files", "data.train=a", f"data.sha256.test={'0' * 64}"], ["data.sha256.test", "data.test=null"]),
        (
            ["data=files", "data.sentence_column=a"],
            ["data.sentence_column=a", "data.kind=text", "set data.sentence_column=null"],
        ),
        (
            ["data=files", "data.empty_words=drop"],
            ["data.empty_words=drop", "data.kind=text", "set data.empty_words=error"],
        ),
        (["data=files", "task=regression", "evaluate.slices=[length,label]"], ["evaluate.slices has label", "number"]),
        (["seed=???"], ["seed: is missing"]),
        (["model=hub"], ["model.name", "Missing mandatory value: model.repo"]),
        (["model=hub", "model.repo=a/b"], ["model.revision: is missing"]),
        (["export.language=English"], ["export.language='English'", "such as en"]),
        (["export.language=no"], ["export.language='no'", "nb, nn or nor"]),
        (["export.language=[de,English]"], ["export.language.1='English'", "such as en"]),
        (["export.license=Apache-2.0"], ["export.license='Apache-2.0'", "such as apache-2.0"]),
        (["data.max_examples.train=-1"], ["data.max_examples.train=-1"]),
    ],
)
def test_a_fault_is_told_with_key_value_and_choices(overrides: list[str], told: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        compose_params(overrides)
    message = str(caught.value)
    assert all(part in message for part in told), message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    "overrides",
    [
        ["train.batch_size=auto"],
        ["train.batch_size=auto", "train.gradient_accumulation=2", "train.processes=2"],
        ["train.gradient_accumulation=auto"],
        ["train.batch_tokens=4096", "train.gradient_accumulation=auto"],
        ["train.batch_size=15", "train.batch_tokens=4096", "train.processes=2"],
    ],
)
def test_what_batches_are_made_of_can_be_left_to_the_machine_or_counted_in_sub_words(overrides: list[str]) -> None:
    compose_params(overrides)


@pytest.mark.parametrize("language", ["nb", "multilingual", "[de,en]"])
def test_a_language_is_read_as_it_was_written(language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_params(compose_params([f"export.language={language}"]), tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["stages.export"])
    params = read_params()
    assert params is not None
    assert params.export.language == (["de", "en"] if "[" in language else language)


LIKE_SOMETHING_ELSE = [
     "no", "yes", "on", "off", "y", "N", "12:30", "1:2:3", "0o17", "017", "0x1F", "1_000", "1e5", ".5", ".inf", ".nan", "~",
     "null", "Null", "true", "FALSE", "=", "<<", "2020-01-01", "- a", "a: b", "#", "a #b", "'", '"', "!a", "&a", "*a", "|", ">",
     "%", "@", "`", " a", "a ", "a\n", "\n", "\t", "é", "\x85", "\u2028", "\ufeff", "\x00", "\x07", "\U0001f600", "---", "...",
     "-0o17", "0o1_7", "8_e5", "+_8", "-_", "._",
]  # fmt: skip
looks_like_something_else = st.sampled_from(LIKE_SOMETHING_ELSE)
any_string = st.text(st.characters(codec="utf-8"), min_size=1)
with_interpolations = st.lists(st.sampled_from(["${", "}", "\\", "$", "{", ":", "a", "'"]), min_size=1).map("".join)


@cache
def composed() -> dict[str, object]:
    return compose_params(["data=files", "data.train=a.csv", "data.test=b.csv"])


@settings(max_examples=30)
@given(st.lists(looks_like_something_else | any_string | with_interpolations, min_size=1))
def test_every_string_is_read_as_it_was_written(names: list[str]) -> None:
    params = copy.deepcopy(composed())
    assert isinstance(params["data"], dict)
    params["data"] |= {"label_names": names, "name": names[0]}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_params(params, Path("params.yaml"))
        patch.setattr(sys, "argv", ["stages.download"])
        read = read_params()
    assert read is not None and isinstance(read.data, schema.FilesData)
    assert (read.data.label_names, read.data.name) == (names, names[0])


def test_every_string_is_read_as_it_was_given_to_dvc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `dvc exp run -S` composes with; a process of its own loads the plugins that `.dvc/config` names, as DVC does."""
    names = [name for name in LIKE_SOMETHING_ELSE if name != "\x00"]  # no argument of a command can hold it
    quoted = ",".join('"{}"'.format(name.replace('"', r"\"")) for name in names)
    code = "import sys; from dvc.utils.hydra import compose_and_dump as dump; dump(*sys.argv[1:6], sys.argv[6:])"
    arguments = ["params.yaml", str(ROOT / "conf"), "", "config", str(ROOT / "stages/configuration")]
    overrides = [
        "data=files",
        "data.train=a.csv",
        "data.test=b.csv",
        f"data.label_names=[{quoted}]",
        'data.name="0o17"',
    ]
    subprocess.run([sys.executable, "-c", code, *arguments, *overrides], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["stages.download"])
    read = read_params()
    assert read is not None and isinstance(read.data, schema.FilesData)
    assert (read.data.label_names, read.data.name) == (names, "0o17")


@pytest.mark.parametrize(
    "overrides",
    [
        ["task=multilabel", "train.class_weights=balanced"],
        ["task=multilabel", "task.metric=loss"],
        ["task=regression"],
        ["task=regression", "task.metric=loss"],
    ],
)
def test_what_fits_a_target_is_no_fault(overrides: list[str]) -> None:
    params = validate(compose_params(["data=files", "data.train=a.csv", "data.test=b.csv", *overrides]), "conf")
    assert params.data.target == params.task.target


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        compose_params(["train.epochs=banana", "task.metric=bleu", "seed=x", "+tokenize.strid=3"])
    assert all(part in str(caught.value) for part in ("train.epochs", "task.metric", "seed", "tokenize.strid"))


def test_one_number_is_read_alike_however_it_is_written(tmp_path: Path) -> None:
    written = tmp_path / "params.yaml"
    for text in ("1e-5", "1.0e-5", "0.00001"):
        write_params(compose_params([f"train.learning_rate={text}"]), written)
        read = validate(YAML(typ="safe").load(written.read_text()), "params.yaml")
        assert read.train.learning_rate == 1e-5


def test_params_are_left_alone_if_nothing_changes(tmp_path: Path) -> None:
    written = tmp_path / "params.yaml"
    params = compose_params([])
    write_params(params, written)
    before = written.stat().st_mtime_ns
    write_params(params, written)
    assert written.stat().st_mtime_ns == before


def test_params_are_written_where_only_the_type_of_a_number_differs(tmp_path: Path) -> None:
    written = tmp_path / "params.yaml"
    params = compose_params(["train.weight_decay=1"])
    write_params(params, written)
    written.write_text(written.read_text().replace("weight_decay: 1", "weight_decay: 1.0"))
    write_params(params, written)
    require_equal(params, written)


@pytest.mark.parametrize("group", GROUPS)
def test_every_choice_of_a_group_has_exactly_the_fields_of_its_dataclass(group: str) -> None:
    for file in sorted((ROOT / "conf" / group).glob("*.yaml")):
        if group in ("task", "tokenize", "train", "evaluate", "export"):
            written = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
            assert set(written) == {field.name for field in dataclasses.fields(_dataclass_of(group))}, file


def test_every_configuration_field_has_a_docstring() -> None:
    files = [ROOT / "stages/configuration" / name for name in ("schema.py", "source_schema.py")]
    nodes = [node for file in files for node in ast.parse(file.read_text(encoding="utf-8")).body]
    assert {"DataBase", "HubModel", "TrainConfig"} <= {node.name for node in nodes if isinstance(node, ast.ClassDef)}
    undocumented = []
    for node in nodes:
        if not isinstance(node, ast.ClassDef) or node.name == "Params" or node.name.endswith("Stage"):
            continue
        if node.name in ("MaxExamples", "Digests"):
            continue  # their docstring tells of their three fields
        for field, following in zip(node.body, [*node.body[1:], None], strict=True):
            is_documented = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            name = field.target.id if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) else None
            if name is not None and name != "source" and not is_documented:
                undocumented.append(f"{node.name}.{name}")
    assert undocumented == []


def test_a_stage_sees_its_own_groups_alone() -> None:
    params = validate(compose_params([]), "conf")
    stage = select(params, schema.TokenizeStage)
    assert stage == schema.TokenizeStage(params.task.kind, params.tokenize, params.data.fail_on)


def run_stage_module(module: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_stage_composes_where_a_group_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_params(compose_params(["seed=9"]), tmp_path / "params.yaml")
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    monkeypatch.chdir(tmp_path)
    for overrides, expected in (
        (["train.epochs=3"], compose_params(["seed=9", "train.epochs=3"])),
        (["task=tokens", "train.epochs=3"], compose_params(["task=tokens", "train.epochs=3"])),
        (["experiment=wnut17", r"data.name=\${x}"], compose_params(["experiment=wnut17", r"data.name=\${x}"])),
    ):
        monkeypatch.setattr(sys, "argv", ["stages.train", *overrides])
        assert read_params() == validate(expected, "conf")


def test_a_text_with_an_interpolation_is_escaped_in_an_override() -> None:
    with pytest.raises(
        ConfigError, match=r"data\.name: Interpolation key 'x' not found; write \\\$\{ for a text that has \$\{"
    ):
        compose_params(["data.name=${x}"])
    assert validate(compose_params([r"data.name=\${x}"]), "conf").data.name == "${x}"


def test_a_stage_understands_hydras_command_line(tmp_path: Path) -> None:
    write_params(compose_params([]), tmp_path / "params.yaml")
    shown = run_stage_module("stages.tokenize", "--cfg", "job", "train.learning_rate=1e-4", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert YAML(typ="safe").load(shown.stdout)["train"]["learning_rate"] == 1e-4
    helped = run_stage_module("stages.tokenize", "--help", cwd=tmp_path)
    assert helped.returncode == 0
    assert "learning_rate" in helped.stdout
    assert {file.name for file in tmp_path.iterdir()} == {"params.yaml"}  # no outputs/ folder


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train.epochs=banana"], "train.epochs='banana'"),
        (["train.lerning_rate=1"], "did you mean learning_rate?"),
        (["data.kind=tokens"], "data=demo-text is data for task=tokens"),
    ],
)
def test_a_stage_tells_a_fault_in_one_line_and_exits_with_1(tmp_path: Path, arguments: list[str], told: str) -> None:
    write_params(compose_params([]), tmp_path / "params.yaml")
    run = run_stage_module("stages.tokenize", *arguments, cwd=tmp_path)
    assert run.returncode == 1
    assert told in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1, run.stderr


def test_a_debug_switch_shows_the_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGEWRIGHT_DEBUG", "1")
    run = run_stage_module("stages.tokenize", cwd=tmp_path)
    assert run.returncode == 1
    assert "Traceback" in run.stderr


def test_a_stage_runs_on_the_parameters_that_were_read_and_reads_none_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = validate(compose_params([]), "conf")
    monkeypatch.chdir(tmp_path)  # where there is no params.yaml
    seen: list[schema.DownloadStage] = []
    run_stage(seen.append, schema.DownloadStage, params, offline=False)
    assert seen == [schema.DownloadStage(params.data, params.model, params.task.kind, params.task.target)]
    assert seen[0].data is params.data


def test_the_hub_is_off_after_download(tmp_path: Path) -> None:
    program = (
        "import huggingface_hub; from stages.configuration.run_stage import switch_hub_off; switch_hub_off();"
        "huggingface_hub.hf_hub_download('acme/tiny', 'config.json')"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "HF_HUB_OFFLINE=1" in run.stderr or "OfflineMode" in run.stderr, run.stderr


HARM = "_target_: shutil.copyfile, src: params.yaml, dst: was-run"
BELOW = HARM.replace(", ", "\n  ")
HARMFUL = {
    "a class in a group": ("source: package", f"source: package\n  {BELOW}", "model._target_: there is no"),
    "Hydra's own settings": ("seed: 42", f"seed: 42\nhydra: {{callbacks: {{mine: {{{HARM}}}}}}}", "hydra: there is no such"),
    "a header for Hydra": ("task:", f"# @package hydra.callbacks\ntask:\n  {BELOW}", "task._target_: there"),
    "other files": ("seed: 42", "seed: 42\ndefaults: [harm]", "defaults: there is no such"),
    "an object": ("seed: 42", "seed: !!python/object/apply:os.system ['touch was-run']", "python/object"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after", "told"), HARMFUL.values(), ids=list(HARMFUL))
def test_a_params_file_cannot_run_code(tmp_path: Path, before: str, after: str, told: str) -> None:
    """Hydra instantiates what stands under `hydra`, whatever its list of forbidden functions."""
    write_params(compose_params([]), tmp_path / "params.yaml")
    text = (tmp_path / "params.yaml").read_text(encoding="utf-8")
    assert text.count(before) == 1
    (tmp_path / "params.yaml").write_text(text.replace(before, after), encoding="utf-8")
    (tmp_path / "harm.yaml").write_text(f"hydra: {{callbacks: {{mine: {{{HARM}}}}}}}\n", encoding="utf-8")
    run = run_stage_module("stages.tokenize", cwd=tmp_path)
    assert run.returncode == 1
    assert told in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert {file.name for file in tmp_path.iterdir()} == {"params.yaml", "harm.yaml"}


def _dataclass_of(group: str) -> Any:
    annotation = get_type_hints(schema.Params)[group]
    return (get_args(annotation) or [annotation])[0]
