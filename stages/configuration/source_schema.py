"""The groups `data` and `model` of the configuration: where they come from, each key typed, with its meaning below it."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from stages.configuration.kinds import known_kind

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
Locations = Name | Annotated[list[Name], Field(min_length=1)]
Format = Literal["auto", "csv", "tsv", "json", "jsonl", "parquet", "arrow", "conll", "conllu", "spans", "folder"]
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
    """SHA-256 of each split's files in their order, archives as they are; `null` takes any.

    Those of the files that were read are in `metrics/download.json`.
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
    fail_on: Literal["error", "warning", "never"] = "error"
    """The findings of the data report that stop the run: errors, warnings as well, or none."""


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
    test: Locations
    """The test files. They select nothing. Rows labelled `-1` have no label: they can be predicted, not scored."""
    fingerprint: Fingerprint | None = None
    """A digest of the files on this machine, taken when `params.yaml` was composed, so that DVC sees when they change.
    Download refuses other files. `null`: any are taken."""
    sha256: Digests = field(default_factory=Digests)
    """The digests that the files must have."""
    validation_fraction: Share = 0.1
    """The share of train that becomes validation where none is given, with the label shares of the whole."""
    group_column: Name | None = None
    """The column of documents, authors or the like that validation must not share with train. `null`: equal inputs
    stay together."""
    format: Format = "auto"
    """The files' format. `auto` recognises each file's by name and content."""
    encoding: Name = "utf-8"
    """The character encoding of text files."""
    text_column: Name | int | None = None
    """The column of texts or word lists; for CoNLL its place, counted from 0, or from the end if negative.
    `null`: the usual names are tried, and in CoNLL the first column."""
    pair_column: Name | None = None
    """The column of second texts, for tasks on pairs. `null`: the usual names of pairs are tried."""
    label_column: Name | int | None = None
    """The column of labels or tag lists; for CoNLL its place. `null`: the usual names are tried, in CoNLL the last column."""
    label_names: list[Name] | None = None
    """The labels in order, where the files do not name them. `null`: as the files say, else all that occur, sorted."""
    keep_columns: list[Name] = field(default_factory=list)
    """Other columns that come along as text, such as where an example is from: `evaluate.slices` can name them, and the
    predictions file has them."""
    scheme: DataScheme = "auto"
    """How tags mark entities. `auto` recognises it by what most tags of train say, however they are spelled (`B-PER`, `b-per`,
    `B_PER`, `PER-B`, `B`, BMES). `plain` is for tags such as parts of speech, `io` for types alone (`PER`), which are written
    as `I-PER`."""
    convert_to: EntityScheme | None = None
    """The scheme that entity tags are converted to; `null` keeps them as they are."""


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
