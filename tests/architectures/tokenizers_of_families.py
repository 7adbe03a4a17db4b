"""Write a small tokenizer of each model family's own class and habits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from tests.architectures.tokenizer_files import (
    BERT,
    BERT_NAMES,
    END,
    FILES,
    LLAMA,
    ROBERTA,
    ROLES,
    Codes,
    named_tokens,
    write_files,
)
from tests.architectures.vocabularies import LIMIT, byte_bpe, end_bpe, space_bpe, unigrams, wordpieces

# The habits of each family: the order of its special tokens, the side it pads on, whether it says how long a text is.
_LIMIT = {"model_max_length": LIMIT}
_NAMES = ["input_ids", "attention_mask"]


def _own(name: str, **arguments: Any) -> PreTrainedTokenizerBase:
    return getattr(transformers, name)(**arguments)  # type: ignore[no-any-return]


def _plain(tokenizer: PreTrainedTokenizerBase, **arguments: Any) -> PreTrainedTokenizerFast:
    """Keep a built tokenizer's machinery under the class that reads any tokenizer.json."""
    roles = {f"{role}_token": getattr(tokenizer, f"{role}_token") for role in ROLES}
    machinery = getattr(tokenizer, "_tokenizer")  # noqa: B009 - fast ones only, which mypy cannot know
    return PreTrainedTokenizerFast(tokenizer_object=machinery, **{k: v for k, v in roles.items() if v}, **arguments)


def bytes_like(
    roles: dict[str, str],
    *,
    first: Sequence[str] = (),
    last: Sequence[str] = (),
    before: Sequence[str] = (),
    after: Sequence[str] = (),
    **arguments: Any,
) -> PreTrainedTokenizerFast:
    """Build a byte-level BPE as LLaMA 3's or ModernBERT's: what stands before and after a text is its template."""
    pieces = byte_bpe(first, last)
    machinery = Tokenizer(models.BPE(**pieces))
    machinery.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    machinery.decoder = decoders.ByteLevel()
    return _templated(machinery, roles, [*first, *last], before, after, **arguments)


def spaces_like(
    roles: dict[str, str],
    *,
    first: Sequence[str] = ("<unk>", "<s>", "</s>"),
    before: Sequence[str] = ("<s>",),
    after: Sequence[str] = (),
    **arguments: Any,
) -> PreTrainedTokenizerFast:
    """Build LLaMA 2's BPE: spaces are low lines, what no piece spells is spelt in bytes."""
    machinery = Tokenizer(models.BPE(**space_bpe(first), unk_token=roles["unk"], fuse_unk=True, byte_fallback=True))
    machinery.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    machinery.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return _templated(machinery, roles, first, before, after, **arguments)


def _templated(
    machinery: Tokenizer,
    roles: dict[str, str],
    special: Sequence[str],
    before: Sequence[str],
    after: Sequence[str],
    **arguments: Any,
) -> PreTrainedTokenizerFast:
    if before or after:
        codes = [(token, machinery.token_to_id(token)) for token in dict.fromkeys([*before, *after])]
        single = [*before, "$A:0", *after]
        pair = [*single, *([] if after else before), *(f"{part}:1" for part in ("$B", *after))]
        machinery.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=codes)
    extra = [token for token in special if token not in roles.values()]
    return PreTrainedTokenizerFast(
        tokenizer_object=machinery, extra_special_tokens=extra, **named_tokens(roles), **arguments
    )


def _bert(name: str = "BertTokenizer") -> PreTrainedTokenizerBase:
    return _own(name, vocab=wordpieces(BERT), model_max_length=LIMIT)


def _roberta(name: str = "RobertaTokenizer", **arguments: Any) -> PreTrainedTokenizerBase:
    return _own(name, **byte_bpe(ROBERTA, ["<mask>"]), model_max_length=LIMIT, **arguments)


def _deberta() -> PreTrainedTokenizerBase:
    return _own("DebertaTokenizer", **byte_bpe(["[PAD]", "[CLS]", "[SEP]", "[UNK]"], ["[MASK]"]), **_LIMIT)


def _gpt2(end: str = END, **arguments: Any) -> PreTrainedTokenizerBase:
    return _own("GPT2Tokenizer", **byte_bpe(last=[end]), **{"model_max_length": LIMIT} | arguments)


def _opt() -> PreTrainedTokenizerBase:
    roles = {"bos": "</s>", "eos": "</s>", "unk": "</s>", "pad": "<pad>"}
    return _own("GPT2Tokenizer", **byte_bpe(ROBERTA), **named_tokens(roles), add_bos_token=True)


