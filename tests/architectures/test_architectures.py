"""Telling families through the five stages: each stands for a habit that was once taken for granted."""

import json
from pathlib import Path

import pytest
import torch

from stages.configuration.schema import Kind
from tests.architectures.families import TEXT, TOKENS, write_family
from tests.architectures.families_table import BEGIN, END, PAGE, RESULTS, table
from tests.architectures.matrix import put_through

pytestmark = pytest.mark.usefixtures("one_thread")

RIGHT: list[tuple[str, Kind]] = [
    ("bart", "text"),  # encoder and decoder; the head reads the last </s>
    ("canine", "text"),  # characters, without a vocabulary or embeddings of their own
    ("convbert", "text"),  # a convolution reads padding
    ("deberta", "text"),  # bf16 overflows in its mask
    ("deberta-v2", "tokens"),
    ("esmc", "tokens"),  # letters are amino acids, and a space is unknown
    ("fnet", "text"),  # takes no mask
    ("funnel", "tokens"),  # a token type of its own for <cls>; pooling reads padding
    ("gemma2", "tokens"),  # spaces are replaced in the normalizer; pads on the left
    ("gpt2", "text"),  # token types would be further sub-words; no padding sub-word
    ("llama", "tokens"),
    ("longformer", "text"),  # changes outputs of its linear layers in place
    ("mixtral", "text"),
    ("modernbert", "tokens"),
    ("qwen2", "tokens"),  # transformers builds its tokenizer anew, whatever its file says
    ("reformer", "text"),  # trains on rows of one length alone
    ("roberta", "tokens"),  # a space before words
    ("roformer", "text"),  # a pre-tokenizer in Python
    ("t5", "text"),
    ("xlm", "tokens"),  # a tokenizer in Python
    ("xlnet", "text"),  # pads on the left, and its types are not 0
]
REFUSED: list[tuple[str, Kind, str]] = [
    ("bros", "tokens", "can't compute a batch of rows from sub-words alone (You have to specify bbox)"),
    ("layoutlmv3", "text", "its tokenizer takes more than a text"),
    ("mra", "text", "its logits don't depend on what a row holds"),
    ("roc_bert", "text", "takes more than sub-words (input_pronunciation_ids, input_shape_ids)"),
    ("tapas", "text", "takes more than sub-words (token_type_ids)"),
]
WITH_ONNX = ("gpt2", "t5", "xlnet")


@pytest.mark.slow
@pytest.mark.parametrize(("family", "kind"), RIGHT, ids="-".join)
def test_a_family_gives_what_plain_transformers_gives(family: str, kind: Kind, tmp_path: Path) -> None:
    write_family(family, tmp_path / "model")
    found = put_through(family, kind, tmp_path / "model", tmp_path / "work", onnx=family in WITH_ONNX)
    assert (found.result, found.told) == ("right", "")
    assert found.onnx == ("equal" if family in WITH_ONNX else "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "kind"),
    [("modernbert", "tokens"), ("gpt2", "text"), ("llama", "tokens")],
)
def test_adapters_leave_nothing_behind_that_a_later_stage_would_see(family: str, kind: Kind, tmp_path: Path) -> None:
    write_family(family, tmp_path / "model")
    recipe = ("train.adapter=lora", "train.keep_adapter=true", "train.frozen_precision=bf16", "train.layer_decay=0.9")
    more = ("train.gradient_checkpointing=true", "train.freeze=1", "train.lora.rank=4")
    found = put_through(family, kind, tmp_path / "model", tmp_path / "work", onnx=False, recipe=(*recipe, *more))
    assert (found.result, found.told) == ("right", "")
    trained, exported = (
        {file.name for file in (tmp_path / "work/models" / name).iterdir()} for name in ("trained", "export")
    )
    assert "adapter" in trained and "adapter" not in exported


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "recipe", "told"),
    [
        (
            "reformer",
            ("train.freeze=embeddings",),
            "no layer of reformer gets a gradient while its embeddings are frozen",
        ),
        (
            "deepseek_v3",
            ("train.adapter=lora", "train.lora.rank=2", "train.keep_adapter=true"),
            "peft can't load an adapter on",
        ),
    ],
)
def test_a_recipe_that_would_not_do_what_it_says_is_told_in_one_line(
    family: str, recipe: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    write_family(family, tmp_path / "model")
    found = put_through(family, "text", tmp_path / "model", tmp_path / "work", onnx=False, recipe=recipe)
    assert found.result == "refused" and told in found.told and "\n" not in found.told
    assert not (tmp_path / "work/models/trained").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("family", "kind", "told"), REFUSED)
def test_what_a_family_lacks_is_told_in_one_line(family: str, kind: Kind, told: str, tmp_path: Path) -> None:
    write_family(family, tmp_path / "model")
    found = put_through(family, kind, tmp_path / "model", tmp_path / "work", onnx=False)
    assert found.result == "refused" and told in found.told
    assert "\n" not in found.told and len(found.told) < 300
    assert not (tmp_path / "work/models/base").exists()


@pytest.mark.slow
def test_what_can_not_be_exported_to_onnx_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_family("longformer", tmp_path / "model")
    found = put_through("longformer", "text", tmp_path / "model", tmp_path / "work", onnx=True)
    assert (found.result, found.onnx) == ("right", "declined")
    assert "longformer can't be exported to ONNX" in caplog.text
    assert not list((tmp_path / "work/models/export").glob("*.onnx"))


def test_the_committed_result_holds_every_family_and_no_fault() -> None:
    outcomes = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert {(each["kind"], each["family"]) for each in outcomes} == {
        *(("text", family) for family in TEXT), *(("tokens", family) for family in TOKENS),
    }  # fmt: skip
    assert {each["result"] for each in outcomes} <= {"right", "refused", "not tried"}
    right = [each["kind"] for each in outcomes if each["result"] == "right"]
    assert right.count("text") >= 120 and right.count("tokens") >= 95


def test_the_table_of_families_is_the_committed_results() -> None:
    assert PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].strip() == table().strip()


def test_the_families_are_drawn_by_their_seed_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    for name in ("first", "second"):
        write_family("bert", tmp_path / name)
    assert torch.equal(before, torch.get_rng_state())
    files = [{file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("first", "second")]
    assert files[0] == files[1]
