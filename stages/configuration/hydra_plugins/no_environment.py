"""Values of the environment stay out of `params.yaml`, which git keeps: a token there would be published.

`.dvc/config` names this folder's parent, and so Hydra loads this wherever it composes, inside `dvc exp run` as well.
"""

from typing import NoReturn

from omegaconf import Node, OmegaConf


def _refuse(variable: str, *_default: object, _node_: Node) -> NoReturn:
    """Stands in for OmegaConf's own `oc.env`."""
    raise ValueError(
        f"{_node_._get_full_key(None)}: takes the environment's {variable}, and params.yaml would publish it; write the "
        "value itself, but no secret: tokens are taken from the environment when they are needed"
    )


OmegaConf.register_new_resolver("oc.env", _refuse, replace=True)
