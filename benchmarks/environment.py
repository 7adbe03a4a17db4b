"""The environment that the tutorial's recipe runs in: what `stages` sets for its own processes is put back for it."""

import os

_SPINCOUNT = "300000"
"""What libgomp's source has for `GOMP_SPINCOUNT`, which `stages/__init__.py` sets."""


def recipe_environment() -> dict[str, str]:
    """This process's environment, without what belongs to Stagewright; the Hub is left alone."""
    return {**os.environ, "GOMP_SPINCOUNT": _SPINCOUNT, "HF_HUB_OFFLINE": "1"}
