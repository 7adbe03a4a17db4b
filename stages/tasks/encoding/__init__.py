"""Examples to rows of sub-words: what the tokenize stage asks of a task."""
