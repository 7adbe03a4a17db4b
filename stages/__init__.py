"""Stagewright: a DVC pipeline that fine-tunes transformer encoders, in five stages."""

import gc
import os

from stages.pipeline.orphans import end_with_dvc

gc.set_threshold(100_000, 20, 100)
"""Importing transformers makes millions of objects that stay; looking through them every 700, Python's default, takes
half a second of a stage's start."""

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
"""PyTorch's threads wait for each other thousands of times a second, and as a rule they keep their core busy meanwhile. On idle
cores that is no faster than to sleep after a moment; two trainings on the same two cores took 15 times as long with it."""

end_with_dvc()  # before the seconds that a stage's imports take
