"""The pretrained model and its tokenizer, copied to where the later stages read them."""

import hashlib
import importlib.util
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from stages.configuration.hydra_plugins.fingerprint import model_fingerprint
from stages.configuration.schema import FilesModel, HubModel, ModelConfig, PackageModel
from stages.pipeline.digests import sha256_of
from stages.pipeline.errors import ModelError, first_line
from stages.pipeline.json_files import read_json
from stages.pipeline.paths import PARAMS, TOKENIZER_CONFIG, TOKENIZER_JSON
from stages.sources.hub import CONFIG, WEIGHTS, WEIGHTS_INDEX, fetch_model, shards_of
from stages.sources.word_tokenizer import write_for_words

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_PADDING = "<|stagewright_pad|>"
"""The padding sub-word of a tokenizer that has none: no text has it."""
_POSITIONS_BEHIND_PADDING = frozenset({
    "camembert", "data2vec-text", "esm", "ibert", "longformer", "luke", "mluke", "mpnet", "roberta", "roberta-prelayernorm",
    "xlm-roberta", "xlm-roberta-xl", "xmod",
})  # fmt: skip
"""The model types whose positions begin after the padding sub-word's code."""
_POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length")
"""What configurations call the number of a model's positions."""
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_TEXT = "A short text."
_NO_LIMIT = 1_000_000
"""transformers writes a `model_max_length` above this for a tokenizer that states none."""


def write_base_model(config: ModelConfig, weights: Path, tokenizer: Path, *, for_words: bool = False) -> str:
    """Write `config.json` and the safetensors files to `weights` and the canonical tokenizer to `tokenizer`.

    `for_words`: the tokenizer is given words, and encodes each as inside a text. Returns the weights' SHA-256: of several files,
    that of their list as `sha256sum` prints it. Raises ModelError if the model is incomplete, is not the one that
    `model.sha256` names, needs code of its own, or has no usable tokenizer.
    """
    folder = _locate(config)
    if isinstance(config, FilesModel):
        _require_fingerprint(config)
    files = _weight_files(config.name, folder)
    _refuse_own_code(config.name, folder)
    digest = _digest(folder, files)
    if config.sha256 not in (None, digest):
        what = files[0] if len(files) == 1 else f"the list of {files[0]} and its {len(files) - 1} files"
        raise ModelError(
            f"model={config.name}: {what} has SHA-256 {digest}, but model.sha256={config.sha256}; "
            "fetch the right file, or set model.sha256 if you trust this one"
        )
    weights.mkdir(parents=True)
    for name in (CONFIG, *files):
        shutil.copyfile(folder / name, weights / name)
    tokenizer.mkdir(parents=True)
    is_whole = _write_tokenizer(config.name, folder, tokenizer)
    if for_words and is_whole:
        write_for_words(tokenizer, folder / CONFIG)
    return digest


def limit_rows(tokenizer: Path, longest: int) -> None:
    """Note in a tokenizer's folder that the model takes rows of `longest` sub-words at most."""
    path = tokenizer / TOKENIZER_CONFIG
    settings = read_json(path)
    if longest < settings["model_max_length"]:
        _write_settings(path, {**settings, "model_max_length": longest})


def _require_fingerprint(config: FilesModel) -> None:
    """Raise ModelError if the folder has changed since the parameters were composed. DVC would take this model for that."""
    if config.fingerprint is not None and model_fingerprint(config.path) != config.fingerprint:
        raise ModelError(
            f"model.fingerprint={config.fingerprint}: the files have changed since {PARAMS} was composed; compose it again "
            "(`stagewright run`, or `stagewright compose` with your overrides), or set model.fingerprint=null to accept any"
        )


def _weight_files(name: str, folder: Path) -> list[str]:
    """Return the names of the safetensors files: one, or an index and the files that it names."""
    if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    if (folder / CONFIG).is_file() and (folder / WEIGHTS_INDEX).is_file():
        shards = shards_of(folder / WEIGHTS_INDEX)
        missing = [shard for shard in shards if not (folder / shard).is_file()]
        if missing:
            raise ModelError(f"model={name}: has no {missing[0]}, which its {WEIGHTS_INDEX} names; fetch it as well")
        return [WEIGHTS_INDEX, *shards]
    lacking = WEIGHTS if (folder / CONFIG).is_file() else CONFIG
    raise ModelError(
        f"model={name}: has no {lacking}; Stagewright loads safetensors only, never pickled weights: if you "
        "trust those, load the model with transformers and save it again, which writes safetensors"
    )


def _digest(folder: Path, files: Sequence[str]) -> str:
    digests = [sha256_of(folder / name) for name in files]
    if len(files) == 1:
        return digests[0]
    listed = "".join(f"{digest}  {name}\n" for digest, name in zip(digests, files, strict=True))
    return hashlib.sha256(listed.encode()).hexdigest()


def _locate(config: ModelConfig) -> Path:
    """Return the folder that holds the model. A package is not imported: it must not run code here."""
    match config:
        case PackageModel():
            is_nested = "." in config.package  # to find a module inside a package, Python imports the package
            found = None if is_nested else importlib.util.find_spec(config.package)
            if found is None or found.origin is None:
                raise ModelError(
                    f"model.package={config.package}: is not installed; run `make install`, or choose another model with "
                    "model=..."
                )
            return Path(found.origin).parent / config.folder
        case FilesModel():
            path = Path(config.path)
            if not path.is_dir():
                raise ModelError(
                    f"model.path={config.path}: there is no such folder; give one that save_pretrained wrote"
                )
            return path
        case HubModel():
            return fetch_model(config)
        case _:
            assert_never(config)


