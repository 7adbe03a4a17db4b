"""Quote the strings that DVC, where it composes `params.yaml`, would read back as something else.

It writes YAML 1.1 by OmegaConf, and reads YAML 1.2, in which `0o17` is a number, and U+0085 within quotes of one kind a space.
"""

import re

from omegaconf._utils import OmegaConfDumper, get_omega_conf_dumper
from yaml import Dumper, ScalarNode

_READ_OTHERWISE = re.compile(r"0o[0-7]+\Z|.*[\x85\u2028\u2029]", re.DOTALL)


def _represent(dumper: Dumper, text: str) -> ScalarNode:
    node = OmegaConfDumper.str_representer(dumper, text)
    if _READ_OTHERWISE.match(text):
        node.style = '"'
    return node


get_omega_conf_dumper().add_representer(str, _represent)
