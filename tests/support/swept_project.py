"""A project with the real configuration and two stages that take no time to start, for tests of sweeps."""

import subprocess
import sys
from pathlib import Path

from tests.support.workspace import Workspace

_DAG = """
stages:
  tokenize:
    cmd: python stage.py tokenize
    deps: [stage.py]
    params: [data, model, tokenize, task.kind, task.target]
    outs: [data/tokenized]
  train:
    cmd: python stage.py train
    deps: [stage.py, data/tokenized]
    params: [task, train, seed]
    outs: [models/trained]
    metrics: [{metrics/train.json: {cache: false}}]
"""

_STAGE = """
import hashlib, json, math, os, signal, sys, time
import stages  # ends with DVC
from pathlib import Path
from ruamel.yaml import YAML

params = YAML(typ="safe").load(Path("params.yaml").read_text())
seed, rate = params["seed"], params["train"]["learning_rate"]

def say(*words):
    with open(LOG, "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")

def write(name, text):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)

if sys.argv[1] == "tokenize":
    say("tokenize", params["data"]["name"])
    write("data/tokenized", "rows of " + params["data"]["name"])
    sys.exit()

name = f"{seed}-{float(rate):g}"
say("train", name, os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES", ""), os.environ.get("OMP_NUM_THREADS", ""))
if seed == 13:
    print("error: train.learning_rate: 13 brings bad luck; choose another seed", file=sys.stderr)
    sys.exit(1)
if seed == 14:
    os.kill(os.getpid(), signal.SIGKILL)
if seed in (15, 16):
    import torch
    from stages.pipeline.one_line import one_line_errors
    from stages.training.finite import require_finite_scores
    from stages.training.memory import FOR_TRAINING, memory_errors
    with one_line_errors(), memory_errors(FOR_TRAINING):
        if seed == 16:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        line = {"step": 5, "steps": 10, "seconds_left": 1.0, "score": math.nan}
        write(os.environ["STAGEWRIGHT_PROGRESS"], json.dumps(line) + "\\n")
        time.sleep(2)  # until the driver has looked
        require_finite_scores({"accuracy": math.nan}, 5)

checkpoint = Path(os.environ["STAGEWRIGHT_CHECKPOINTS"], name)
checkpoint.parent.mkdir(parents=True, exist_ok=True)
done = json.loads(checkpoint.read_text()) if checkpoint.exists() else []
if done:
    say("resumed", name, len(done))
signal.signal(signal.SIGTERM, lambda *_: (say("stopped", name, len(done)), sys.exit(143)))
epochs = int(params["train"]["epochs"])
score = 1 - abs(float(rate) - 3e-4) * 1000 - seed / 1e6
progress = open(os.environ["STAGEWRIGHT_PROGRESS"], "a")
steps = 5 * epochs
for step in range(len(done), steps):
    while Path(WAIT).exists():
        time.sleep(0.02)
    time.sleep(PAUSE)
    done.append(hashlib.sha256(f"{name} {done[-1:]}".encode()).hexdigest())
    partial = checkpoint.with_name(f"{name}.partial")
    partial.write_text(json.dumps(done))
    partial.rename(checkpoint)
    is_epoch = (step + 1) % 5 == 0
    line = {"step": step + 1, "steps": steps, "seconds_left": 1.0, "score": score * (step + 1) / steps if is_epoch else None}
    progress.write(json.dumps(line) + "\\n")
    progress.flush()
write("models/trained", "\\n".join(done))
write("metrics/train.json", json.dumps({"validation": {"accuracy": score, "f1": score}}))
checkpoint.unlink()
say("trained", name)
"""


class SweptProject(Workspace):
    """Its `train` takes 5 steps an epoch, writes a checkpoint at each, and waits while there is a file `wait` beside it.

    With seed 13 it fails by its configuration, with 14 it is killed, with 15 it diverges, with 16 the GPU's memory is full.
    """

    def __init__(self, root: Path, *, pause: float = 0.02) -> None:
        """`pause`: the seconds of a step."""
        super().__init__(root)
        self.log = root.with_name(f"{root.name}.log")
        self.wait = root.with_name(f"{root.name}.wait")
        self._drivers: list[subprocess.Popen[str]] = []
        (root / "dvc.yaml").write_text(_DAG, encoding="utf-8")
        constants = f"LOG, WAIT, PAUSE = {str(self.log)!r}, {str(self.wait)!r}, {pause}\n"
        (root / "stage.py").write_text(constants + _STAGE, encoding="utf-8")
        self.git("config", "user.name", "tester")
        self.git("config", "user.email", "tester@example.com")
        self.commit("two stages")

    def said(self, *words: str) -> list[list[str]]:
        """The lines of the stages' log that begin with the words, in words."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [line.split() for line in lines if line.split()[: len(words)] == list(words)]

    def experiments(self) -> dict[str, str]:
        """The revision of each experiment, by its name."""
        lines = self.ok("git", "for-each-ref", "--format=%(refname:lstrip=4) %(objectname)", "refs/exps").splitlines()
        return {name: revision for name, _, revision in (line.partition(" ") for line in lines) if "EXEC" not in name}

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a sweep in the background."""
        driver = subprocess.Popen(
            [sys.executable, "-m", "stages.sweep", *arguments], cwd=self.root, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._drivers.append(driver)
        return driver

    def end(self) -> None:
        """Leave no sweep in the background, also if the test has failed."""
        for driver in self._drivers:
            with driver:
                driver.kill()
