"""Check that the base model and the installed packages can do what a recipe asks for, before weights are read."""

from importlib.util import find_spec

from stages.configuration.schema import TrainConfig, TrainStage
from stages.modeling.adapters import require_readable
from stages.modeling.frozen import highest_frozen
from stages.modeling.layers import layers_of
from stages.modeling.load import skeleton
from stages.modeling.preparation import asks_for_steps, rehearse
from stages.modeling.sharding import require_shardable
from stages.pipeline.errors import ConfigError, ModelError
from stages.pipeline.paths import BASE_WEIGHTS
from stages.tasks.registry import task_for


def require_applicable(config: TrainStage) -> None:
    """Raise ConfigError if a package is missing, ModelError if the base model lacks what the recipe asks for."""
    train = config.train
    _require_packages(train)
    if train.layer_decay == 1 and train.sharding == "none" and not asks_for_steps(train):
        return
    model = skeleton(task_for(config.task), BASE_WEIGHTS)
    if train.sharding == "full":
        require_shardable(model)
    rehearse(model, train)
    if train.keep_adapter:
        bare = skeleton(task_for(config.task), BASE_WEIGHTS)
        require_readable(bare, train.lora, highest_frozen(train.freeze))
    if train.layer_decay < 1 and not layers_of(model).count:
        raise ModelError(
            f"train.layer_decay={train.layer_decay:g}: {model.config.model_type} has no layers that can be distinguished; set 1"
        )


def _require_packages(train: TrainConfig) -> None:
    if train.adapter == "lora" and find_spec("peft") is None:
        raise ConfigError(f"train.adapter=lora needs peft; {_install('lora')}")
    if train.optimizer == "adamw_8bit" and find_spec("bitsandbytes") is None:
        raise ConfigError(f"train.optimizer=adamw_8bit needs bitsandbytes; {_install('adamw-8bit')}")


def _install(extra: str) -> str:
    return f"install it with `python -m pip install --constraint constraints.txt 'stagewright[{extra}]'`"
