"""Every configuration key, typed, with its meaning below it. One dataclass a group of `conf/`.

A stage's configuration is a dataclass too: its fields are the groups or keys that the stage reads, and so its `params:`
in `dvc.yaml` (a test holds the two together).
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

Kind = Literal["text", "tokens"]
Auto = Literal["auto"]
Target = Literal["label", "labels", "number"]
Pooling = Literal["mean", "max", "first"]
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Revision = Annotated[str, StringConstraints(pattern="^[0-9a-f]{40}$")]
Name = Annotated[str, StringConstraints(min_length=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Sha256s = Sha256 | Annotated[list[Sha256], Field(min_length=1)]
Places = Name | Annotated[list[Name], Field(min_length=1)]
Format = Literal["auto", "csv", "tsv", "json", "jsonl", "parquet", "arrow", "conll", "conllu", "spans", "folder"]
EntityScheme = Literal["iob1", "iob2", "ioe1", "ioe2", "iobes", "bilou"]
Scheme = Literal[EntityScheme, "plain"]
SchemeChoice = Literal[Scheme, "auto"]
LabelOn = Literal["first", "last", "all"]
ScoringMode = Literal["conll", "strict"]
CANONICAL_COLUMNS = ("id", "text", "text_pair", "label", "tokens", "tags")
"""The columns of `data/raw` that have a meaning of their own."""

PREDICTION_COLUMNS = ("id", "word", "token", "gold", "predicted", "score", "probabilities", "loss")
"""The columns of the predictions file that have a meaning of their own."""

SLICES = ("length", "label")
"""What any test split can be sliced by; besides, columns that `data.keep_columns` names."""

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class TaskConfig:
    """`task`: what is learned."""

    __pydantic_config__ = STRICT

    kind: Kind
    """`text`: one label for a text. `tokens`: one tag for each word of a sentence."""
    target: Target
    """What a text is given: one `label`, any number of `labels`, or a `number`. Words are always given one label each."""
    metric: Literal["accuracy", "f1", "pearson", "loss"]
    """The headline score: it chooses the best checkpoint on the validation split (never on test).
    `f1` is the macro average for text and seqeval's overall F1 for entities; `accuracy` of several labels counts the
    texts whose labels are all right; `pearson` is for numbers, and `loss` then their mean squared error."""
    pooling: Pooling
    """How the logits of a long text's windows become one: their mean, their largest, or the first window's alone."""


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
    """What every data source has."""

    __pydantic_config__ = STRICT

    name: Name
    """How metrics and the model card call the data set."""
    kind: Kind
    """The kind of task these data are for; it must equal `task.kind`."""
    target: Target = "label"
    """What a text is labelled with; it must equal `task.target`."""
    seed: Seed = 0
    """Decides which examples are sampled, carved out or generated; apart from it only content does."""
    max_examples: MaxExamples = field(default_factory=MaxExamples)
    """A sample of each split for a quick run, with the label shares of the whole."""
    deduplicate: Literal["none", "within", "across"] = "none"
    """`within`: of equal inputs in a split the first stays. `across`: besides, what occurs in test leaves train and
    validation, and what occurs in validation leaves train."""
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
    """What data read from files have, wherever the files come from."""

    train: Places
    """The training files: paths or globs on this machine or in the Hub repository, addresses (`https://`, `s3://`,
    `gs://`), archives (`.zip`, `.tar`, `.tar.gz`; `zip://inner/*.csv::archive.zip` for a part of one), or a folder."""
    validation: Places | None = None
    """The validation files. `null`: `validation_fraction` of train is carved out instead (test never stands in)."""
    test: Places
    """The test files. They select nothing. Rows labelled `-1` are not labelled: they can be predicted, not scored."""
    sha256: Digests = field(default_factory=Digests)
    """The digests that the files must have."""
    validation_fraction: Share = 0.1
    """The share of train that becomes validation where none is given, with the label shares of the whole."""
    group_column: Name | None = None
    """The column of documents, authors or the like that validation must not share with train. `null`: equal inputs
    stay together."""
    format: Format = "auto"
    """How the files are written; `auto` tells each file's by name and content."""
    encoding: Name = "utf-8"
    """How text files encode characters."""
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
    scheme: SchemeChoice = "auto"
    """How tags mark entities. `auto` tells by the tags; `plain` is for tags such as parts of speech."""
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
    """What every model source has."""

    __pydantic_config__ = STRICT

    name: Name
    """How metrics and the model card call the pretrained model."""
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


