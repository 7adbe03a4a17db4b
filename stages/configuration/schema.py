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
"""What any test split can be sliced by, besides the columns in `data.keep_columns`."""


@dataclass(frozen=True)
class TaskConfig:
    """What the model learns to predict, and which metric decides."""

    __pydantic_config__ = STRICT

    kind: Kind
    """The kind of task. `text` predicts labels or a number for a whole text. `tokens` predicts one tag for each word of a
    sentence."""
    target: Target
    """What is predicted for a text: one `label`, any number of `labels`, or a `number`. With `kind=tokens` it is always
    `label`, because each word has one tag."""
    metric: Name
    """The headline metric. It selects the best checkpoint on the validation split, never on test, and it comes first in
    reports and comparisons. `f1` is the macro average for texts and seqeval's overall F1 for entities. With
    `target=labels`, `accuracy` is the share of texts whose labels are all correct. With `target=number`, `loss` is the
    mean squared error."""
    pooling: Pooling
    """How the logits of a long text's windows are combined: their mean, their maximum, or the first window's logits
    only."""
    decode: Decode = "argmax"
    """How the tags of a sentence are chosen, on validation, on test and in the exported model. `argmax` takes the most
    probable tag of each word independently. It can produce invalid sequences such as `O I-PER`, which strict scoring does
    not count as an entity. `viterbi` takes the most probable sequence that the tag scheme allows. The scheme is
    `evaluate.scheme`, detected from the training tags if that is `auto`. Viterbi decoding trains no extra parameters, and
    a word's score remains the probability of its tag."""


@dataclass(frozen=True)
class TokenizeConfig:
    """How examples are split into rows of sub-words."""

    __pydantic_config__ = STRICT

    max_length: Annotated[int, Field(ge=8)] | None
    """The maximum number of sub-words in a row, special tokens included. `null` uses the model's own limit, up to 512."""
    overflow: Literal["windows", "truncate"]
    """What happens to an example that is longer than `max_length`. `windows` splits it into overlapping rows, so that
    nothing is lost. `truncate` drops the tail, as most tutorials do. Only texts can be truncated, because every word of a
    token task must be scored."""
    stride: Annotated[int, Field(ge=0)] | None
    """The number of sub-words that neighbouring windows share. `null` is a quarter of a row."""
    label_on: LabelOn
    """Which sub-words of a word are trained on its label. The prediction for the word is read from its `last` sub-word
    with `last`, and from its first one otherwise. With `all`, the sub-words after the first are trained on the inside tag
    of the entity."""


@dataclass(frozen=True)
class LoraConfig:
    """The low-rank adapters of `train.adapter=lora`."""

    __pydantic_config__ = STRICT

    rank: Count = 16
    """The rank of each adapter. It adds rank x (inputs + outputs) parameters to a layer of inputs x outputs. A higher rank
    can learn more and takes more memory."""
    alpha: Count = 32
    """The scale: the adapters' output is multiplied by alpha / rank. Keep the ratio when you change the rank."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The dropout probability of the adapters' inputs."""
    targets: Auto | Annotated[list[Name], Field(min_length=1)] = "auto"
    """The linear layers that get an adapter, by the ends of their names, such as `[query, value]`. `auto` adapts all linear
    layers of the encoder. Layers with a single output and layers that share a weight never get one."""


