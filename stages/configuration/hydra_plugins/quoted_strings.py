"""Quote the strings that DVC, where it composes `params.yaml`, would read back as something else.

It writes YAML 1.1 by OmegaConf, and reads YAML 1.2, in which `0o17` is a number, and U+0085 within quotes of one kind a space.
"""

import re

from omegaconf._utils import OmegaConfDumper, get_omega_conf_dumper
from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode as ReadScalar
from yaml import Dumper, ScalarNode

_STRING = "tag:yaml.org,2002:str"
_PLAIN = (True, False)
"""Says to a resolver that a scalar has no quotes, so that its form tells its type."""
_BREAKS = re.compile("[\x85\u2028\u2029]")
_READER = YAML(typ="safe").resolver


def _represent(dumper: Dumper, text: str) -> ScalarNode:
    node = OmegaConfDumper.str_representer(dumper, text)
    is_plain = node.style is None and dumper.resolve(ScalarNode, text, _PLAIN) == _STRING  # type: ignore[no-untyped-call]
    if _BREAKS.search(text) or (is_plain and _READER.resolve(ReadScalar, text, _PLAIN) != _STRING):
        node.style = '"'
    return node


get_omega_conf_dumper().add_representer(str, _represent)
