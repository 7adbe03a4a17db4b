"""Speed, memory and faults, measured; each module is a command."""

import stages  # noqa: F401 (before PyTorch, whose threads then wait as they do in a stage)
