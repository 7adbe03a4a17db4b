"""The pretrained model and its tokenizer, copied to where the later stages read them."""

import importlib.util
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from stages.configuration.schema import FilesModel, HubModel, ModelConfig, PackageModel
from stages.pipeline.digests import sha256_of
from stages.pipeline.errors import ModelError
from stages.pipeline.json_files import read_json
from stages.sources.hub import CONFIG, WEIGHTS, fetch_model

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_TOKENIZER_CONFIG = "tokenizer_config.json"
_PADDING = "[PAD]"
_POSITIONS_BEHIND_PADDING = frozenset({
    "camembert", "data2vec-text", "esm", "ibert", "longformer", "luke", "mluke", "mpnet", "roberta", "roberta-prelayernorm",
    "xlm-roberta", "xlm-roberta-xl", "xmod",
})  # fmt: skip
"""The model types whose positions begin after the padding sub-word's code."""
_NO_LIMIT = 1_000_000
"""transformers writes a `model_max_length` above this for a tokenizer that states none."""


def write_base_model(config: ModelConfig, weights: Path, tokenizer: Path) -> str:
    """Write `config.json` and `model.safetensors` to `weights` and the canonical tokenizer to `tokenizer`.

    Returns the weights' SHA-256. Raises ModelError if the model is incomplete, is not the one that `model.sha256`
    names, needs code of its own, or has a tokenizer without a fast implementation.
    """
    folder = _locate(config)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ModelError(
                f"model={config.name}: has no {name}; Stagewright loads safetensors only, never pickled weights: where you "
                "trust those, load the model with transformers and save it anew, which writes safetensors"
            )
    _refuse_own_code(config.name, folder)
    digest = sha256_of(folder / WEIGHTS)
    if config.sha256 not in (None, digest):
        raise ModelError(
            f"model={config.name}: {WEIGHTS} has SHA-256 {digest}, but model.sha256={config.sha256}; "
            "fetch the right file, or set model.sha256 if you trust this one"
        )
    weights.mkdir(parents=True)
    for name in (CONFIG, WEIGHTS):
        shutil.copyfile(folder / name, weights / name)
    tokenizer.mkdir(parents=True)
    _write_tokenizer(config.name, folder, tokenizer)
    return digest


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
    for file in (CONFIG, _TOKENIZER_CONFIG):
        if (folder / file).is_file() and "auto_map" in read_json(folder / file):
            raise ModelError(
                f"model={name}: its {file} asks for code of its own (auto_map), and code that comes with a model is never "
                "run; choose a model that transformers has itself, or take auto_map out of a copy and use model=files"
            )
    from transformers import CONFIG_MAPPING

    kind = read_json(folder / CONFIG).get("model_type")
    if kind not in CONFIG_MAPPING:
        raise ModelError(
            f"model={name}: its {CONFIG} says model_type={kind}, which transformers does not have; choose another"
        )


def _write_tokenizer(name: str, source: Path, target: Path) -> None:
    """Write the tokenizer in one form, whatever form it came in.

    Two models with the same vocabulary and rules get the same bytes, and so share the tokenized data. Truncation and
    padding are taken out of `tokenizer.json` (MiniLM's cuts at 128).
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"model={name}: its tokenizer can't be loaded ({error})") from error
    if not tokenizer.is_fast:
        raise ModelError(
            f"model={name}: its tokenizer has no fast implementation (tokenizer.json); choose a model that has"
        )
    if tokenizer.vocab_size <= len(
        tokenizer.all_special_ids
    ):  # transformers returns this for a folder without a tokenizer
        raise ModelError(f"model={name}: has no tokenizer; put its tokenizer.json or vocabulary beside the weights")
    if tokenizer.pad_token is None:  # as in GPT-2; the train stage adds an embedding for it
        tokenizer.add_special_tokens({"pad_token": _PADDING})
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.save(str(target / "tokenizer.json"), pretty=True)
    _require_embeddings(name, backend, str(tokenizer.pad_token), source)
    settings: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    settings["model_max_length"] = _max_length(tokenizer.model_max_length, source)
    settings |= {
        token: str(value) for token in _SPECIAL_TOKENS if (value := getattr(tokenizer, token, None)) is not None
    }
    (target / _TOKENIZER_CONFIG).write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _require_embeddings(name: str, backend: "Tokenizer", padding: str, source: Path) -> None:
    """Raise ModelError for a tokenizer with more sub-words than the model has embeddings: it belongs to another model."""
    embeddings = read_json(source / CONFIG).get("vocab_size", _NO_LIMIT)
    largest, subword = max(
        (code, subword) for subword, code in backend.get_vocab(with_added_tokens=True).items() if subword != padding
    )
    if largest >= embeddings:
        raise ModelError(
            f"model={name}: its tokenizer has sub-word {largest} ({subword!r}), but the model only {embeddings} embeddings; "
            "put the model's own tokenizer beside its weights"
        )


def _max_length(stated: int, source: Path) -> int:
    """Return how many sub-words the model takes: what the tokenizer states, within the model's own positions."""
    config = read_json(source / CONFIG)
    positions = config.get("max_position_embeddings") or _NO_LIMIT
    if config.get("model_type") in _POSITIONS_BEHIND_PADDING:
        positions -= config.get("pad_token_id", 1) + 1  # their positions begin after the padding index
    return int(min(stated, positions))
