"""What `dvc exp run -S` needs to compose conf/: DVC finds it by .dvc/config, and the code is that of the environment."""

from stagewright.code_path import make_importable

make_importable()

import stages.configuration.hydra_plugins.fingerprint
import stages.configuration.hydra_plugins.no_environment
from stages.configuration.hydra_plugins.resets import TellResets
