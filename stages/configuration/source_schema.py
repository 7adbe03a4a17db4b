"""The groups `data` and `model` of the configuration: where they come from, each key typed, with its meaning below it."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from stages.configuration.kinds import known_kind
from stages.pipeline.findings import FailOn


def known_fold(fold: str) -> str:
    """Return `fold`. Raises ValueError unless it is a part and the number of parts, such as `2/5`."""
    part, slash, parts = fold.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts) and int(parts) > 1):
        raise ValueError("must be a part and the number of parts, such as 2/5")
    return fold


Kind = Annotated[str, AfterValidator(known_kind)]
Target = Literal["label", "labels", "number"]
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Revision = Annotated[str, StringConstraints(pattern="^[0-9a-f]{40}$")]
Name = Annotated[str, StringConstraints(min_length=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Fingerprint = Annotated[str, StringConstraints(pattern="^sha256-[0-9a-f]{16}$")]
Sha256s = Sha256 | Annotated[list[Sha256], Field(min_length=1)]
Fold = Annotated[str, AfterValidator(known_fold)]
Locations = Name | Annotated[list[Name], Field(min_length=1)]
ColumnChoice = Name | int
"""A column by its name or, where columns have none, by its place, counted from 0 or, if negative, from the end."""
Format = Literal[
    "auto", "csv", "tsv", "xlsx", "json", "jsonl", "parquet", "arrow", "conll", "conllu", "spans", "spacy", "spacy_json", "brat",
    "label_studio", "fasttext", "trec", "folder",
]  # fmt: skip
EntityScheme = Literal["iob1", "iob2", "ioe1", "ioe2", "iobes", "bilou"]
Scheme = Literal[EntityScheme, "plain"]
SchemeChoice = Literal[Scheme, "auto"]
DataScheme = Literal[SchemeChoice, "io"]
CANONICAL_COLUMNS = ("id", "text", "text_pair", "label", "tokens", "tags")
"""The columns of `data/raw` that have a meaning of their own."""

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class MaxExamples:
    """How many examples of a split to keep; `null` keeps all."""

    __pydantic_config__ = STRICT

    train: Count | None = None
    validation: Count | None = None
    test: Count | None = None


@dataclass(frozen=True)
class Digests:
    """SHA-256 of each split's files and folders in their order, archives as they are; `null` takes any.

    Those of what was read are in `metrics/download.json`. A folder's is that of the names and digests of the files in it.
    """

    __pydantic_config__ = STRICT

    train: Sha256s | None = None
    validation: Sha256s | None = None
    test: Sha256s | None = None


@dataclass(frozen=True, kw_only=True)
class DataBase:
    """The keys of every data source."""

    __pydantic_config__ = STRICT

    name: Name
    """The data set's name in metrics and in the model card."""
    kind: Kind
    """The kind of task these data are for; it must equal `task.kind`."""
    target: Target = "label"
    """What a text is labelled with; it must equal `task.target`."""
    seed: Seed = 0
    """Seeds which examples are sampled, split off for validation or generated. Apart from it only content decides."""
    max_examples: MaxExamples = field(default_factory=MaxExamples)
    """A sample of each split for a quick run, with the label shares of the whole."""
    deduplicate: Literal["none", "within", "across"] = "none"
    """`within`: of equal inputs in a split the first is kept. `across`: in addition, inputs of test are removed from train
    and validation, and inputs of validation from train."""
    fold: Fold | None = None
    """`2/5`: train is divided into 5 parts, as validation is carved out of it, and the second becomes test; no test files are
    read. All 5 parts together are train, after `deduplicate` and `max_examples.train`, and have the same labels. `null`: no
    cross-validation."""
    fail_on: FailOn = "error"
    """The findings in the data that stop the run: errors, warnings as well, or none. Download looks for them, and tokenize for
    text that the model does not know."""


@dataclass(frozen=True, kw_only=True)
class DemoData(DataBase):
    """`data=demo`: sentences made by the project's own seeded generator."""

    source: Literal["demo"]
    train: Count
    """How many training examples to make."""
    validation: Count
    """How many validation examples to make."""
    test: Count
    """How many test examples to make."""


