"""Stagewright: a DVC pipeline that fine-tunes transformer encoders, in five stages."""

import gc
import logging
import os

from stages.pipeline.orphans import end_with_dvc

gc.set_threshold(100_000, 20, 100)
"""Importing transformers makes millions of objects that stay. Python's default looks for garbage every 700 new objects,
which costs half a second of a stage's start."""

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
"""PyTorch's threads wait for each other thousands of times a second, and by default spin 300,000 times before they sleep.
Two trainings on the same two cores then take 5.2 s a step of MiniLM on WNUT 17; with 10,000 spins 0.5 s, with 1,000 0.28 s.
A training that runs alone is 5 to 15 % slower with 1,000 than with 10,000, and no faster with more."""

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
"""The Trainer imports it where it is installed, and it warns of a kernel for weights in 4 bits."""

end_with_dvc()  # before the seconds that a stage's imports take
