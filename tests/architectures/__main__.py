"""Put every architecture through the pipeline: write `results.json`, and the table of families in docs/models.md from it.

`make architectures` runs this, in about 40 minutes on one core. With names of families it prints what becomes of these alone.
"""

import json
import logging
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from transformers.utils import logging as transformers_logging

from stages.configuration.schema import Kind
from tests.architectures.families import TEXT, TOKENS, UNMAKEABLE, write_family
from tests.architectures.families_table import RESULTS, write_table
from tests.architectures.matrix import Outcome, put_through


def outcome_of(family: str, kind: Kind, *, onnx: bool = True) -> Outcome:
    """Return what becomes of a family, in a folder that is removed again."""
    if family in UNMAKEABLE:
        return Outcome(family, kind, "not tried", UNMAKEABLE[family])
    with TemporaryDirectory() as folder:
        write_family(family, Path(folder, "model"))
        return put_through(family, kind, Path(folder, "model"), Path(folder, "work"), onnx=onnx)


def main(chosen: list[str]) -> None:
    """Try the chosen families, or all, and write the results if it is all."""
    warnings.simplefilter("ignore")
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    kinds: dict[Kind, tuple[str, ...]] = {"text": TEXT, "tokens": TOKENS}
    outcomes = list[Outcome]()
    for kind, families in kinds.items():
        for family in families:
            if not chosen or family in chosen:
                outcomes.append(found := outcome_of(family, kind))
                print(
                    f"{kind:7}{family:24}{found.result:10}{found.onnx:10}{' '.join(found.notes)} {found.told}"[:300],
                    flush=True,
                )
    if not chosen:
        RESULTS.write_text(json.dumps([asdict(each) for each in outcomes], indent=1) + "\n", encoding="utf-8")
        write_table()


if __name__ == "__main__":
    main(sys.argv[1:])
