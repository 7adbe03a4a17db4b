"""The two kinds of task: how each encodes examples, decodes logits, and tells its predictions."""