@dataclass(frozen=True)
class TrainConfig:
    """The training recipe."""

    __pydantic_config__ = STRICT

    epochs: Annotated[float, Field(gt=0)]
    """The number of passes over the training rows. It can be a fraction."""
    max_steps: Count | None
    """The number of optimizer steps. Overrides `epochs` if given."""
    batch_size: Count | Auto
    """The number of rows in an optimizer step, summed over all processes and accumulation steps. More devices or more
    accumulation steps therefore do not change the recipe. `auto` takes the largest power of two (times processes and
    accumulation steps) whose longest rows fit into memory, while an epoch still has 100 steps. The result then depends on
    the machine. To repeat such a run, set the number that `metrics/train.json` records. If memory is short, keep a number
    here and set `gradient_accumulation=auto`."""
    batch_tokens: Count | None
    """The maximum number of sub-words in an optimizer step. Overrides `batch_size` if given. Rows keep their shuffled order,
    batches are filled up to this number, and a longer row is a batch of its own. `null` makes batches of equal row count.
    Batches of short rows have more rows than others, which changes the optimisation. The log tells the average number of
    rows in a step. If it is about `batch_size`, keep the learning rate. If it is k times `batch_size`, multiply the
    learning rate by the square root of k (for AdamW) and check the validation scores."""
    gradient_accumulation: Count | Auto
    """The number of parts that each batch is split into to save memory. They are computed one after the other. `auto` takes
    the smallest number whose longest rows fit into memory. The recipe stays the same except for rounding in the last
    bits."""
    learning_rate: Annotated[float, Field(gt=0)]
    """The peak learning rate."""
    schedule: Literal["linear", "cosine", "constant", "constant_with_warmup", "polynomial", "inverse_sqrt"]
    """How the learning rate changes after the warm-up."""
    warmup: Annotated[float, Field(ge=0, lt=1)]
    """The share of all steps in which the learning rate rises from 0 to its peak."""
    weight_decay: Annotated[float, Field(ge=0)]
    """The decoupled weight decay of AdamW."""
    max_grad_norm: Annotated[float, Field(gt=0)]
    """The maximum norm of the gradients. Larger gradients are clipped to it."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    """The probability mass that the loss spreads evenly over all labels. Only for `task.target=label`."""
    class_weights: Literal["none", "balanced"]
    """`balanced` weights each label in the loss by the inverse of its frequency in train. With `task.target=labels`, it gives
    the texts that have a label the same total weight as those that do not. Not for numbers."""
    evaluate_every: Count | None
    """The number of optimizer steps between evaluations on validation. `null` evaluates after each epoch."""
    log_every: Count | None
    """The number of optimizer steps between points of the training curves. Each point has the mean loss since the last one,
    the norm of the gradients and the learning rate. Every evaluation adds a point as well. `null` draws these alone."""
    early_stopping: Count | None
    """Training stops after this many evaluations without an improvement of `task.metric`. `null` never stops early."""
    precision: Literal["auto", "fp32", "bf16", "fp16"]
    """The precision of the encoder. The head and the loss are always computed in fp32. `auto` uses bf16 where it is
    fast, and fp32 otherwise: bf16 on GPUs from Ampere on, on CPUs with AMX, and on AMD's CPUs with AVX-512 BF16. A model that
    can't compute in bf16 gets fp32. On a GPU, fp32 matrices are multiplied in TF32."""
    processes: Count
    """The number of processes that share each batch, one for each GPU. With more than 1, the stage starts itself under
    torchrun."""
    evaluation_batch_size: Count
    """The number of rows in a forward pass on validation, for rows of the maximum length. Batches of shorter rows are
    larger."""
    deterministic: bool
    """Whether a GPU uses only deterministic algorithms, which are slower. On a CPU, training is always deterministic."""
    compile: Literal["auto", "off"] = "auto"
    """Whether a GPU trains compiled layers (`torch.compile`). `auto` compiles them for trainings of 2,000 steps or more where
    rows are packed and a trial gives the same logits and gradients. Nothing is compiled on a CPU, or in several processes."""
    adapter: Literal["none", "lora"] = "none"
    """Which weights are trained. `none` trains all of them. `lora` freezes the encoder and trains low-rank adapters and the
    head. It needs a fraction of the memory, writes small checkpoints, and wants a learning rate about ten times as high.
    The adapters are merged into the layers at the end, so that the trained model is an ordinary one."""
    lora: LoraConfig = LoraConfig()
    """The settings of `adapter=lora`."""
    keep_adapter: bool = False
    """Whether to write the adapters and the head to `models/trained/adapter` as well, in the format of `peft`. They take a few
    megabytes and need the base model to be used."""
    freeze: Count | Literal["none", "embeddings"] = "none"
    """Which part of the base model is not trained: nothing, the `embeddings`, or the embeddings and this number of layers from
    the bottom. Frozen layers need no memory for gradients and no backward pass. They get no adapters."""
    frozen_precision: Literal["fp32", "bf16"] = "fp32"
    """How frozen weights are stored. `bf16` halves their memory and rounds them to 8 significant bits. Weights that the base
    model stores in bf16 lose nothing. The computation follows `precision` in either case."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The factor by which the learning rate decreases from each layer to the one below. The head learns at `learning_rate`,
    the embeddings at the lowest rate. A value such as 0.9 keeps more of the base model and can help with little data. With
    1, all layers learn at the same rate."""
    gradient_checkpointing: bool = False
    """Whether to recompute the activations of each layer in the backward pass instead of storing them. This saves memory with
    long rows and large models. A step takes about a third longer, and the result is the same."""
    optimizer: Literal["adamw", "adamw_8bit"] = "adamw"
    """The optimizer. `adamw_8bit` stores the two moments of AdamW in 8 bits, a quarter of their size. On a GPU that saves
    memory, on a CPU it makes checkpoints smaller. It needs the extra `adamw-8bit`."""
    sharding: Literal["none", "full"] = "none"
    """What each of several processes holds. `none` is the whole model. `full` is a share of the weights, the gradients and
    AdamW's moments, for models that do not fit one device (PyTorch's FSDP2). The weights of a layer are gathered while it is
    computed. The recipe stays the same, up to rounding in sums. It needs `processes` above 1 and a batch size in numbers, and
    does not work with `adamw_8bit`, `fp16`, and a few model families."""


