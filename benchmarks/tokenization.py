"""The tokenize stage beside the tutorial recipe for token classification: CPU seconds, wall-clock seconds, same bytes.

    python -m benchmarks.tokenization [FILE.conll] [--copies 10] [--repeats 5] [--one-process] [--tokenizer FOLDER]

The recipe is `dataset.map` over batches: the tokenizer on the words, then a loop over `word_ids()` that puts each
word's label on its first sub-word. The stage reads the same rows from disk, aligns them, writes its output and its
metrics. The two take turns, each run in a process of its own; imports and the recipe's loading of its tokenizer are not
counted. Copies favour the stage, which tokenizes each distinct word once: `--copies 1` shows it without. Without a file,
sentences are made up, none repeated, their words as unevenly frequent as in real ones.
"""

import argparse
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

Sentence: TypeAlias = list[tuple[str, str]]
Figures: TypeAlias = dict[str, Any]

ROOT = Path(__file__).resolve().parent.parent
SIDES = ("recipe", "stage")


def main() -> None:
    """Prepare the rows, run both sides in turn and print the table."""
    options = _options()
    if options.side:
        print(json.dumps(_recipe(Path.cwd()) if options.side == "recipe" else _stage(Path.cwd())))
        return
    sentences = _read(options.file) * options.copies if options.file else _made_up(3_394 * options.copies)
    with tempfile.TemporaryDirectory() as folder:
        _prepare(sentences, options.tokenizer, Path(folder))
        runs: dict[str, list[Figures]] = {side: [] for side in SIDES}
        for _ in range(options.repeats):
            for side in SIDES:
                runs[side].append(_in_a_process(side, Path(folder), one_process=options.one_process))
    _report(runs, len(sentences), "one process, one thread" if options.one_process else "all cores")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", help="words in the first column, tags in the last")
    parser.add_argument("--copies", type=int, default=10, help="how often the sentences are repeated")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--one-process", action="store_true", help="without the tokenizer's own threads")
    parser.add_argument("--tokenizer", type=Path, default=ROOT / "models/base/tokenizer")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    return parser.parse_args()


def _read(file: Path) -> list[Sentence]:
    sentences: list[Sentence] = [[]]
    for line in file.read_text(encoding="utf-8").splitlines():
        columns = line.split()
        if columns:
            sentences[-1].append((columns[0], columns[-1]))
        elif sentences[-1]:
            sentences.append([])
    return [sentence for sentence in sentences if sentence]


def _made_up(count: int) -> list[Sentence]:
    chance = random.Random(0)
    letters = "etaoinshrdlucmfwypvbgk"
    words = ["".join(chance.choices(letters, k=chance.randint(1, 9))) for _ in range(30_000)]
    by_rank = [1 / (rank + 3) for rank in range(len(words))]
    tags = ["O"] * 17 + ["B-x", "I-x", "B-y"]
    return [
        [(word, chance.choice(tags)) for word in chance.choices(words, by_rank, k=chance.randint(4, 32))]
        for _ in range(count)
    ]


def _prepare(sentences: Sequence[Sentence], tokenizer: Path, folder: Path) -> None:
    """What the stage finds in its working directory: raw data and the tokenizer."""
    import pyarrow as pa
    from datasets import ClassLabel, Features, List, Value

    from stages.pipeline.arrow import write_splits
    from stages.pipeline.paths import BASE_TOKENIZER, RAW_DATA

    names = sorted({tag for sentence in sentences for _, tag in sentence})
    codes = {name: code for code, name in enumerate(names)}
    features = Features({"id": Value("string"), "tokens": List(Value("string")), "tags": List(ClassLabel(names=names))})
    columns = {
        "id": [str(row) for row in range(len(sentences))],
        "tokens": [[word for word, _ in sentence] for sentence in sentences],
        "tags": [[codes[tag] for _, tag in sentence] for sentence in sentences],
    }
    table = pa.table(columns, schema=features.arrow_schema)
    splits = {"train": [table], "validation": [table.slice(0, 1)], "test": [table.slice(0, 1)]}
    write_splits(splits, features, folder / RAW_DATA)
    (folder / BASE_TOKENIZER).parent.mkdir(parents=True)
    (folder / BASE_TOKENIZER).symlink_to(tokenizer.resolve(strict=True))


