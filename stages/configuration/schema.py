"""Every configuration key, typed, with its meaning below it. One dataclass a group of `conf/`.

A stage's configuration is a dataclass too: its fields are the groups or keys that the stage reads, and so its `params:`
in `dvc.yaml` (a test holds the two together). All names of the configuration can be imported from here.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from stages.configuration.source_schema import (
    CANONICAL_COLUMNS,
    SPLITS,
    STRICT,
    ColumnChoice,
    Count,
    DataBase,
    DataConfig,
    DataScheme,
    DemoData,
    Digests,
    EntityScheme,
    FilesData,
    FilesModel,
    Format,
    HubData,
    HubModel,
    Kind,
    MaxExamples,
    ModelConfig,
    Name,
    PackageModel,
    Scheme,
    SchemeChoice,
    Seed,
    Split,
    TabularData,
    Target,
)
from stages.pipeline.findings import FailOn

Auto = Literal["auto"]
Pooling = Literal["mean", "max", "first"]
LabelOn = Literal["first", "last", "all"]
ScoringMode = Literal["conll", "strict"]
Decode = Literal["argmax", "viterbi"]
Language = Annotated[str, StringConstraints(pattern="^([a-mo-z][a-z]|n[a-np-z]|[a-z]{3}|multilingual|code)$")]
"""Any code but `no`, which YAML 1.1 reads as false."""
License = Annotated[str, StringConstraints(pattern="^[a-z0-9][a-z0-9.+-]*$")]
PREDICTION_COLUMNS = ("id", "word", "token", "gold", "predicted", "score", "probabilities", "loss", "argmax")
"""The columns of the predictions file that have a meaning of their own."""

SLICES = ("length", "label")
"""What any test split can be sliced by; besides, columns that `data.keep_columns` names."""


@dataclass(frozen=True)
class TaskConfig:
    """`task`: what is learned."""

    __pydantic_config__ = STRICT

    kind: Kind
    """`text`: one label for a text. `tokens`: one tag for each word of a sentence."""
    target: Target
    """What a text is given: one `label`, any number of `labels`, or a `number`. Words are always given one label each."""
    metric: Name
    """The headline score: it chooses the best checkpoint on the validation split (never on test). One of the metrics in
    `stages.scoring.core.metrics` that are defined for the target.
    `f1` is the macro average for text and seqeval's overall F1 for entities; `accuracy` of several labels counts the
    texts whose labels are all right; `pearson` is for numbers, and `loss` then their mean squared error."""
    pooling: Pooling
    """How the logits of a long text's windows become one: their mean, their largest, or the first window's alone."""
    decode: Decode = "argmax"
    """How the tags of a sentence are chosen, on validation as on test and in the export. `argmax`: the most probable tag of
    each word by itself, so that tags such as `O I-PER` may come out, which strict scores count as no entity. `viterbi`: the
    most probable tags of the whole sentence that their scheme allows. The scheme is `evaluate.scheme`; `auto` tells it by
    the tags of train. Nothing more is trained, and a word's score stays the probability of the tag that it gets."""


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
class LoraConfig:
    """`train.lora`: the adapters of `train.adapter=lora`."""

    __pydantic_config__ = STRICT

    rank: Count = 16
    """The rank of each adapter: it adds rank x (inputs + outputs) parameters to a layer of inputs x outputs. More learn more."""
    alpha: Count = 32
    """Adapters are scaled by alpha / rank. Keep the ratio where you change the rank."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The dropout of what adapters read."""
    targets: Auto | Annotated[list[Name], Field(min_length=1)] = "auto"
    """The linear layers that get an adapter, by the ends of their names, such as `[query, value]`. `auto`: all of the
    encoder's, which learns best for its size. Never those with one output, nor those that have a weight in common."""


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
    row count. This changes the optimisation: batches of short rows have more rows than others. The log says how many
    rows a step has on average. If that is `batch_size`, keep the learning rate. If it is k times `batch_size`, multiply the
    learning rate by the square root of k (for AdamW), and check the validation scores."""
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
    """Gradients are clipped to this norm."""
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
    """The encoder's precision; head and loss are in fp32. `auto`: bf16 where the device computes it fast, else fp32. A GPU
    multiplies fp32 matrices in TF32."""
    processes: Count
    """Processes that share each batch, one a GPU. With more than 1 the stage starts itself under torchrun."""
    evaluation_batch_size: Count
    """Rows in a forward pass on validation if they are as long as the longest one; of shorter rows more are taken."""
    deterministic: bool
    """Whether a GPU uses only deterministic algorithms, which are slower. On a CPU they are deterministic in any case."""
    adapter: Literal["none", "lora"] = "none"
    """What is trained. `none`: all weights. `lora`: low-rank adapters beside frozen layers, and the head. It takes a fraction
    of the memory and of a checkpoint's size, and a learning rate of about ten times. At the end adapters are merged into the
    layers, so that the trained model is an ordinary one."""
    lora: LoraConfig = LoraConfig()
    """The adapters of `adapter=lora`."""
    keep_adapter: bool = False
    """Whether to write the adapters and the head by themselves as well, into `models/trained/adapter`, in the format of
    `peft`: a few megabytes for which whoever uses them has the base model already."""
    freeze: Count | Literal["none", "embeddings"] = "none"
    """What stays as it is in the base model: nothing, the embeddings, or the embeddings and so many layers from the bottom.
    Frozen layers take no memory for gradients, and no time for their backward pass. They get no adapters."""
    frozen_precision: Literal["fp32", "bf16"] = "fp32"
    """How frozen weights are stored. `bf16`: in half the memory, rounded to 8 bits of mantissa; what the base model itself
    stores in bf16 loses nothing. They are computed with as `precision` says."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The head learns at `learning_rate`, each layer below at this times the rate of the one above, the embeddings at the
    least: 0.9 keeps more of the base model, and helps where there is little data. 1: all learn at one rate."""
    gradient_checkpointing: bool = False
    """Whether the backward pass computes each layer's inner values anew, where they would be kept in memory: a step takes
    about a third longer, and learns the same. For long rows and large models."""
    optimizer: Literal["adamw", "adamw_8bit"] = "adamw"
    """`adamw_8bit`: AdamW's two moments are stored in 8 bits, a quarter of the memory. Needs the package bitsandbytes."""


