"""The groups `data` and `model` of the configuration: where they come from, each key typed, with its meaning below it."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from stages.configuration.kinds import known_kind, registered_kinds
from stages.pipeline.findings import FailOn


def known_fold(fold: str) -> str:
    """Return `fold`. Raises ValueError unless it is a part and the number of parts, such as `2/5`."""
    part, slash, parts = fold.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts) and int(parts) > 1):
        raise ValueError("must be a part and the number of parts, such as 2/5")
    return fold


def _with_kinds(schema: dict[str, Any]) -> None:
    """List the registered kinds in a JSON schema."""
    schema["enum"] = list(registered_kinds())


Kind = Annotated[str, AfterValidator(known_kind), Field(json_schema_extra=_with_kinds)]
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
"""A column by its name or, if columns have none, by its position, counted from 0 or, if negative, from the end."""
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
    """The maximum number of examples in each split. `null` keeps all of them."""

    __pydantic_config__ = STRICT

    train: Count | None = None
    validation: Count | None = None
    test: Count | None = None


@dataclass(frozen=True)
class Digests:
    """The SHA-256 digests that the files and folders of each split must have, in order. Archives are hashed as they are.

    `null` accepts any file. The digest of a folder covers the names and digests of the files in it. `metrics/download.json`
    records the digests of what was read.
    """

    __pydantic_config__ = STRICT

    train: Sha256s | None = None
    validation: Sha256s | None = None
    test: Sha256s | None = None


@dataclass(frozen=True, kw_only=True)
class DataBase:
    """The keys that every data source has."""

    __pydantic_config__ = STRICT

    name: Name
    """The name of the data set in the metrics and in the model card."""
    kind: Kind
    """The kind of task that the data are for. It must equal `task.kind`."""
    target: Target = "label"
    """What each text is labelled with. It must equal `task.target`."""
    seed: Seed = 0
    """The seed for sampling, splitting and generating examples. Which examples are selected depends on it and on their content,
    not on their order."""
    max_examples: MaxExamples = field(default_factory=MaxExamples)
    """The maximum number of examples in each split, for quick runs. The sample keeps the label shares of the split."""
    deduplicate: Literal["none", "within", "across"] = "none"
    """How duplicate inputs are removed. `within` keeps the first of equal inputs in a split. `across` also removes inputs of
    test from train and validation, and inputs of validation from train."""
    fold: Fold | None = None
    """The part of train to use as the test split in cross-validation. `2/5` divides train into 5 parts and takes the second.
    Test files are not read then. The parts are stratified and grouped like a carved-out validation split, after
    `deduplicate` and `max_examples.train`. `null` does no cross-validation."""
    fail_on: FailOn = "error"
    """Which findings in the data stop the run: errors only, warnings as well, or none. Download looks for findings, and
    tokenize for text that the model does not know."""


@dataclass(frozen=True, kw_only=True)
class DemoData(DataBase):
    """`data=demo`: examples made by the project's own seeded generator."""

    source: Literal["demo"]
    train: Count
    """The number of training examples to generate."""
    validation: Count
    """The number of validation examples to generate."""
    test: Count
    """The number of test examples to generate."""


