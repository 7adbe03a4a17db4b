"""Stagewright: a DVC pipeline that fine-tunes transformer encoders, in five stages."""

import gc

from stages.pipeline.orphans import end_with_dvc

gc.set_threshold(100_000, 20, 100)
"""Importing transformers makes millions of objects that stay; looking through them every 700, Python's default, takes
half a second of a stage's start."""

end_with_dvc()  # before the seconds that a stage's imports take