@dataclass(frozen=True)
class EvaluateConfig:
    """`evaluate`: how the test split is predicted."""

    __pydantic_config__ = STRICT

    batch_size: Count
    """Rows in a forward pass if they are as long as the longest one; of shorter rows more are taken."""
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

    onnx: bool | Auto
    """Whether to write `model.onnx` as well. `auto`: where PyTorch's exporter can; else the log and the metrics say why there
    is none. With `true` that ends the stage."""
    onnx_timeout: Count
    """Seconds after which PyTorch's exporter is taken to be unable: it unrolls the loops of some state-space models for hours."""
    onnx_tolerance: Annotated[float, Field(gt=0)]
    """The largest absolute difference between ONNX and torch logits that is accepted, and between TensorFlow's and torch's."""
    onnx_check_rows: Count
    """How many rows of the test split they are compared on, the longest and the shortest among them."""
    quantize: Literal["none", "int8"]
    """`int8`: write `model_int8.onnx` as well, which is faster on a CPU. It is written only where `model.onnx` is."""
    max_loss: Annotated[float, Field(ge=0)]
    """How much of `task.metric` on validation quantization may cost (0.005: half a point; of `metric=loss` the share by which
    it may grow). If it costs more, the file is not written, and the log says so."""
    max_loss_examples: Count
    """How many examples of validation that is measured on at most, spread evenly."""
    tensorflow: bool = False
    """Whether to write the folder `saved_model` as well, TensorFlow's form of the model, for prediction and for training on with
    Keras. It needs the extra `tensorflow`, and what can't be translated ends the stage."""
    language: Language | Annotated[list[Language], Field(min_length=1)] | None = None
    """The language of the texts for the model card, or several: `en`, or `multilingual`. `null`: the card tells none."""
    license: License | None = None
    """The model's license for the model card, by the Hub's name for it, such as `apache-2.0`. `null`: the card tells none."""


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
    """CPU threads that a process computes with. A different thread count changes the last bits of the weights. On one
    kind of CPU, equal thread counts give equal bytes, however many cores there are."""


KEY = "key"
"""The metadata entry that names the key of a field which holds one key of a group, such as `task.kind`, not the group."""


@dataclass(frozen=True)
class DownloadStage:
    """What `stages.download` reads of the parameters."""

    data: DataConfig
    model: ModelConfig
    kind: Kind = field(metadata={KEY: "task.kind"})
    target: Target = field(metadata={KEY: "task.target"})


@dataclass(frozen=True)
class TokenizeStage:
    """What `stages.tokenize` reads of the parameters."""

    kind: Kind = field(metadata={KEY: "task.kind"})
    tokenize: TokenizeConfig
    fail_on: FailOn = field(metadata={KEY: "data.fail_on"})


@dataclass(frozen=True)
class TrainStage:
    """What `stages.train` reads of the parameters."""

    task: TaskConfig
    train: TrainConfig
    mode: ScoringMode = field(metadata={KEY: "evaluate.mode"})
    scheme: SchemeChoice = field(metadata={KEY: "evaluate.scheme"})
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
    tokenize: TokenizeConfig
    export: ExportConfig
    mode: ScoringMode = field(metadata={KEY: "evaluate.mode"})
    scheme: SchemeChoice = field(metadata={KEY: "evaluate.scheme"})
    threads: Count