def _neox() -> PreTrainedTokenizerBase:
    return _own("GPTNeoXTokenizer", **byte_bpe([END, "<|padding|>"]))


def _qwen(name: str = "Qwen2Tokenizer") -> PreTrainedTokenizerBase:
    last = [END, "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"]
    last += ["<|image_pad|>", "<|video_pad|>", "<|audio_pad|>", "<|timestamp|>"]
    return _own(name, **byte_bpe(last=last), extra_special_tokens=last[1:], model_max_length=LIMIT)


def _gemma(**arguments: Any) -> PreTrainedTokenizerBase:
    first = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    return _own("GemmaTokenizer", **space_bpe(first), padding_side="left", add_bos_token=True, **arguments)


def _llama2(**pad: str) -> PreTrainedTokenizerBase:
    first = ["<unk>", "<s>", "</s>", *pad.values()]
    return _own("LlamaTokenizer", **space_bpe(first), add_bos_token=True, **named_tokens(pad))


def _llama3(**roles: str) -> PreTrainedTokenizerBase:
    named = {"bos": "<|begin_of_text|>", "eos": "<|end_of_text|>"} | roles
    last = list(dict.fromkeys(named.values()))
    return bytes_like(named, last=last, before=[named["bos"]], model_input_names=_NAMES)


def _albert(name: str = "AlbertTokenizer") -> PreTrainedTokenizerBase:
    first = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    return _own(name, vocab=unigrams(first), model_max_length=LIMIT)


def _xlmr() -> PreTrainedTokenizerBase:
    return _own("XLMRobertaTokenizer", vocab=unigrams(ROBERTA, ["<mask>"]), model_max_length=LIMIT)


def _mbart() -> PreTrainedTokenizerBase:
    from transformers.models.mbart.tokenization_mbart import FAIRSEQ_LANGUAGE_CODES

    return _own("MBartTokenizer", vocab=unigrams(ROBERTA, [*FAIRSEQ_LANGUAGE_CODES, "<mask>"]), model_max_length=LIMIT)


def _t5() -> PreTrainedTokenizerBase:
    extra = [f"<extra_id_{number}>" for number in range(99, -1, -1)]
    return _own("T5Tokenizer", vocab=unigrams(["<pad>", "</s>", "<unk>"], extra), model_max_length=LIMIT)


def _pegasus() -> PreTrainedTokenizerBase:
    machinery = Tokenizer(models.Unigram(unigrams(["<pad>", "</s>", "<s>", "<unk>"], ["[CLS]", "[SEP]", "[MASK]"]), 3))
    machinery.pre_tokenizer = pre_tokenizers.Metaspace()
    machinery.decoder = decoders.Metaspace()
    roles = {"bos": "<s>", "eos": "</s>", "unk": "<unk>", "pad": "<pad>", "cls": "[CLS]", "sep": "[SEP]"}
    special = ["[MASK]"]
    return _templated(machinery, roles, special, [], ["</s>"], model_max_length=LIMIT)


def _umt5() -> PreTrainedTokenizerBase:
    machinery = Tokenizer(models.Unigram(unigrams(["<pad>", "</s>", "<s>", "<unk>"]), 3))
    machinery.pre_tokenizer = pre_tokenizers.Metaspace()
    machinery.decoder = decoders.Metaspace()
    roles = {"bos": "<s>", "eos": "</s>", "unk": "<unk>", "pad": "<pad>"}
    return _templated(machinery, roles, [], [], ["</s>"])


def _xlnet() -> PreTrainedTokenizerBase:
    first = ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"]
    return _own("XLNetTokenizer", vocab=unigrams(first), padding_side="left")


def _markuplm() -> PreTrainedTokenizerBase:
    tags = {tag: number for number, tag in enumerate(["a", "body", "div", "html", "li", "p", "span", "table", "ul"])}
    return _roberta("MarkupLMTokenizer", tags_dict=tags, max_depth=4)


def _modern() -> PreTrainedTokenizerBase:
    last = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "<image>"]
    shape = {"before": ["[CLS]"], "after": ["[SEP]"], "model_input_names": _NAMES}
    return bytes_like(BERT_NAMES, last=last, model_max_length=LIMIT, **shape)


