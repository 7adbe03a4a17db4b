"""Write by hand the files of the tokenizers that are slow, or that need a package which need not be here.

They are as they are on the Hub, and the family's class reads them where it can.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.architectures.vocabularies import LIMIT, counted_words, end_bpe, numbered, unigrams, wordpieces

ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
BERT = ("[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA = ("<s>", "<pad>", "</s>", "<unk>")
LLAMA = {"unk": "<unk>", "bos": "<s>", "eos": "</s>"}
BERT_NAMES = {"unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]"}
END = "<|endoftext|>"


@dataclass(frozen=True)
class Codes:
    """What a model's configuration must know of its tokenizer."""

    size: int
    special: dict[str, int | None]  # by role: bos, eos, unk, sep, pad, cls, mask
    by_token: dict[str, int]


def named_tokens(roles: dict[str, str]) -> dict[str, str]:
    """Name special tokens as a tokenizer's arguments do."""
    return {f"{role}_token": token for role, token in roles.items()}


def _lines(file: Path, lines: Iterable[str]) -> None:
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _json(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _bert_files(folder: Path) -> dict[str, int]:
    vocabulary = wordpieces(BERT)
    _lines(folder / "vocab.txt", vocabulary)
    return vocabulary


def _roc_bert_files(folder: Path) -> dict[str, int]:
    vocabulary = _bert_files(folder)
    for kind in ("shape", "pronunciation"):
        _json(folder / f"word_{kind}.json", {piece: code % 40 for piece, code in vocabulary.items()})
    return vocabulary


def _esm_files(folder: Path) -> dict[str, int]:
    acids = "LAGVSERTIDPKQNFYMHWCXBUZO"
    words = [word for word, _ in counted_words()]  # no protein has them, but a test's texts do
    vocabulary = numbered(["<cls>", "<pad>", "<eos>", "<unk>"], acids, ".-", ["<null_1>", "<mask>"], words)
    _lines(folder / "vocab.txt", vocabulary)
    return vocabulary


def _merged_files(first: Sequence[str]) -> Callable[[Path], dict[str, int]]:
    def write(folder: Path) -> dict[str, int]:
        pieces = end_bpe(first)
        _json(folder / "vocab.json", pieces["vocab"])
        _lines(folder / "merges.txt", [*(f"{left} {right} 1" for left, right in pieces["merges"])])
        return dict(pieces["vocab"])

    return write


def _ctrl_files(folder: Path) -> dict[str, int]:
    """Write CTRL's: a piece that goes on ends in @@, and the merges file begins with its version."""
    pieces = end_bpe(["<unk>"])
    marked = (piece.removesuffix("</w>") if piece.endswith("</w>") else f"{piece}@@" for piece in pieces["vocab"])
    vocabulary = numbered(["<unk>"], (piece for piece in marked if piece != "<unk>@@"))
    _json(folder / "vocab.json", vocabulary)
    _lines(folder / "merges.txt", ["#version: 0.2", *(" ".join(pair) for pair in pieces["merges"])])
    return vocabulary


def _sentencepiece_files(name: str, special: Sequence[str]) -> Callable[[Path], dict[str, int]]:
    """Write a SentencePiece model by its protocol buffer, which needs no sentencepiece."""

    def write(folder: Path) -> dict[str, int]:
        from transformers.utils import sentencepiece_model_pb2_new as proto

        model = proto.ModelProto()  # type: ignore[attr-defined]
        model.trainer_spec.model_type = 1
        model.trainer_spec.unk_id = special.index("<unk>")
        model.normalizer_spec.name = "identity"
        for piece, score in unigrams(special):
            kind = 2 if piece == "<unk>" else 3 if piece in special else 1
            model.pieces.add(piece=piece, score=score, type=kind)
        (folder / name).write_bytes(model.SerializeToString())
        return numbered(piece.piece for piece in model.pieces)

    return write


@dataclass(frozen=True)
class Files:
    """How a family's tokenizer files are written."""

    name: str
    write: Callable[[Path], dict[str, int]]
    roles: dict[str, str]
    moved: int = 0  # how far the class moves a file's codes, and the codes it adds
    needs: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)


_XLM_SPECIAL = ("<s>", "</s>", "<pad>", "<unk>", *(f"<special{number}>" for number in range(10)))
_XLM = {"bos": "<s>", "cls": "</s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<special1>"}
_FAIRSEQ = LLAMA | {"pad": "<pad>", "cls": "<s>", "sep": "</s>"}
_ESM = {"cls": "<cls>", "pad": "<pad>", "eos": "<eos>", "unk": "<unk>", "mask": "<mask>"}
FILES: dict[str, Files] = {
    "biogpt": Files("BioGptTokenizer", _merged_files(ROBERTA), _FAIRSEQ, needs="sacremoses"),
    "ctrl": Files("CTRLTokenizer", _ctrl_files, {"unk": "<unk>"}),
    "esm": Files("EsmTokenizer", _esm_files, _ESM),
    "flaubert": Files("FlaubertTokenizer", _merged_files(_XLM_SPECIAL), _XLM, needs="sacremoses"),
    "gpt-sw3": Files(
        "GPTSw3Tokenizer",
        _sentencepiece_files("spiece.model", ["<pad>", "<unk>", "<s>", END]),
        {"pad": "<pad>", "unk": "<unk>", "bos": END, "eos": END},
        needs="sentencepiece",
    ),
    "plbart": Files(
        "PLBartTokenizer",
        _sentencepiece_files("sentencepiece.bpe.model", ["<unk>", "<s>", "</s>"]),
        _FAIRSEQ,
        moved=8,
        needs="sentencepiece",
        arguments={"language_codes": "base"},
    ),
    "roc_bert": Files("RoCBertTokenizer", _roc_bert_files, BERT_NAMES),
    "roformer": Files("RoFormerTokenizer", _bert_files, BERT_NAMES, needs="rjieba"),
    "tapas": Files("TapasTokenizer", _bert_files, BERT_NAMES),
    "xlm": Files("XLMTokenizer", _merged_files(_XLM_SPECIAL), _XLM, needs="sacremoses"),
}

NEEDS: dict[str, str] = {model_type: files.needs for model_type, files in FILES.items() if files.needs}
"""The package without which a family's own tokenizer cannot be read (its files are written all the same)."""


def write_files(files: Files, folder: Path) -> Codes:
    """Write a family's tokenizer files and say what codes they give."""
    codes = files.write(folder)
    named = named_tokens(files.roles)
    _json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": files.name, "model_max_length": LIMIT, **named, **files.arguments},
    )
    _json(folder / "special_tokens_map.json", named)
    if files.name == "PLBartTokenizer":  # its class renames the first four, and adds three languages and a mask
        codes = {piece: code + 1 for piece, code in codes.items()} | {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    special = {role: codes[files.roles[role]] if role in files.roles else None for role in ROLES}
    return Codes(max(codes.values()) + 1 + files.moved, special, codes)
