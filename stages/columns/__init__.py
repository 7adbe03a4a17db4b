"""The columns of raw and tokenized splits: their names, and their values as flat arrays."""
