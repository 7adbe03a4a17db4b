"""Logits to texts and words again, and their headline scores: what train and evaluate ask of a task."""