def _refuse_own_code(name: str, folder: Path) -> None:
    """Raise ModelError if the model needs code of its own, or a model type that transformers does not have.

    Code that comes with a model is never run. Without it, transformers may build another model from the weights.
    """
    for file in (CONFIG, TOKENIZER_CONFIG):
        if (folder / file).is_file() and "auto_map" in read_json(folder / file):
            raise ModelError(
                f"model={name}: its {file} needs code that comes with the model (auto_map), which is never run; choose a model "
                "that transformers supports itself, or remove auto_map from a copy and use model=files"
            )
    from transformers import CONFIG_MAPPING

    kind = read_json(folder / CONFIG).get("model_type")
    if kind not in CONFIG_MAPPING:
        raise ModelError(
            f"model={name}: its {CONFIG} says model_type={kind}, which transformers does not have; choose another"
        )


def _write_tokenizer(name: str, source: Path, target: Path) -> bool:
    """Write the tokenizer in one form, whatever form it came in. Return whether `tokenizer.json` holds all of it.

    Two models with the same vocabulary and rules get the same bytes, and so share the tokenized data. Truncation and
    padding are taken out of `tokenizer.json` (MiniLM's cuts at 128). A tokenizer that is written in Python keeps its own files.
    """
    tokenizer = _tokenizer(name, source)
    if tokenizer.pad_token is None:  # as in GPT-2; the train stage adds an embedding for it
        tokenizer.add_special_tokens({"pad_token": _PADDING})
    is_whole = tokenizer.is_fast and _is_written_whole(tokenizer.backend_tokenizer, target / TOKENIZER_JSON)
    settings: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    if not is_whole:
        tokenizer.save_pretrained(target)
        settings = read_json(target / TOKENIZER_CONFIG)
    _require_embeddings(name, tokenizer.get_vocab(), str(tokenizer.pad_token), source)
    settings["model_max_length"] = _max_length(tokenizer.model_max_length, source)
    settings |= {
        token: str(value) for token in _SPECIAL_TOKENS if (value := getattr(tokenizer, token, None)) is not None
    }
    if tokenizer.padding_side != "right":
        settings["padding_side"] = tokenizer.padding_side
    _write_settings(target / TOKENIZER_CONFIG, settings)
    return is_whole


def _is_written_whole(backend: "Tokenizer", path: Path) -> bool:
    """Write a tokenizer without truncation and padding. Return False if a part of it is written in Python, as RoFormer's is."""
    backend.no_truncation()
    backend.no_padding()
    try:
        backend.save(str(path), pretty=True)
    except Exception as error:  # the library raises nothing narrower
        if "cannot be serialized" not in str(error):
            raise
        return False
    return True


def _tokenizer(name: str, source: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except Exception as error:  # each family's tokenizer raises errors of its own
        raise ModelError(f"model={name}: its tokenizer can't be loaded ({first_line(error)})") from error
    # for a folder without a tokenizer transformers returns one that has special tokens alone
    if tokenizer.vocab_size <= len(tokenizer.all_special_ids):
        raise ModelError(f"model={name}: has no tokenizer; put its tokenizer.json or vocabulary beside the weights")
    _require_plain_texts(name, tokenizer)
    return tokenizer


def _require_plain_texts(name: str, tokenizer: Any) -> None:
    """Raise ModelError for a tokenizer that takes more than a text, or gives more than sub-words: boxes, tables, shapes."""
    try:
        given = tokenizer(_TEXT)
    except Exception as error:
        raise ModelError(
            f"model={name}: its tokenizer takes more than a text ({first_line(error)}); choose another model"
        ) from error
    others = sorted(
        key for key, values in given.items() if key not in _INPUTS or not all(isinstance(each, int) for each in values)
    )
    if others:
        raise ModelError(
            f"model={name}: takes more than sub-words ({', '.join(others)}), which is not supported; choose another model"
        )


def _write_settings(path: Path, settings: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _require_embeddings(name: str, vocabulary: Mapping[str, int], padding: str, source: Path) -> None:
    """Raise ModelError for a tokenizer with more sub-words than the model has embeddings: it belongs to another model."""
    embeddings = read_json(source / CONFIG).get("vocab_size") or sys.maxsize
    codes = ((code, subword) for subword, code in vocabulary.items() if subword != padding)
    largest, subword = max(codes, default=(0, ""))
    if largest >= embeddings:
        raise ModelError(
            f"model={name}: its tokenizer has sub-word {largest} ({subword!r}), but the model only {embeddings} embeddings; "
            "put the model's own tokenizer beside its weights"
        )


def _max_length(stated: int, source: Path) -> int:
    """Return how many sub-words the model takes: what the tokenizer states, within the model's own positions."""
    config = read_json(source / CONFIG)
    positions = min((config.get(key) or _NO_LIMIT for key in _POSITIONS), default=_NO_LIMIT)
    if config.get("model_type") in _POSITIONS_BEHIND_PADDING:
        padding = config.get("pad_token_id")
        positions -= (1 if padding is None else padding) + 1  # their positions begin after the padding index
    return int(min(stated, positions))
