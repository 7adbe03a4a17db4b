"""Stagewright: a DVC pipeline that fine-tunes transformer encoders, in five stages."""

import gc
import os

from stages.pipeline.orphans import end_with_dvc

gc.set_threshold(100_000, 20, 100)
"""Importing transformers makes millions of objects that stay; looking through them every 700, Python's default, takes
half a second of a stage's start."""

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
"""PyTorch's threads wait for each other thousands of times a second, and by themselves they keep their core busy meanwhile for
300,000 turns. Two trainings on the same two cores then take 5.2 s a step of MiniLM on WNUT 17; after 10,000 turns each 0.5, after
1,000 0.28. But to wake up takes time: alone, 1,000 are 5 to 15 % slower than 10,000, and more turns are no faster."""

end_with_dvc()  # before the seconds that a stage's imports take