@dataclass(frozen=True)
class TokenizeConfig:
    """`tokenize`: how examples become rows of sub-words."""

    __pydantic_config__ = STRICT

    max_length: Annotated[int, Field(ge=8)] | None
    """Sub-words in a row at most, special ones included. `null`: as many as the model takes, but no more than 512."""
    overflow: Literal["windows", "truncate"]
    """What happens to an example longer than `max_length`. `windows`: it becomes several overlapping rows, and
    nothing is lost. `truncate`: its tail is dropped, as tutorials do (text only: tokens must all be scored)."""
    stride: Annotated[int, Field(ge=0)] | None
    """Sub-words that neighbouring windows share. `null`: a quarter of a row."""
    label_on: LabelOn
    """The sub-words of a word that are trained on its label. The word is read off its first (`all`: too) or last one.
    On `all`, the sub-words behind the first take the inside tag of their entity."""


@dataclass(frozen=True)
class TrainConfig:
    """`train`: the recipe."""

    __pydantic_config__ = STRICT

    epochs: Annotated[float, Field(gt=0)]
    """Passes over the training rows."""
    max_steps: Count | None
    """Optimizer steps; overrides `epochs` where given."""
    batch_size: Count | Auto
    """Rows an optimizer step, over all processes and accumulation steps together: using more devices or
    accumulating does not change the recipe. `auto`: the largest power of two (times processes and accumulation steps) of
    which the longest rows fit into memory, as long as an epoch has 100 steps. What is learned then depends on the
    machine: `metrics/train.json` has the number found, to be set for a repeat. Where memory is short and the recipe
    is to stay, leave this a number and set `gradient_accumulation=auto`."""
    batch_tokens: Count | None
    """Sub-words an optimizer step, at most and almost; overrides `batch_size` where given. Rows keep their shuffled order,
    all batches have about as many sub-words, and a row longer than this is a batch of its own. `null`: batches of equal
    row count. This changes the optimisation: batches of short rows have more rows than others. The log tells how many
    rows a step has on average. Where that is `batch_size`, keep the learning rate; where it is k times that, multiply the
    learning rate by the square root of k (for AdamW), and look at validation."""
    gradient_accumulation: Count | Auto
    """Parts that each batch is computed in, one after the other, to save memory. `auto`: as few as fit into memory with
    the longest rows; the recipe stays the same, but for the last bits of sums."""
    learning_rate: Annotated[float, Field(gt=0)]
    """The peak learning rate."""
    schedule: Literal["linear", "cosine", "constant", "constant_with_warmup", "polynomial", "inverse_sqrt"]
    """How the learning rate changes after the warm-up."""
    warmup: Annotated[float, Field(ge=0, lt=1)]
    """The share of all steps in which the learning rate rises from 0."""
    weight_decay: Annotated[float, Field(ge=0)]
    """AdamW's decoupled weight decay."""
    max_grad_norm: Annotated[float, Field(gt=0)]
    """Gradients are scaled down to this norm."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    """The probability mass that is spread evenly over all labels in the loss; for `task.target=label` alone."""
    class_weights: Literal["none", "balanced"]
    """`balanced`: each label weighs in the loss by the inverse of its frequency in train; where a text has several
    labels, having one weighs as much as not having it. Not for numbers."""
    evaluate_every: Count | None
    """Optimizer steps between evaluations on validation. `null`: each epoch."""
    early_stopping: Count | None
    """Evaluations without a better `task.metric` after which training ends. `null`: never."""
    precision: Literal["auto", "fp32", "bf16", "fp16"]
    """Of the encoder; head and loss are in fp32. `auto`: bf16 where the device computes it fast, else fp32. A GPU multiplies
    what is in fp32 in TF32."""
    processes: Count
    """Processes that share each batch, one a GPU. With more than 1 the stage starts itself under torchrun."""
    evaluation_batch_size: Count
    """Rows a forward pass on validation, if they are as long as the longest; of shorter ones more."""
    deterministic: bool
    """Whether a GPU uses only algorithms that repeat bit by bit, which are slower. A CPU repeats itself in any case."""


@dataclass(frozen=True)
class EvaluateConfig:
    """`evaluate`: how the test split is predicted."""

    __pydantic_config__ = STRICT

    batch_size: Count
    """Rows a forward pass, if they are as long as the longest; of shorter ones more."""
    precision: Literal["auto", "fp32", "bf16"]
    """As `train.precision`."""
    score: bool
    """Whether the test split is scored. With `true`, every row of it must be labelled; with `false`, it is predicted
    alone, and the metrics hold no scores."""
    mode: ScoringMode
    """How entities are read off tags for the headline. `conll`: as CoNLL's script and seqeval do by default, whatever the
    scheme, so that a stray `I-` begins an entity. `strict`: only what is well-formed in the scheme is an entity."""
    scheme: SchemeChoice
    """The scheme of strict scores. `auto` tells by the gold tags; `plain` scores tags as labels, without entities."""
    resamples: Annotated[int, Field(ge=0)]
    """Bootstrap resamples of the test split that the 95 % intervals are taken from; 0: no intervals."""
    slices: list[Name]
    """Parts of the test split that are scored by themselves. `length`: four parts by length (words for tokens, sub-words
    for texts). `label`: for each label or entity type the examples whose gold has it. A column of `data.keep_columns`: for
    each of its values the examples that have it."""


@dataclass(frozen=True)
class ExportConfig:
    """`export`: what is made of the trained model."""

    __pydantic_config__ = STRICT

    onnx: bool
    """Whether to write `model.onnx` as well."""
    onnx_tolerance: Annotated[float, Field(gt=0)]
    """The largest absolute difference between ONNX and torch logits that is accepted."""
    onnx_check_rows: Count
    """How many rows of the test split the two are compared on, the longest and the shortest among them."""
    quantize: Literal["none", "int8"]
    """`int8`: write `model_int8.onnx` as well, which is faster on a CPU. It takes `onnx=true`."""
    max_loss: Annotated[float, Field(ge=0)]
    """How much of `task.metric` on validation quantization may cost (0.005: half a point; of `metric=loss` the share by which
    it may grow). If it costs more, the file is not written, and the log says so."""
    max_loss_examples: Count
    """How many examples of validation that is measured on at most, spread evenly."""


@dataclass(frozen=True)
class Params:
    """The whole of `params.yaml`."""

    task: TaskConfig
    data: DataConfig
    model: ModelConfig
    tokenize: TokenizeConfig
    train: TrainConfig
    evaluate: EvaluateConfig
    export: ExportConfig
    seed: Seed
    """Seeds the classification head's first weights, dropout and the order of batches."""
    threads: Count
    """CPU threads that a process computes with: a number, for another one gives trained weights other last bits. On one
    kind of CPU, equal numbers give equal bytes, however many cores there are."""


KEY = "key"
"""Where a stage's field is one key of a group and not the group: its metadata name the key, as `task.kind`."""


@dataclass(frozen=True)
class DownloadStage:
    """What `stages.download` reads of the parameters."""

    data: DataConfig
    model: ModelConfig


@dataclass(frozen=True)
class TokenizeStage:
    """What `stages.tokenize` reads of the parameters."""

    kind: Kind = field(metadata={KEY: "task.kind"})
    tokenize: TokenizeConfig


@dataclass(frozen=True)
class TrainStage:
    """What `stages.train` reads of the parameters."""

    task: TaskConfig
    train: TrainConfig
    seed: int
    threads: Count


@dataclass(frozen=True)
class EvaluateStage:
    """What `stages.evaluate` reads of the parameters."""

    task: TaskConfig
    evaluate: EvaluateConfig
    threads: Count


@dataclass(frozen=True)
class ExportStage:
    """What `stages.export` reads of the parameters."""

    task: TaskConfig
    export: ExportConfig
    threads: Count
