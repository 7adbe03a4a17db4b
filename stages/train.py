"""Train: fine-tune the base model. The weights with the best validation score become the trained model."""

from stages.configuration.run_stage import params_or_exit, run_stage

if __name__ == "__main__":
    PARAMS = params_or_exit()

import logging
import time

from stages.configuration.schema import TrainStage
from stages.modeling.compute import compute_record, configure_compute
from stages.pipeline.arrow import load_splits
from stages.pipeline.environment import Compute
from stages.pipeline.json_files import write_json
from stages.pipeline.paths import (
    BASE_TOKENIZER,
    CURVES,
    TOKENIZED_DATA,
    TRAIN_METRICS,
    TRAINED_MODEL,
)
from stages.pipeline.torchrun import is_main_process
from stages.training.applicable import require_applicable
from stages.training.building import build_trainer
from stages.training.checkpoints import checkpoints_of
from stages.training.fitting import resolve_auto
from stages.training.interruption import Interruption
from stages.training.memory import FOR_TRAINING, memory_errors
from stages.training.processes import ending_at_once, shutdown_distributed, start_under_torchrun_if_needed
from stages.training.trained import summary, write_learning_curves, write_trained_model

log = logging.getLogger("stages.train")


def train(config: TrainStage) -> Compute:
    """Write `models/trained/`, `metrics/train.json` and the curves."""
    start_under_torchrun_if_needed(config.train.processes)
    interruption = Interruption()
    with interruption.listening(), memory_errors(FOR_TRAINING):
        configure_compute(
            config.threads, deterministic=config.train.deterministic, is_sharded=config.train.sharding == "full"
        )
        require_applicable(config)
        config = resolve_auto(config)
        checkpoints = checkpoints_of(config)
        with checkpoints.held():
            trainer = build_trainer(config, load_splits(TOKENIZED_DATA), checkpoints, interruption)
            if is_main_process():
                log.info("trained: %d of %d parameters", trainer.parameters.trained, trainer.parameters.all)
            started = time.perf_counter()
            trainer.run()
            log.info("trained to step %d in %.1f s", trainer.state.global_step, time.perf_counter() - started)
            if is_main_process():
                write_trained_model(trainer, config.train, TRAINED_MODEL, BASE_TOKENIZER)
                write_json(TRAIN_METRICS, summary(trainer))
                write_learning_curves(trainer, CURVES)
                checkpoints.remove()
        shutdown_distributed()
    return compute_record(trainer.precision, config.threads, trainer.packing, trainer.compilation)


if __name__ == "__main__":
    with ending_at_once():
        run_stage(train, TrainStage, PARAMS)
