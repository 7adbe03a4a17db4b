"""`python -m tests.support.faulty_server …`: the prediction server with a model that fails, or waits, where a text says so.

A batch fails with `FAULT` in one of its texts, and panics with `PANIC`. One with `WAIT` waits for a file `go` to appear.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from stages.predict.predictor import Predictor
from stages.serve.__main__ import main


class Panic(BaseException):
    """As of a library in Rust."""


_label_texts = Predictor.label_texts


def label_texts(self: Predictor, texts: Sequence[str], pairs: Sequence[str] | None = None) -> pa.Table:
    """As the predictor does, but for the faults."""
    joined = " ".join(texts)
    if "FAULT" in joined:
        raise RuntimeError("a tensor has the\nwrong shape")
    if "PANIC" in joined:
        raise Panic("index out of bounds")
    if "WAIT" in joined:
        Path("waits").touch()
        while not Path("go").exists():
            time.sleep(0.01)
    return _label_texts(self, texts, pairs)


if __name__ == "__main__":
    Predictor.label_texts = label_texts  # type: ignore[method-assign]
    main()
