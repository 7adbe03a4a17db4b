"""The layers of any family are found in its modules: embeddings below, the head above."""

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from stages.modeling.layers import layers_of

SMALL: dict[str, dict[str, Any]] = {
    "distilbert": {"n_layers": 2},
    "gpt2": {"n_layer": 2},
    "t5": {"num_layers": 2, "num_decoder_layers": 3},
    "bart": {"encoder_layers": 2, "decoder_layers": 3},
    "xlm": {"n_layers": 2},
}


def skeleton_of(family: str, **changed: Any) -> PreTrainedModel:
    config = AutoConfig.for_model(family, **SMALL.get(family, {"num_hidden_layers": 2}), **changed)
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config)
    assert isinstance(model, PreTrainedModel)
    return model


@pytest.mark.parametrize(
    ("family", "count", "embeddings", "lowest", "highest", "head"),
    [
        ("bert", 2, {"bert.embeddings"}, "bert.encoder.layer.0", "bert.encoder.layer.1", {"bert.pooler", "classifier"}),
        ("distilbert", 2, {"distilbert.embeddings"}, "distilbert.transformer.layer.0",
         "distilbert.transformer.layer.1", {"pre_classifier", "classifier"}),
        ("roberta", 2, {"roberta.embeddings"}, "roberta.encoder.layer.0", "roberta.encoder.layer.1", {"classifier"}),
        ("modernbert", 2, {"model.embeddings"}, "model.layers.0", "model.layers.1",
         {"model.final_norm", "head", "classifier"}),
        ("albert", 1, {"albert.embeddings", "albert.encoder.embedding_hidden_mapping_in"},
         "albert.encoder.albert_layer_groups.0", "albert.encoder.albert_layer_groups.0",
         {"albert.pooler", "classifier"}),
        ("electra", 2, {"electra.embeddings", "electra.embeddings_project"}, "electra.encoder.layer.0",
         "electra.encoder.layer.1", {"classifier"}),
        ("deberta-v2", 2, {"deberta.embeddings"}, "deberta.encoder.layer.0", "deberta.encoder.layer.1",
         {"pooler", "classifier"}),
        ("mpnet", 2, {"mpnet.embeddings", "mpnet.encoder.relative_attention_bias"}, "mpnet.encoder.layer.0",
         "mpnet.encoder.layer.1", {"classifier"}),
        ("gpt2", 2, {"transformer.wte", "transformer.wpe"}, "transformer.h.0", "transformer.h.1",
         {"transformer.ln_f", "score"}),
        ("llama", 2, {"model.embed_tokens"}, "model.layers.0", "model.layers.1", {"model.norm", "score"}),
        ("t5", 5, {"transformer.shared"}, "transformer.encoder.block.0", "transformer.decoder.block.2",
         {"transformer.decoder.final_layer_norm", "classification_head"}),
        ("bart", 5, {"model.shared", "model.encoder.embed_positions", "model.encoder.layernorm_embedding",
                     "model.decoder.embed_positions", "model.decoder.layernorm_embedding"},
         "model.encoder.layers.0", "model.decoder.layers.2", {"classification_head"}),
        ("opt", 2, {"model.decoder.embed_tokens", "model.decoder.embed_positions"}, "model.decoder.layers.0",
         "model.decoder.layers.1", {"model.decoder.final_layer_norm", "score"}),
        ("nomic_bert", 2, {"nomic_bert.embeddings"}, "nomic_bert.layers.0", "nomic_bert.layers.1",
         {"nomic_bert.pooler", "classifier"}),
        ("xlm", 2, {"transformer.position_embeddings", "transformer.embeddings", "transformer.layer_norm_emb"},
         "transformer.attentions.0", "transformer.ffns.1", {"sequence_summary"}),
    ],
)  # fmt: skip
def test_every_parameter_has_a_depth(
    family: str, count: int, embeddings: set[str], lowest: str, highest: str, head: set[str]
) -> None:
    layers = layers_of(model := skeleton_of(family))
    assert layers.count == count
    assert [*layers.depths] == [name for name, _ in model.named_parameters()]

    def at(depth: int) -> set[str]:
        return {name for name, each in layers.depths.items() if each == depth}

    def below(modules: set[str]) -> set[str]:
        return {name for name in layers.depths if any(name.startswith(f"{module}.") for module in modules)}

    assert at(0) == below(embeddings) != set()
    assert at(count + 1) == below(head) != set()
    assert below({lowest}) <= at(1) and below({highest}) <= at(count)
    assert {*layers.depths.values()} == {*range(count + 2)}


def test_what_comes_after_layers_and_has_the_name_of_embeddings_is_none() -> None:
    depths = layers_of(skeleton_of("esm", vocab_size=33, pad_token_id=1, emb_layer_norm_before=True)).depths
    assert depths["esm.embeddings.layer_norm.weight"] == 0
    assert depths["esm.encoder.emb_layer_norm_after.weight"] == 3


def test_what_is_declared_after_the_layers_and_used_below_them_is_no_head() -> None:
    deberta = layers_of(
        skeleton_of("deberta-v2", relative_attention=True, norm_rel_ebd="layer_norm", conv_kernel_size=3)
    )
    of_encoder = {name.removeprefix("deberta.encoder."): depth for name, depth in deberta.depths.items()}
    assert of_encoder["rel_embeddings.weight"] == of_encoder["LayerNorm.weight"] == of_encoder["LayerNorm.bias"] == 0
    assert of_encoder["conv.conv.weight"] == of_encoder["conv.LayerNorm.bias"] == 1
    layout = layers_of(skeleton_of("layoutlmv3", has_relative_attention_bias=True)).depths
    assert layout["layoutlmv3.encoder.rel_pos_bias.weight"] == 0
    assert layers_of(skeleton_of("roberta-prelayernorm")).depths["roberta_prelayernorm.LayerNorm.weight"] == 3


def test_a_model_without_lists_of_layers_has_none() -> None:
    layers = layers_of(skeleton_of("bert"))
    model = skeleton_of("bert")
    model.bert.encoder.layer = torch.nn.Sequential(*model.bert.encoder.layer)
    assert layers.count == 2 and layers_of(model).count == 0
