"""Let a tokenizer encode a word as it encodes it inside a text.

Byte-level BPE marks the beginning of a word by the space before it, which single words lack. So where words are tagged, a space
is put before each word and before each text. The tokenizer is changed once, in download: every later stage and whoever uses
the exported model have the same one.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tokenizers import Tokenizer

from stages.columns.names import SPACE_BEFORE_WORDS
from stages.pipeline.json_files import read_json
from stages.pipeline.paths import TOKENIZER_CONFIG, TOKENIZER_JSON

_WORDS = ("The", "a", "don't", "x1", "U.S.", "and")
"""Words on which a tokenizer shows whether it takes words as it takes texts."""


@dataclass(frozen=True)
class _Form:
    """A changed tokenizer."""

    content: Mapping[str, Any]
    """Its `tokenizer.json`."""
    settings: Mapping[str, object]
    """What is added to its `tokenizer_config.json`."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer."""
        return Tokenizer.from_str(json.dumps(self.content))


def write_for_words(folder: Path, config: Path) -> None:
    """Change the tokenizer in the folder. `config`: the model's `config.json`, by which transformers chooses a tokenizer's class.

    The first form that encodes words as texts hold them, and that transformers loads as it is written, is taken. transformers
    builds the tokenizers of some families anew. Such a one stays as it is, and the encoder is told to put the space before words.
    """
    content = read_json(folder / TOKENIZER_JSON)
    unchanged = Tokenizer.from_str(json.dumps(content))
    if _takes_words_as_text(unchanged, unchanged):
        return
    forms = [form for form in _with_space_before_words(content) if _takes_words_as_text(form.tokenizer, unchanged)]
    for form in forms:
        with TemporaryDirectory() as written:
            shutil.copytree(folder, written, dirs_exist_ok=True)
            shutil.copyfile(config, Path(written, config.name))
            _write(form, Path(written))
            if _is_loaded_as_written(Path(written), form.tokenizer):
                _write(form, folder)
                return
    if forms:
        _write(_Form(content, {SPACE_BEFORE_WORDS: True}), folder)


def _with_space_before_words(content: Mapping[str, Any]) -> Iterator[_Form]:
    """Yield forms that put a space before words: by `add_prefix_space`, or by a normalizer before or behind the others."""
    pre_tokenizer, normalizer = content["pre_tokenizer"] or {}, content["normalizer"]
    parts = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    with_prefix = [{**part, "add_prefix_space": True} if part.get("type") == "ByteLevel" else part for part in parts]
    in_pre_tokenizer = (
        {**pre_tokenizer, "pretokenizers": with_prefix} if "pretokenizers" in pre_tokenizer else with_prefix[0]
    )
    if with_prefix != parts:
        yield _Form({**content, "pre_tokenizer": in_pre_tokenizer}, {"add_prefix_space": True})
    normalizers = [] if normalizer is None else normalizer.get("normalizers", [normalizer])
    prepend = {"type": "Prepend", "prepend": " "}
    for order in ([*normalizers, prepend], [prepend, *normalizers]):
        yield _Form({**content, "normalizer": {"type": "Sequence", "normalizers": order}}, {})


def _takes_words_as_text(tokenizer: Tokenizer, inside_text: Tokenizer) -> bool:
    """Return whether a tokenizer gives words the codes that `inside_text` gives them behind another word."""
    unknown = _unknown(inside_text)
    for first, second in pairwise(_WORDS):
        whole, before = _encode(inside_text, f"{first} {second}"), _encode(inside_text, first)
        expected = whole[len(before) :] if whole[: len(before)] == before else []
        if not expected or (expected[0] == unknown and len(expected) > 1):
            return False  # the space itself is unknown to it, as where letters stand for amino acids
        alone, together = _encode(tokenizer, [second]), _encode(tokenizer, [first, second])
        if not alone == _encode(tokenizer, second) == together[-len(expected) :] == expected:
            return False
    return True


def _unknown(tokenizer: Tokenizer) -> int | None:
    """Return the code of the unknown sub-word."""
    model = json.loads(tokenizer.to_str())["model"]
    token = model.get("unk_token")
    code: int | None = model.get("unk_id") if token is None else tokenizer.token_to_id(token)
    return code


def _is_loaded_as_written(folder: Path, tokenizer: Tokenizer) -> bool:
    """Return whether transformers makes the same tokenizer of the folder: it builds those of some families anew."""
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(folder, trust_remote_code=False).backend_tokenizer
    text = " ".join(_WORDS)
    return all(_encode(loaded, each) == _encode(tokenizer, each) for each in (text, [*_WORDS]))


def _encode(tokenizer: Tokenizer, text: str | Sequence[str]) -> list[int]:
    encoding = tokenizer.encode(text, is_pretokenized=not isinstance(text, str), add_special_tokens=False)
    codes: list[int] = encoding.ids
    return codes


def _write(form: _Form, folder: Path) -> None:
    for name, content in (
        (TOKENIZER_JSON, form.content),
        (TOKENIZER_CONFIG, {**read_json(folder / TOKENIZER_CONFIG), **form.settings}),
    ):
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