def _ultrabert() -> PreTrainedTokenizerBase:
    """Build one whose single special token opens a text, ends it and pads it."""
    roles = dict.fromkeys(("bos", "eos", "unk", "pad"), END)
    return bytes_like(roles, first=[END], last=["<image>"], before=[END], model_input_names=_NAMES)


def _deepseek() -> PreTrainedTokenizerBase:
    # the bars are full-width, as the family writes them
    roles = {
        "bos": "<\uff5cbegin▁of▁sentence\uff5c>",
        "eos": "<\uff5cend▁of▁sentence\uff5c>",
        "pad": "<\uff5c▁pad▁\uff5c>",
    }
    return bytes_like(roles, first=list(roles.values()), before=[roles["bos"]])


def _glm() -> PreTrainedTokenizerBase:
    last = [END, "[MASK]", "[gMASK]", "<sop>"]
    roles = {"eos": END, "pad": END}
    return bytes_like(roles, last=last, before=["[gMASK]", "<sop>"], padding_side="left")


def _compass() -> PreTrainedTokenizerBase:
    roles = {"pad": "<PAD>", "unk": "<UNK>", "cls": "<CLS>", "sep": "<SEP>", "mask": "<MASK_TOKEN>"}
    roles |= {"bos": "<BOS_TOKEN>", "eos": "<EOS_TOKEN>"}
    return bytes_like(roles, first=list(roles.values()), before=["<BOS_TOKEN>"], after=["<EOS_TOKEN>"])


def _bloom() -> PreTrainedTokenizerBase:
    roles = {"unk": "<unk>", "bos": "<s>", "eos": "</s>", "pad": "<pad>"}
    return bytes_like(roles, first=list(roles.values()), padding_side="left")


def _ends(end: str, **roles: str) -> Callable[[], PreTrainedTokenizerBase]:
    """Build a decoder's byte-level BPE that adds nothing to a text: special tokens come after the pieces."""
    named = {"eos": end} | roles
    return lambda: bytes_like(named, last=list(dict.fromkeys(named.values())), model_input_names=_NAMES)


def _mistral_new() -> PreTrainedTokenizerBase:
    first = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[IMG]", "<pad>"]
    return bytes_like(LLAMA | {"pad": "<pad>"}, first=first, before=["<s>"], padding_side="left")


def _jamba() -> PreTrainedTokenizerBase:
    roles = {"pad": "<|pad|>", "bos": "<|startoftext|>", "eos": END, "unk": "<|unk|>"}
    return spaces_like(roles, first=list(roles.values()), before=["<|startoftext|>"])


def _phi3() -> PreTrainedTokenizerBase:
    roles = {"unk": "<unk>", "bos": "<s>", "eos": END, "pad": END}
    first = ["<unk>", "<s>", "</s>", END]
    return spaces_like(roles, first=first, before=[], padding_side="left", model_max_length=LIMIT)


def _persimmon() -> PreTrainedTokenizerBase:
    end = "|ENDOFTEXT|"
    return spaces_like({"unk": "<unk>", "bos": end, "eos": end}, first=["<unk>", end], before=[end])


def _unigram(name: str, first: Sequence[str], **arguments: Any) -> Callable[[], PreTrainedTokenizerBase]:
    return lambda: _own(name, vocab=unigrams(first), **arguments)


_CAMEMBERT = ("<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>", "<mask>")
_MPNET = ("<s>", "<pad>", "</s>", "[UNK]", "<mask>")
_FUNNEL = ("<pad>", "[unused0]", "<unk>", "<cls>", "<sep>", "<mask>", "<s>", "</s>")