@dataclass(frozen=True)
class EvaluateConfig:
    """How the test split is predicted and scored."""

    __pydantic_config__ = STRICT

    batch_size: Count
    """The number of rows in a forward pass, for rows of the maximum length. Batches of shorter rows are larger."""
    precision: Literal["auto", "fp32", "bf16"]
    """The precision of prediction. `auto` is as in `train.precision`."""
    score: bool
    """Whether the test split is scored. With `true`, every row of it must have a label. With `false`, it is predicted only,
    and the metrics contain no scores."""
    mode: ScoringMode
    """How entities are read from tags for the headline metric. `conll` follows the CoNLL script and seqeval's default: a stray
    `I-` begins an entity, whatever the scheme. `strict` counts only entities that are well-formed in the scheme."""
    scheme: SchemeChoice
    """The tag scheme of strict scores. `auto` detects it from the gold tags. `plain` scores tags as labels, without
    entities."""
    resamples: Annotated[int, Field(ge=0)]
    """The number of bootstrap resamples of the test split for the 95 % intervals. 0 computes no intervals."""
    slices: list[Name]
    """Parts of the test split to score separately. `length` makes four parts by length, counted in words for tokens and in
    sub-words for texts. `label` takes, for each label or entity type, the examples that have it. A column of
    `data.keep_columns` takes the examples of each of its values."""


@dataclass(frozen=True)
class ExportConfig:
    """Which formats the trained model is exported to."""

    __pydantic_config__ = STRICT

    onnx: bool | Auto
    """Whether to write `model.onnx` as well. `auto` writes it if PyTorch can export the model, and otherwise records the reason
    in the log and the metrics. With `true`, a failed export is an error."""
    onnx_timeout: Count
    """The time limit of the ONNX export, in seconds. PyTorch unrolls the loops of some state-space models for hours."""
    onnx_tolerance: Annotated[float, Field(gt=0)]
    """The largest accepted absolute difference of the logits between PyTorch and ONNX, and between PyTorch and TensorFlow."""
    onnx_check_rows: Count
    """The number of test rows that the logits are compared on, the longest and the shortest among them."""
    quantize: Literal["none", "int8"]
    """Whether to write a quantized model. `int8` writes `model_int8.onnx`, which is faster on a CPU. It needs `model.onnx`."""
    max_loss: Annotated[float, Field(ge=0)]
    """How much quantization may lower `task.metric` on validation. 0.005 is half a point. For `metric=loss` it is the share by
    which the loss may grow. If the quantized model is worse than that, it is not written, and the log says so."""
    max_loss_examples: Count
    """The maximum number of validation examples for this measurement. They are spread evenly over the split."""
    tensorflow: bool = False
    """Whether to write the folder `saved_model` as well, a TensorFlow model for prediction and further training in Keras. It
    needs the extra `tensorflow`. A model that cannot be translated is an error."""
    language: Language | Annotated[list[Language], Field(min_length=1)] | None = None
    """The language of the texts for the model card, or a list of several, such as `en` or `multilingual`. `null` leaves it
    out."""
    license: License | None = None
    """The license of the model for the model card, by its name on the Hub, such as `apache-2.0`. `null` leaves it out."""


@dataclass(frozen=True)
class Params:
    """The whole of `params.yaml`."""

    task: TaskConfig
    data: DataConfig
    """The examples to train on and to score."""
    model: ModelConfig
    """The pretrained encoder to start from."""
    tokenize: TokenizeConfig
    train: TrainConfig
    evaluate: EvaluateConfig
    export: ExportConfig
    seed: Seed
    """The seed of the classification head's initial weights, of dropout and of the order of batches."""
    threads: Count
    """The number of CPU threads of a process. A different number changes the last bits of the weights. On one kind of CPU, the
    same number gives the same bytes, however many cores there are."""


KEY = "key"
"""The metadata entry of a field that holds a single key of a group, such as `task.kind`, instead of the whole group."""


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
