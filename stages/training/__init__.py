"""The train stage's parts: the recipe, the trainer, the curves, and processes that share a batch."""
