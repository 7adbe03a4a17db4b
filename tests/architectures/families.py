"""Make a tiny model folder, as a user has it from the Hub, of every model type that transformers can classify with."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModel, PretrainedConfig, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
)

from tests.architectures.tokenizer_files import NEEDS, Codes
from tests.architectures.tokenizers_of_families import write_tokenizer
from tests.architectures.vocabularies import LIMIT

__all__ = ["NEEDS", "TEXT", "TOKENS", "UNMAKEABLE", "write_family"]

TEXT: tuple[str, ...] = tuple(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES)
TOKENS: tuple[str, ...] = tuple(MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES)

UNMAKEABLE: dict[str, str] = {
    "layoutlmv2": "its class builds a network over the page's image with detectron2, which is to be built from source",
}
"""The model types for which no folder can be made, and why."""

# What a size is called in the families' configurations, and what it is here. The heads of 4 by 8 make the width.
_SIZES: dict[int, str] = {
    1: "n_group topk_group n_shared_experts first_k_dense_replace",
    2: """num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers num_decoder_layers depth
        num_self_attends_per_block num_key_value_heads num_kv_heads num_experts_per_tok moe_topk index_n_heads
        linear_num_key_heads""",
    4: """num_attention_heads n_head n_heads num_heads encoder_attention_heads decoder_attention_heads num_experts
        num_self_attention_heads num_cross_attention_heads num_local_experts n_routed_experts linear_num_value_heads
        mamba_d_state""",
    8: """head_dim d_kv d_head qk_rope_head_dim qk_nope_head_dim v_head_dim index_head_dim linear_key_head_dim
        linear_value_head_dim attention_head_size kv_channels query_pre_attn_scalar dim_model_base""",
    16: """kv_lora_rank q_lora_rank sliding_window local_attention window_size attention_window gated_norm_rank
        adapter_rank mamba_dt_rank entity_emb_size entity_vocab_size num_latents""",
    32: """hidden_size d_model n_embd dim emb_dim embedding_size moe_intermediate_size word_embed_proj_dim
        shared_expert_intermediate_size input_embedding_size output_embedding_size pooler_hidden_size out_hidden_size
        cross_attention_hidden_size prediction_head_size output_dim downsample_hidden_size d_latents
        pronunciation_embed_dim shape_embed_dim""",
    64: """intermediate_size hidden_dim d_ff d_inner dff encoder_ffn_dim decoder_ffn_dim ffn_dim ffn_hidden_size
        feed_forward_size""",
    LIMIT: "max_position_embeddings n_positions max_seq_len",
}
_SIZE_OF = {name: size for size, names in _SIZES.items() for name in names.split()}
_VISION = {"image_size": 32, "patch_size": 8, "num_key_value_heads": None, "num_position_embeddings": 16}

# The tokens that stand for what is not text.
_TOKEN_OF = {
    "image_token_id": ("<|image_pad|>", "<image>"),
    "image_token_index": ("<image_soft_token>",),
    "boi_token_index": ("<start_of_image>",),
    "eoi_token_index": ("<end_of_image>",),
    "video_token_id": ("<|video_pad|>",),
    "audio_token_id": ("<|audio_pad|>",),
    "timestamp_token_id": ("<|timestamp|>",),
    "vision_start_token_id": ("<|vision_start|>",),
    "vision_end_token_id": ("<|vision_end|>",),
}

# What the general way gets wrong: sizes that must fit one another, and settings a family has no default for.
_AFTER_PAD: dict[str, Any] = {"max_position_embeddings": LIMIT + 2}  # positions begin after the pad token's code
_LIKE_ROBERTA = _AFTER_PAD | {"type_vocab_size": 1}  # and there are no segments beside the first
_ALL_HEADS: dict[str, Any] = {"num_key_value_heads": 4}
_SHARED = {"num_hidden_layers": 4, "layers_block_type": ["linear_attention", "hybrid"] * 2}  # two hybrids share weights
_RELATIVE = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False}
_OWN: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("mpnet", "esm", "mra", "nystromformer", "yoso"), _AFTER_PAD),
    **dict.fromkeys(("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "camembert"), _LIKE_ROBERTA),
    **dict.fromkeys(("data2vec-text", "ibert", "longformer", "luke", "jina_embeddings_v3"), _LIKE_ROBERTA),
    **dict.fromkeys(("axk1", "axk2", "deepseek_v3", "minicpm3", "esmc"), _ALL_HEADS),
    "mistral4": _ALL_HEADS | {"head_dim": 16},  # of which rotary positions take half
    "albert": {"embedding_size": 16},
    "electra": {"embedding_size": 16},
    "rembert": {"input_embedding_size": 16},
    "mobilebert": {"embedding_size": 16, "intra_bottleneck_size": 16},
    "bros": {"hidden_size": 128},  # a 32nd of it is a coordinate's share
    "canine": {"num_hash_buckets": 512},
    "cohere_compass_text": {
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]},
            "full_attention": None,
        }
    },
    "deberta": _RELATIVE,
    "deberta-v2": _RELATIVE | {"position_buckets": 32, "share_att_key": True, "norm_rel_ebd": "layer_norm"},
    "deepseek_v2": _ALL_HEADS | {"num_experts_per_tok": 2},
    "funnel": {"block_sizes": [1, 1, 1]},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "gptj": {"rotary_dim": 4},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "layoutlmv3": _LIKE_ROBERTA | {"coordinate_size": 6, "shape_size": 4, "input_size": 32, "patch_size": 16},
    "lilt": _LIKE_ROBERTA | {"hidden_size": 48},  # a box has six parts
    "markuplm": _LIKE_ROBERTA | {"max_depth": 4, "xpath_unit_hidden_size": 8, "tag_pad_id": 10},
    "minimax": {"block_size": 16},
    "nemotron": {"num_key_value_heads": 2},
    "reformer": {
        "axial_pos_shape": [8, 16],
        "axial_pos_embds_dim": [16, 16],
        "attn_layers": ["local", "lsh"],
        "local_attn_chunk_length": 16,
        "lsh_attn_chunk_length": 16,
    },
    "roc_bert": {"pronunciation_vocab_size": 40, "shape_vocab_size": 40},
    "t5": {"decoder_start_token_id": 0},
    "xmod": _LIKE_ROBERTA | {"default_language": "en_XX"},
    "zamba": _SHARED,
    "zamba2": _SHARED,
}
# The base model's class, where AutoModel has no single one, or one that reads no text.
_CLASSES = {"funnel": "FunnelModel", "perceiver": "PerceiverForMaskedLM"}
_GAIN = {"mobilebert": 0.7}  # how large the weights are where nothing norms what they make; elsewhere 1.5


def _sizes(config: PretrainedConfig, codes: Codes) -> dict[str, Any]:
    """Give the settings that make a family's own default configuration small, and agree with its tokenizer."""
    default = config.to_dict()
    small: dict[str, Any] = {name: size for name, size in _SIZE_OF.items() if isinstance(default.get(name), int)}
    small |= {name: 0.2 for name in ("initializer_range", "init_std") if name in default}  # a head is drawn by it
    if "head_dim" in default:
        small["head_dim"] = _SIZE_OF["head_dim"]
    if isinstance(kinds := default.get("layer_types"), list):  # one layer of each kind, two at least
        kinds = list(dict.fromkeys(kinds))
        small["layer_types"] = kinds if len(kinds) > 1 else kinds * 2
        small["num_hidden_layers"] = len(small["layer_types"])
    rope = default.get("rope_parameters")
    if (
        isinstance(rope, dict) and "original_max_position_embeddings" in rope
    ):  # stretched beyond where a test's texts end
        small["max_position_embeddings"] = 4 * LIMIT
        small["rope_parameters"] = rope | {"factor": 4.0, "original_max_position_embeddings": LIMIT}
        if "max_position_embeddings" in rope:
            small["rope_parameters"]["max_position_embeddings"] = 4 * LIMIT
    if "vocab_size" in default:
        small["vocab_size"] = -(-codes.size // 8) * 8
    for role in ("pad", "bos", "eos"):
        small[f"{role}_token_id"] = codes.special[role]
    if "cls_token_id" in default:  # the ModernBERTs', which name the same two twice
        small["bos_token_id"], small["eos_token_id"] = codes.special["cls"], codes.special["sep"]
    for role in ("sep", "cls", "mask"):
        if f"{role}_token_id" in default:
            small[f"{role}_token_id"] = codes.special[role]
    for name, tokens in _TOKEN_OF.items():
        if name in default:
            small[name] = next(codes.by_token[token] for token in tokens if token in codes.by_token)
    return small


def _config(model_type: str, config: PretrainedConfig, codes: Codes) -> PretrainedConfig:
    settings = _sizes(config, codes)
    for name in config.sub_configs:
        part = getattr(config, name)
        if part is not None:
            settings[name] = _config("", part, codes).to_dict()
    if "patch_size" in config.to_dict():
        settings |= {name: size for name, size in _VISION.items() if name in config.to_dict()}
    return type(config)(**settings | copy.deepcopy(_OWN.get(model_type, {})))


def _fill(model: PreTrainedModel, seed: int, gain: float) -> None:
    """Draw weights that are large enough for the answers to differ from text to text, in every family alike."""
    draw = torch.Generator().manual_seed(seed)
    embeddings = {id(part.weight): part for part in model.modules() if isinstance(part, torch.nn.Embedding)}
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim < 2 or name.endswith("A_log"):  # norms, and a state space's own well-chosen start
                continue
            scale = 0.5 if id(weight) in embeddings else gain * weight[0].numel() ** -0.5
            weight.copy_(torch.randn(weight.shape, generator=draw) * scale)
            if (part := embeddings.get(id(weight))) is not None and part.padding_idx is not None:
                weight[part.padding_idx] = 0.0


def write_family(model_type: str, folder: Path, *, seed: int = 0) -> None:
    """Write a tiny base model of a family, with the family's own kind of tokenizer, into a folder.

    Args:
        model_type: One of TEXT or TOKENS.
        folder: Where the files go; it is made if it is not there.
        seed: What the weights are drawn from.

    Raises:
        ValueError: No folder can be made of this model type; UNMAKEABLE says why.
    """
    if model_type in UNMAKEABLE:
        raise ValueError(f"{model_type}: {UNMAKEABLE[model_type]}")
    folder.mkdir(parents=True, exist_ok=True)
    codes = write_tokenizer(model_type, folder)
    config = _config(model_type, CONFIG_MAPPING[model_type](), codes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        named = _CLASSES.get(model_type)
        model = getattr(transformers, named)(config) if named else AutoModel.from_config(config)
    model = model.to(torch.float32)
    _fill(model, seed, _GAIN.get(model_type, 1.5))
    model.save_pretrained(folder)
