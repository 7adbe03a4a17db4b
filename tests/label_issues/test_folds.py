"""`--folds`: every label of train is judged by a model that has not seen it, and a finished fold is never run again."""

import json
import subprocess
from pathlib import Path

import pytest

from stages.label_issues.folds import cross_validated
from stages.pipeline.errors import ConfigError
from tests.support.told import told
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow
pytest.importorskip("ray")

_DAG = """
stages:
  tokenize:
    cmd: python stage.py tokenize
    deps: [stage.py]
    params: [data]
    outs: [data/tokenized]
  evaluate:
    cmd: python stage.py evaluate
    deps: [stage.py, data/tokenized]
    params: [data, seed]
    outs: [data/raw, data/predictions/test.parquet, data/predictions/validation.parquet]
    metrics: [{metrics/train.json: {cache: false}}]
"""

_STAGE = """
import json, sys
import stages  # ends with DVC
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from pathlib import Path
from ruamel.yaml import YAML
from stages.scoring.evaluation.predictions_file import Description, described, probability_structs

fold = YAML(typ="safe").load(Path("params.yaml").read_text())["data"]["fold"]
part, parts = map(int, fold.split("/"))
if sys.argv[1] == "tokenize":
    Path("data").mkdir(exist_ok=True)
    Path("data/tokenized").write_text(fold)
    sys.exit()
with open(LOG, "a") as file:
    file.write(fold + "\\n")
if part == 2 and Path(BROKEN).exists():
    print("error: the second part is broken; correct it", file=sys.stderr)
    sys.exit(1)
ids = range(part - 1, 30, parts)
names = ["neg", "pos"]
gold = [names[(row // parts) % 2 if row not in WRONG else 1 - (row // parts) % 2] for row in ids]
of_pos = np.array([0.95 - row / 1000 if (row // parts) % 2 else 0.05 + row / 1000 for row in ids])
columns = {
    "id": [f"train-{row}" for row in ids], "gold": gold, "predicted": [names[int(p > 0.5)] for p in of_pos],
    "probabilities": probability_structs(np.stack([1 - of_pos, of_pos], axis=1), names),
}
Path("data/predictions").mkdir(parents=True, exist_ok=True)
for split in ("test", "validation"):
    pq.write_table(described(pa.table(columns), Description("text", "label", names)), f"data/predictions/{split}.parquet")
rows = pa.table({"id": columns["id"], "text": [f"text {row}" for row in ids]})
Path("data/raw/test").mkdir(parents=True, exist_ok=True)
with pa.ipc.new_stream("data/raw/test/data-00000-of-00001.arrow", rows.schema) as stream:
    stream.write_table(rows)
Path("metrics").mkdir(exist_ok=True)
Path("metrics/train.json").write_text(json.dumps({"validation": {"accuracy": 1.0}}))
"""

WRONG = (4, 13, 26)


@pytest.fixture
def project(tmp_path: Path) -> Workspace:
    """The real configuration, and one stage that predicts 30 texts in no time."""
    made = Workspace(tmp_path / "project")
    (made.root / "dvc.yaml").write_text(_DAG, encoding="utf-8")
    constants = f"LOG, BROKEN, WRONG = {str(tmp_path / 'log')!r}, {str(tmp_path / 'broken')!r}, {WRONG!r}\n"
    (made.root / "stage.py").write_text(constants + _STAGE, encoding="utf-8")
    made.git("config", "user.name", "tester")
    made.git("config", "user.email", "tester@example.com")
    made.commit("one stage")
    return made


def called(project: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    return project.run("python", "-m", "stages.label_issues", "--folds", "2", "-S", "seed=7", *arguments)


def test_a_fold_that_fails_is_told_and_the_others_are_kept(
    project: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, log = tmp_path / "broken", tmp_path / "log"
    broken.touch()
    failed = called(project, "--out", "found.jsonl")
    assert failed.returncode == 1 and not (project.root / "found.jsonl").exists()
    assert "the second part is broken" in failed.stdout
    assert "error: data.fold=2/2: 1 of 2 folds not finished" in failed.stderr.splitlines()[-1]
    broken.unlink()
    before = log.read_text().split()
    assert sorted(set(before)) == ["1/2", "2/2"]
    done = called(project, "--out", "found.jsonl")
    assert done.returncode == 0, done.stdout + done.stderr
    assert log.read_text().split()[len(before) :] == ["2/2"]
    assert "considers 3 gold labels in train wrong" in " ".join(done.stdout.split())
    rows = [json.loads(line) for line in (project.root / "found.jsonl").read_text().splitlines()]
    assert [(row["id"], row["split"], row["text"]) for row in rows] == [
        (f"train-{row}", "train", f"text {row}") for row in WRONG
    ]
    monkeypatch.chdir(project.root)
    with pytest.raises(ConfigError) as error:
        cross_validated(2, ["seed=7", "train.epochs=1,2"])
    assert "makes 4 runs of 2 folds" in told(error)