def _in_a_process(side: str, folder: Path, *, one_process: bool) -> Figures:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment["TOKENIZERS_PARALLELISM"] = "false" if one_process else "true"
    if one_process:
        environment["RAYON_NUM_THREADS"] = "1"
    command = [sys.executable, "-m", "benchmarks.tokenization", "--side", side]
    done = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE)
    figures: Figures = json.loads(done.stdout)
    return figures


def _recipe(folder: Path) -> Figures:
    from datasets import Dataset, disable_progress_bars, load_from_disk
    from transformers import AutoTokenizer

    from stages.pipeline.paths import BASE_TOKENIZER, RAW_DATA

    disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(folder / BASE_TOKENIZER)

    def tokenize_and_align(examples: Mapping[str, Any]) -> Any:
        encoded = tokenizer(examples["tokens"], truncation=True, is_split_into_words=True)
        encoded["labels"] = []
        for row, tags in enumerate(examples["tags"]):
            labels, before = [], None
            for word in encoded.word_ids(batch_index=row):
                labels.append(-100 if word is None or word == before else tags[word])
                before = word
            encoded["labels"].append(labels)
        return encoded

    with tempfile.TemporaryDirectory() as cache:
        start = _now()
        raw = load_from_disk(str(folder / RAW_DATA / "train"))
        assert isinstance(raw, Dataset)
        mapped = raw.map(tokenize_and_align, batched=True, cache_file_name=f"{cache}/mapped.arrow")
        end = _now()
        return _figures(start, end, mapped)


def _stage(folder: Path) -> Figures:
    from stages.configuration.schema import TokenizeConfig, TokenizeStage
    from stages.pipeline.arrow import load_split
    from stages.pipeline.paths import TOKENIZED_DATA
    from stages.tokenize import tokenize

    config = TokenizeStage(
        "tokens", TokenizeConfig(max_length=512, overflow="windows", stride=128, label_on="first"), "never"
    )
    start = _now()
    tokenize(config)
    end = _now()
    return _figures(start, end, load_split(TOKENIZED_DATA, "train"))


def _now() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


def _figures(start: tuple[float, float], end: tuple[float, float], split: Any) -> Figures:
    """The seconds taken, and digests of each row's sub-words and labels."""
    columns = [split[name][:] for name in ("input_ids", "labels")]
    rows = [hashlib.sha256(repr(row).encode()).hexdigest()[:12] for row in zip(*columns, strict=True)]
    return {"cpu": end[0] - start[0], "wall": end[1] - start[1], "rows": rows}


def _report(runs: Mapping[str, Sequence[Figures]], rows: int, cores: str) -> None:
    print(f"{rows:,} sentences, {len(runs['recipe'])} repeats, {cores}")
    print(f"{'':22}{'recipe':>10}{'stage':>10}{'ratio':>8}")
    for measure, choose in (("cpu", min), ("cpu", statistics.median), ("wall", min), ("wall", statistics.median)):
        recipe, stage = (choose(run[measure] for run in runs[side]) for side in SIDES)
        print(f"{measure} seconds, {choose.__name__:7}{recipe:13.2f}{stage:10.2f}{recipe / stage:8.1f}")
    recipe_rows, stage_rows = (runs[side][0]["rows"] for side in SIDES)
    differing = sum(ours != theirs for ours, theirs in zip(stage_rows, recipe_rows, strict=True))
    print(f"identical: {f'no, {differing} rows differ' if differing else 'yes'}")


if __name__ == "__main__":
    main()
