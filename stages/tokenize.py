"""Tokenize: the canonical data set to rows of sub-words, nothing padded, every word aligned to its label."""

from stages.configuration.run_stage import params_or_exit, run_stage

if __name__ == "__main__":
    PARAMS = params_or_exit()

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, Features
from numpy.typing import NDArray

from stages.columns.arrays import quantiles
from stages.columns.names import EXAMPLE, INPUT_IDS, SUBWORDS
from stages.configuration.schema import SPLITS, Split, TokenizeStage
from stages.pipeline.arrow import read_batches, read_features, write_splits
from stages.pipeline.errors import DataError
from stages.pipeline.findings import Findings, Kind, Kinds
from stages.pipeline.json_files import Json, write_json
from stages.pipeline.paths import BASE_TOKENIZER, RAW_DATA, TOKENIZE_METRICS, TOKENIZED_DATA
from stages.tasks.encoding.encodings import Encoding, encoding_for
from stages.tasks.encoding.subwords import SubwordEncoder

log = logging.getLogger("stages.tokenize")


KINDS: Kinds = {
    "unknown_subwords": Kind("warning", "sub-words are unknown to the model"),
    "lost_words": Kind("warning", "words give no sub-word, and the model is shown an unknown one in their place"),
}
"""The findings of this stage. Download, which has all others, would have to tokenize all of the data for them once more."""
_MANY = 0.02
"""The share that is a finding. Under an English vocabulary tweets with their emoji have a tenth of it out of the vocabulary,
reviews nothing, Korean 8 % and Chinese 60 %."""


def tokenize(config: TokenizeStage) -> None:
    """Write `data/tokenized/` and `metrics/tokenize.json`. Raises DataError for findings that `data.fail_on` refuses."""
    encoding = encoding_for(config.kind)
    raw = {name: read_features(RAW_DATA, name) for name in SPLITS}  # validation and test may have labels of their own
    _require_columns(raw["train"], encoding, config.kind)
    encoder = SubwordEncoder(BASE_TOKENIZER, config.tokenize.max_length)
    features: dict[str, Features] = {name: encoding.features(columns, encoder) for name, columns in raw.items()}
    words: dict[Split, _Words] = {name: _Words() for name in SPLITS}
    splits: dict[str, Iterator[pa.Table]] = {
        name: _tokenize_split(name, encoding, encoder, config, features[name], words[name]) for name in SPLITS
    }
    write_splits(splits, features, TOKENIZED_DATA)
    findings = Findings(KINDS)
    described: dict[str, Json] = {name: _describe(name, encoder, words[name], findings) for name in SPLITS}
    findings.log(log)
    findings.stop_on(config.fail_on, str(RAW_DATA), "choose a model of the data's language")
    write_json(TOKENIZE_METRICS, {**described, "findings": findings.to_json()})


@dataclass
class _Words:
    """The words of a split that were encoded one by one."""

    all: int = 0
    lost: int = 0
    """Those without a sub-word."""


def _tokenize_split(
    name: Split,
    encoding: Encoding,
    encoder: SubwordEncoder,
    config: TokenizeStage,
    features: Features,
    words: _Words,
) -> Iterator[pa.Table]:
    """Yield the rows of a split, batch by batch, so that memory does not grow with the data. Adds to `words`."""
    first_example = 0
    for batch in read_batches(RAW_DATA, name):
        before, lost_before = encoder.words, encoder.lost_words
        columns = encoding.encode(_as_split(batch), encoder, config.tokenize, first_example=first_example)
        words.all += encoder.words - before
        words.lost += encoder.lost_words - lost_before
        yield pa.table(columns, schema=features.arrow_schema)
        first_example += batch.num_rows


def _as_split(batch: pa.RecordBatch) -> Dataset:
    return Dataset(pa.Table.from_batches([batch]), fingerprint="batch")  # else datasets takes a digest of all rows


def _require_columns(raw: Features, encoding: Encoding, kind: str) -> None:
    missing = [column for column in encoding.takes if column not in raw]
    if missing:
        raise DataError(
            f"{RAW_DATA}: has no column {missing[0]}, which task.kind={kind} takes; run `dvc repro` from download on"
        )


@dataclass(frozen=True)
class _Rows:
    """The rows that a split has become. Arrays have shape [rows]."""

    examples: NDArray[np.int64]
    """The example of each row."""
    of_example: NDArray[np.int64]
    """The sub-words of the whole example."""
    lengths: NDArray[np.int64]
    """The sub-words of the row."""
    of_text: int
    """The sub-words of all rows that are not special. 0 for a model without an unknown sub-word."""
    unknown: int
    """Those that are the unknown one."""


def _read_rows(name: Split, encoder: SubwordEncoder) -> _Rows:
    unknown, of_text = 0, 0
    special = np.concatenate(encoder.template.special)
    columns: dict[str, list[NDArray[np.int64]]] = {EXAMPLE: [], SUBWORDS: [], INPUT_IDS: []}
    for batch in read_batches(TOKENIZED_DATA, name):
        for column in (EXAMPLE, SUBWORDS):
            columns[column].append(batch[column].to_numpy().astype(np.int64))  # a view would keep the whole batch
        if encoder.unknown_id is not None:
            ids = pc.list_flatten(batch[INPUT_IDS]).to_numpy()
            unknown += int((ids == encoder.unknown_id).sum())
            of_text += int((~np.isin(ids, special)).sum())
        columns[INPUT_IDS].append(pc.list_value_length(batch[INPUT_IDS]).to_numpy().astype(np.int64))
    examples, of_example, lengths = (np.concatenate([np.zeros(0, np.int64), *parts]) for parts in columns.values())
    return _Rows(examples, of_example, lengths, of_text, unknown)


def _describe(name: Split, encoder: SubwordEncoder, words: _Words, findings: Findings) -> Json:
    """Return what `metrics/tokenize.json` holds of a split: counts of rows, examples and sub-words. Adds to `findings`."""
    rows = _read_rows(name, encoder)
    for code, count, total in (("unknown_subwords", rows.unknown, rows.of_text), ("lost_words", words.lost, words.all)):
        if count > _MANY * total:
            findings.add(code, name, count, of=total)
    _, first_row, windows = np.unique(rows.examples, return_index=True, return_counts=True)
    per_example = rows.of_example[first_row]
    longer = int((per_example > encoder.max_length).sum())
    share = longer / max(1, len(per_example))
    if longer:
        log.info("%s: %.1f %% of examples are longer than %d sub-words", name, 100 * share, encoder.max_length)
    return {
        "rows": len(rows.lengths),
        "examples_longer_than_a_row": longer,
        "share_longer_than_a_row": share,
        "examples_in_windows": int((windows > 1).sum()),
        "subwords": int(rows.lengths.sum()),
        "unknown_subwords": rows.unknown,
        "words_without_subword": words.lost,
        "subwords_per_example": quantiles(per_example),
    }


if __name__ == "__main__":
    run_stage(tokenize, TokenizeStage, PARAMS)
