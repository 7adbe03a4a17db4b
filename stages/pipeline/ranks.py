"""Which of several processes that run the same stage this one is."""

import os


def is_main_process() -> bool:
    """Whether this is the process that writes; the only one unless torchrun has started several."""
    return os.environ.get("RANK", "0") == "0"