@dataclass(frozen=True, kw_only=True)
class TabularData(DataBase):
    """The keys of all data that are read from files, local or on the Hub."""

    train: Locations
    """The training files: a path, a glob, a folder, an address (`https://`, `s3://`, `gs://`), an archive (`.zip`, `.tar`,
    `.tar.gz`), or a list of these. `zip://inner/*.csv::archive.zip` names a part of an archive. Paths are relative to the
    project, or to the Hub repository."""
    validation: Locations | None = None
    """The validation files. `null` carves `validation_fraction` out of train. The test split is never used for validation."""
    test: Locations | None = None
    """The test files. The test split is only scored; it selects nothing. Rows labelled `-1` and files without a label column
    are unlabelled: they can be predicted (`evaluate.score=false`) but not scored. `null` carves `test_fraction` out of
    train."""
    fingerprint: Fingerprint | None = None
    """A digest of the local files, computed when `params.yaml` is composed. It lets DVC notice when they change. The download
    stage refuses files with another digest. `null` accepts any file."""
    sha256: Digests = field(default_factory=Digests)
    """The SHA-256 digests that the files must have."""
    validation_fraction: Share = 0.1
    """The share of train that becomes validation if no validation files are given. The label shares are kept."""
    test_fraction: Share = 0.1
    """The share of train that becomes test if no test files are given. The label shares are kept. Validation is then carved
    out of the remaining examples."""
    group_column: ColumnChoice | None = None
    """The column that groups examples, such as documents or authors. A group is never divided between carved-out splits and
    train. `file` groups by file, and `document` by the `-DOCSTART-` lines of CoNLL files. `null` groups by document if there
    are at least 20, and otherwise keeps only equal inputs together."""
    format: Format = "auto"
    """The format of the files. `auto` detects it for each file from its name and content."""
    sheet: Name | None = None
    """The name of the sheet in Excel workbooks. `null` reads the first."""
    encoding: Name = "utf-8"
    """The character encoding of text files."""
    text_column: ColumnChoice | None = None
    """The column of texts or word lists. In CoNLL files, and in CSV files without a header, it is a position, counted from 0 or,
    if negative, from the end. CSV columns are given either all by name or all by position. `null` tries the usual names in
    upper or lower case, and takes the first column of CoNLL files."""
    pair_column: ColumnChoice | None = None
    """The column of second texts, for tasks on pairs of texts. `null` tries the usual names of pairs."""
    label_column: ColumnChoice | Annotated[list[ColumnChoice], Field(min_length=1)] | None = None
    """The column of labels or tag lists. In CoNLL files it is a position. With `target=labels` it can be a list of columns, one
    for each label, that hold 0 or 1 (false or true). `null` tries the usual names, and takes the last column of CoNLL
    files."""
    label_separator: Name | None = None
    """The string that separates several labels in a cell, such as `,`, `;` or `|`, for `target=labels`. An empty cell has no
    labels. `null` expects a list in each cell."""
    sentence_column: ColumnChoice | None = None
    """The column of sentence numbers, for tables with one word in a row. The number can be given for all words or only for the
    first word of each sentence. `null` recognises such a table by the usual names of its columns (`Sentence #`, `Word`,
    `Tag`)."""
    empty_words: Literal["error", "drop"] = "error"
    """What happens to empty words in CoNLL files and in tables with one word in a row. `error` stops the run, and `drop` leaves
    them out."""
    label_names: Name | list[Name] | Annotated[dict[Name, Name], Field(min_length=1)] | None = None
    """The names of the labels, if the files do not contain them. A list names the integers from 0. A mapping such as
    `{1: bad, 2: good}` names each value, in any order, and several values can share a name. A string is the path of a file
    with one name, or one `1: bad`, in each line, or of a JSON file with a list or mapping. `null` takes the names in the
    files, or all labels that occur, sorted."""
    ignore_labels: list[Name | int] = field(default_factory=list)
    """Labels that mean "no label", such as `-` in SNLI. Texts with such a label are left out of every split, and counted."""
    keep_columns: list[ColumnChoice] = field(default_factory=list)
    """Other columns to keep as text, such as the origin of an example. They appear in the predictions file, and
    `evaluate.slices` can name them. A column that is given by its position is named by it."""
    scheme: DataScheme = "auto"
    """How tags mark entities. `auto` detects the scheme from the majority of the training tags, in any spelling (`B-PER`,
    `b-per`, `B_PER`, `PER-B`, `B`, BMES). `plain` is for tags without entities, such as parts of speech. `io` is for types
    without a prefix (`PER`), which are stored as `I-PER`."""
    convert_to: EntityScheme | None = None
    """The scheme to convert entity tags to. `null` keeps them as they are."""

    @property
    def locations(self) -> dict[Split, str | list[str]]:
        """The locations of the splits that have files of their own. The other splits are carved out of train."""
        given: dict[Split, str | list[str] | None] = {
            "train": self.train,
            "validation": self.validation,
            "test": self.test if self.fold is None else None,
        }
        return {split: location for split, location in given.items() if location is not None}


@dataclass(frozen=True, kw_only=True)
class FilesData(TabularData):
    """`data=files`: files on this machine or at an address."""

    source: Literal["files"]


@dataclass(frozen=True, kw_only=True)
class HubData(TabularData):
    """A data set on the Hugging Face Hub, at a pinned revision. Private data need a token in the environment (`HF_TOKEN`)."""

    source: Literal["hub"]
    repo: Name
    """The data set's `owner/name` on the Hub."""
    revision: Revision
    """The commit to download, as 40 hexadecimal digits. A pinned commit makes runs repeatable."""


DataConfig = Annotated[DemoData | FilesData | HubData, Field(discriminator="source")]


@dataclass(frozen=True, kw_only=True)
class ModelBase:
    """The keys that every model source has."""

    __pydantic_config__ = STRICT

    name: Name
    """The name of the pretrained model in the metrics and in the model card."""
    sha256: Sha256 | None = None
    """The SHA-256 digest that `model.safetensors` must have. `null` accepts any file."""


@dataclass(frozen=True, kw_only=True)
class PackageModel(ModelBase):
    """`model=minilm`: a model inside an installed Python package."""

    source: Literal["package"]
    package: Name
    """The import name of the package."""
    folder: str = ""
    """The folder of the model inside the package."""


@dataclass(frozen=True, kw_only=True)
class FilesModel(ModelBase):
    """`model=files`: a model in a local folder, as `save_pretrained` writes it."""

    source: Literal["files"]
    path: Name
    """The path of the folder."""
    fingerprint: Fingerprint | None = None
    """A digest of the files in the folder, computed when `params.yaml` is composed. It lets DVC notice when they change. The
    download stage refuses a folder with another digest. `null` accepts any."""


@dataclass(frozen=True, kw_only=True)
class HubModel(ModelBase):
    """A model on the Hugging Face Hub, at a pinned revision. Private models need a token in the environment (`HF_TOKEN`)."""

    source: Literal["hub"]
    repo: Name
    """The model's `owner/name` on the Hub."""
    revision: Revision
    """The commit to download, as 40 hexadecimal digits."""


ModelConfig = Annotated[PackageModel | FilesModel | HubModel, Field(discriminator="source")]