@dataclass(frozen=True, kw_only=True)
class TabularData(DataBase):
    """The keys of data that are read from files, wherever the files come from."""

    train: Locations
    """The training files: paths or globs on this machine or in the Hub repository, addresses (`https://`, `s3://`,
    `gs://`), archives (`.zip`, `.tar`, `.tar.gz`; `zip://inner/*.csv::archive.zip` for a part of one), or a folder."""
    validation: Locations | None = None
    """The validation files. `null`: `validation_fraction` of train is carved out instead (test never stands in)."""
    test: Locations | None = None
    """The test files. They select nothing. Rows labelled `-1`, and files without a column of labels, have no label: they can be
    predicted (`evaluate.score=false`), not scored. `null`: `test_fraction` of train is carved out instead."""
    fingerprint: Fingerprint | None = None
    """A digest of the files on this machine, taken when `params.yaml` was composed, so that DVC sees when they change.
    Download refuses other files. `null`: any are taken."""
    sha256: Digests = field(default_factory=Digests)
    """The digests that the files must have."""
    validation_fraction: Share = 0.1
    """The share of train that becomes validation where none is given, with the label shares of the whole."""
    test_fraction: Share = 0.1
    """The share of train that becomes test where none is given, with the label shares of the whole. Validation is carved out
    of the rest."""
    group_column: ColumnChoice | None = None
    """The column of documents, authors or the like that carved splits must not share with train; `file`: the files
    themselves; `document`: those of CoNLL files (`-DOCSTART-`). `null`: the documents where there are at least 20, else equal
    inputs stay together."""
    format: Format = "auto"
    """The files' format. `auto` recognises each file's by name and content."""
    sheet: Name | None = None
    """The sheet of Excel workbooks. `null`: the first."""
    encoding: Name = "utf-8"
    """The character encoding of text files."""
    text_column: ColumnChoice | None = None
    """The column of texts or word lists; for CoNLL, and for CSV without a header, its place, counted from 0, or from the end if
    negative. Columns of CSV are given by name or all by place. `null`: the usual names are tried in any case, and in CoNLL the
    first column."""
    pair_column: ColumnChoice | None = None
    """The column of second texts, for tasks on pairs. `null`: the usual names of pairs are tried."""
    label_column: ColumnChoice | Annotated[list[ColumnChoice], Field(min_length=1)] | None = None
    """The column of labels or tag lists; for CoNLL its place. For `target=labels` it may be a list: each column is a label, and
    its 0 or 1 (false or true) says whether a text has it. `null`: the usual names are tried, in CoNLL the last column."""
    label_separator: Name | None = None
    """What separates the labels of a cell, for `target=labels`: `,`, `;`, `|` or another string. An empty cell has no label then.
    `null`: a cell holds a list."""
    sentence_column: ColumnChoice | None = None
    """The column that numbers the sentences of a table with a word a row: all words, or the first of each sentence. `null`: such
    a table is known by the usual names of its columns (`Sentence #`, `Word`, `Tag`)."""
    empty_words: Literal["error", "drop"] = "error"
    """Whether words that are empty, in CoNLL and in tables with a word a row, stop the run or are left out."""
    label_names: Name | list[Name] | Annotated[dict[Name, Name], Field(min_length=1)] | None = None
    """The labels in order, where the files do not name them; integers count from 0. A mapping (`{1: bad, 2: good}`) says what
    each value stands for, in any order and several for one name. A string is a file with one name a line, with `1: bad` on
    each, or JSON of either form. `null`: as the files say, else all that occur, sorted."""
    ignore_labels: list[Name | int] = field(default_factory=list)
    """Labels that mean none, such as SNLI's `-`: texts with one of them are left out of every split, and counted."""
    keep_columns: list[ColumnChoice] = field(default_factory=list)
    """Other columns that come along as text, such as where an example is from: `evaluate.slices` can name them, and the
    predictions file has them. One given by its place has that as its name."""
    scheme: DataScheme = "auto"
    """How tags mark entities. `auto` recognises it by what most tags of train say, however they are spelled (`B-PER`, `b-per`,
    `B_PER`, `PER-B`, `B`, BMES). `plain` is for tags such as parts of speech, `io` for types alone (`PER`), which are written
    as `I-PER`."""
    convert_to: EntityScheme | None = None
    """The scheme that entity tags are converted to; `null` keeps them as they are."""

    @property
    def places(self) -> dict[Split, str | list[str]]:
        """Where the splits that are read come from; the others are carved out of train."""
        given: dict[Split, str | list[str] | None] = {
            "train": self.train,
            "validation": self.validation,
            "test": self.test if self.fold is None else None,
        }
        return {split: place for split, place in given.items() if place is not None}


@dataclass(frozen=True, kw_only=True)
class FilesData(TabularData):
    """`data=files`: files on this machine."""

    source: Literal["files"]


@dataclass(frozen=True, kw_only=True)
class HubData(TabularData):
    """A data set on the Hub, at a pinned revision. A token is taken from the environment (`HF_TOKEN`)."""

    source: Literal["hub"]
    repo: Name
    """The data set's `owner/name`."""
    revision: Revision
    """The commit to take: 40 hexadecimal digits, so that the same commit of this project gives the same data."""


DataConfig = Annotated[DemoData | FilesData | HubData, Field(discriminator="source")]


@dataclass(frozen=True, kw_only=True)
class ModelBase:
    """The keys of every model source."""

    __pydantic_config__ = STRICT

    name: Name
    """The pretrained model's name in metrics and in the model card."""
    sha256: Sha256 | None = None
    """The digest that `model.safetensors` must have; `null` accepts any."""


@dataclass(frozen=True, kw_only=True)
class PackageModel(ModelBase):
    """A model that an installed Python package carries."""

    source: Literal["package"]
    package: Name
    """The import name of the package."""
    folder: str = ""
    """The model's folder inside the package."""


@dataclass(frozen=True, kw_only=True)
class FilesModel(ModelBase):
    """A model in a folder on this machine, as `save_pretrained` writes it."""

    source: Literal["files"]
    path: Name
    """The folder."""


@dataclass(frozen=True, kw_only=True)
class HubModel(ModelBase):
    """A model on the Hub, at a pinned revision. A token is taken from the environment (`HF_TOKEN`)."""

    source: Literal["hub"]
    repo: Name
    """The model's `owner/name`."""
    revision: Revision
    """The commit to take: 40 hexadecimal digits."""


ModelConfig = Annotated[PackageModel | FilesModel | HubModel, Field(discriminator="source")]
