"""The processes that share a training, as torchrun's environment variables tell; a stage without torchrun is one process."""

import os


def is_main_process() -> bool:
    """Whether this process has rank 0, the one that writes files."""
    return os.environ.get("RANK", "0") == "0"


def world_size() -> int:
    """Return how many processes share each batch."""
    return int(os.environ.get("WORLD_SIZE", "1"))
