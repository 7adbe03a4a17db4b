"""Peak memory of download and tokenize on a large file: `python -m benchmarks.memory [GIGABYTES]`.

Makes a JSONL file of texts of that size (2 unless told) in a temporary folder, runs both stages on it in processes of
their own, and prints a table. Needs three times the size on disk.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
_SYLLABLES = (
    "an",
    "bel",
    "cor",
    "dim",
    "el",
    "fa",
    "gor",
    "hi",
    "in",
    "ka",
    "lo",
    "mer",
    "no",
    "ost",
    "pa",
    "ri",
    "sa",
    "tu",
)


def write_texts(path: Path, size: float) -> int:
    """Write examples until the file has `size` bytes; returns how many."""
    draw = random.Random(0)
    words = ["".join(draw.choices(_SYLLABLES, k=draw.randint(1, 3))) for _ in range(20_000)]
    stream = draw.choices(words, [1 / rank for rank in range(1, len(words) + 1)], k=1_000_000)
    written = rows = 0
    with path.open("w", encoding="utf-8") as file:
        while written < size:
            start = draw.randrange(len(stream) - 400)
            text = " ".join(stream[start : start + draw.randint(20, 400)])
            written += file.write(json.dumps({"text": f"{text} {rows}", "label": draw.choice("abc")}) + "\n")
            rows += 1
    return rows


def run_stage(stage: str, folder: Path) -> tuple[float, int]:
    """Seconds, and the largest resident size in bytes of any child so far (the stages are run from small to large)."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", f"stages.{stage}"], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("gigabytes", nargs="?", type=float, default=2.0)
    size = parser.parse_args().gigabytes * 1e9
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("stages", "conf"):
            (folder / part).symlink_to(ROOT / part)
        rows = write_texts(folder / "train.jsonl", size)
        write_texts(folder / "test.jsonl", 1e6)
        chosen = ("task=text", "data=files", "data.train=train.jsonl", "data.test=test.jsonl")
        subprocess.run([sys.executable, "-m", "stages.configuration.compose", *chosen], cwd=folder, check=True)
        print(f"{rows:,} texts, {size / 1e9:g} GB\n\n| stage | seconds | peak so far, MB |\n|---|---:|---:|")
        for stage in ("download", "tokenize"):
            seconds, peak = run_stage(stage, folder)
            print(f"| {stage} | {seconds:.0f} | {peak / 1e6:.0f} |", flush=True)


if __name__ == "__main__":
    main()
