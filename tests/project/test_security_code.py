"""What the code asks of libraries: none may unpickle, or run code that came with a model, a data set or a metric.

What ruff knows of this it refuses already (`S...` in pyproject.toml).
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.imports import ROOT

MUST_SAY = {"from_pretrained": ("trust_remote_code", False), "torch.load": ("weights_only", True)}
NEVER = {
    "evaluate.load",
    "load_dataset",
    "pandas.read_pickle",
    "pd.read_pickle",
    "joblib.load",
    "numpy.load",
    "np.load",
    "eval",
}


def calls() -> Iterator[tuple[Path, str, ast.Call]]:
    for file in sorted((ROOT / "stages").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield file, ast.unparse(node.func), node


def test_libraries_are_told_to_run_no_code() -> None:
    found = set()
    for file, name, call in calls():
        for wanted, (keyword, value) in MUST_SAY.items():
            if name == wanted or name.endswith(f".{wanted}"):
                found.add(wanted)
                said = {each.arg: ast.unparse(each.value) for each in call.keywords}
                assert said.get(keyword) == str(value), f"{file}:{call.lineno}: {name} without {keyword}={value}"
    assert "from_pretrained" in found


def test_what_unpickles_or_fetches_code_is_not_called() -> None:
    assert [f"{file}:{call.lineno}: {name}" for file, name, call in calls() if name in NEVER] == []
