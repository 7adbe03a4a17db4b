"""Keep values of the environment out of `params.yaml`, which is in git: a token there would be published.

`.dvc/config` names this folder's parent, so Hydra loads this module wherever it composes, also inside `dvc exp run`.
"""

from typing import NoReturn

from omegaconf import Node, OmegaConf


def _refuse(variable: str, *_default: object, _node_: Node) -> NoReturn:
    """Replace OmegaConf's own `oc.env`."""
    raise ValueError(
        f"{_node_._get_full_key(None)}: takes the environment's {variable}, and params.yaml would publish it; write the "
        "value itself, but no secret: tokens are taken from the environment when they are needed"
    )


OmegaConf.register_new_resolver("oc.env", _refuse, replace=True)
