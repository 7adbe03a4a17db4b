"""The environment that the tutorial's recipe runs in: what `stages` sets for its own processes is put back for it."""

import os

_AS_LIBRARIES_HAVE_IT = {
    "GOMP_SPINCOUNT": "300000",  # libgomp's own, as its source has it
    "LRU_CACHE_CAPACITY": "1024",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "1024",
}
"""What `stages/__init__.py` sets, with the values that hold where nothing is set."""


def recipe_environment() -> dict[str, str]:
    """This process's environment, without what belongs to Stagewright; the Hub is left alone."""
    return {**os.environ, **_AS_LIBRARIES_HAVE_IT, "HF_HUB_OFFLINE": "1"}