# Which builder makes the tokenizer of which model types.
_BUILT: dict[Callable[[], PreTrainedTokenizerBase], str] = {
    _bert: "bert convbert distilbert electra ernie layoutlm megatron-bert nomic_bert squeezebert bros",
    lambda: _bert("MobileBertTokenizer"): "mobilebert",
    lambda: _bert("LayoutLMv2Tokenizer"): "layoutlmv2",
    lambda: _own("MPNetTokenizer", vocab=wordpieces(_MPNET), **_LIMIT): "mpnet",
    lambda: _own("FunnelTokenizer", vocab=wordpieces(_FUNNEL), **_LIMIT): "funnel",
    _roberta: "bart data2vec-text ibert lilt longformer mra roberta roberta-prelayernorm",
    lambda: _roberta("LayoutLMv3Tokenizer"): "layoutlmv3",
    lambda: _roberta("LukeTokenizer"): "luke",
    lambda: _roberta("MvpTokenizer"): "mvp",
    _markuplm: "markuplm",
    _deberta: "deberta",
    _gpt2: "gpt2 gpt_neo gptj phi starcoder2",
    _opt: "opt",
    _ends(END, bos=END): "gpt_bigcode falcon stablelm",
    _neox: "gpt_neox mpt olmo",
    _ends(END, pad="<|pad|>"): "olmo2 olmo3",
    _qwen: "qwen2 qwen2_moe qwen3 qwen3_moe qwen3_next qwen3_asr",
    lambda: _qwen("Qwen3_5Tokenizer"): "qwen3_5 qwen3_5_text",
    _gemma: "gemma gemma2 gemma3 gemma3_text t5gemma t5gemma2",
    _llama2: "arcee diffllama jetmoe zamba zamba2 helium",
    lambda: spaces_like(LLAMA): "mistral mixtral ministral minicpm3 nemotron",
    _persimmon: "persimmon",
    _llama3: "llama doge axk1 axk2",
    lambda: _llama3(pad="<|im_end|>"): "smollm3",
    lambda: _llama3(pad="<|end_of_text|>", mask="<|mask|>"): "eurobert",
    _deepseek: "deepseek_v2 deepseek_v3",
    _mistral_new: "ministral3 mistral4",
    _phi3: "phi3 phimoe",
    _jamba: "jamba",
    _modern: "modernbert modernbert-decoder modernvbert",
    _ultrabert: "ultrabert ultravbert",
    _glm: "glm glm4",
    _compass: "cohere_compass_text",
    _bloom: "bloom apertus",
    _ends("[|endofturn|]", bos="[BOS]", pad="[PAD]", unk="[UNK]"): "exaone4",
    _ends("<|return|>", bos="<|startoftext|>", pad=END): "gpt_oss",
    _ends(END, pad=END): "openai_privacy_filter",
    _ends("<|eos|>", bos="<|startoftext|>", pad="<|pad|>"): "hunyuan_v1_dense hunyuan_v1_moe",
    _ends("<end_of_document>", bos="<beginning_of_sentence>", unk="<end_of_document>"): "minimax",
    _ends("<seed:eos>", bos="<seed:bos>", pad="<seed:pad>"): "seed_oss",
    _albert: "albert yoso",
    lambda: _plain(_albert(), **_LIMIT): "nystromformer",
    _unigram("FNetTokenizer", ("<unk>", "<s>", "</s>", "<pad>", "[CLS]", "[SEP]", "[MASK]"), **_LIMIT): "fnet",
    _unigram("RemBertTokenizer", ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"), **_LIMIT): "rembert",
    _unigram("DebertaV2Tokenizer", ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")): "deberta-v2",
    _unigram("BigBirdTokenizer", ("<pad>", "</s>", "<s>", "<unk>", "[CLS]", "[SEP]", "[MASK]"), **_LIMIT): "big_bird",
    _unigram("CamembertTokenizer", _CAMEMBERT, **_LIMIT): "camembert",
    _xlmr: "xlm-roberta xmod gte jina_embeddings_v3",
    lambda: _plain(_xlmr(), **_LIMIT): "xlm-roberta-xl",
    _mbart: "mbart",
    _t5: "t5 mt5",
    _umt5: "umt5",
    _pegasus: "bigbird_pegasus",
    _xlnet: "xlnet",
    lambda: _own("ReformerTokenizer", **space_bpe(["<unk>", "<s>", "</s>"]), **_LIMIT): "reformer",
    lambda: _own("OpenAIGPTTokenizer", **end_bpe(["<unk>"]), **_LIMIT): "openai-gpt",
    lambda: _own("CanineTokenizer", **_LIMIT): "canine",
    lambda: _own("PerceiverTokenizer", **_LIMIT): "perceiver",
    lambda: _own("EsmcTokenizer", **_LIMIT): "esmc",
}
_BUILDERS = {model_type: builder for builder, model_types in _BUILT.items() for model_type in model_types.split()}


def write_tokenizer(model_type: str, folder: Path) -> Codes:
    """Write the tokenizer files of a family into a folder and say how many codes it has, and which are special."""
    if model_type in FILES:
        return write_files(FILES[model_type], folder)
    tokenizer = _BUILDERS[model_type]()
    tokenizer.save_pretrained(folder)
    special = {role: getattr(tokenizer, f"{role}_token_id") for role in ROLES}
    return Codes(len(tokenizer), special, tokenizer.get_vocab())
