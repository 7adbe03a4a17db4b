"""Stagewright: a DVC pipeline that fine-tunes transformer encoders, in five stages."""

import gc

gc.set_threshold(100_000, 20, 100)
"""Importing transformers makes millions of objects that stay; looking through them every 700, Python's default, takes
half a second of a stage's start."""
