"""Say which settings of `params.yaml` a `dvc exp run` resets, before it runs a stage: it composes the file anew.

Hydra asks a plugin of this kind where to look for a configuration, each time that it composes one.
"""

import sys
from contextlib import suppress
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

_ROOT = Path(__file__).resolve().parents[3]
_told: list[bool] = []
"""Not empty once the resets were told: a queued sweep composes many times, and finding them composes too."""


class TellResets(SearchPathPlugin):
    """Tells the resets, and leaves the search path as it is."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Compare, where this is `dvc exp run`, `params.yaml` with what its arguments compose to."""
        arguments = sys.argv[1:]
        if _told or not {"exp", "experiments"} & set(arguments) or "run" not in arguments:
            return
        _told.append(True)
        sys.path.insert(0, str(_ROOT))  # DVC has its own
        with suppress(Exception):  # DVC tells what is wrong with its arguments
            from stages.configuration.resets import tell_resets_by_dvc

            tell_resets_by_dvc(arguments)
        sys.path.remove(str(_ROOT))
