"""A full disk and a place that is not ours: one line, exit status 1, everything as it was."""

import errno
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stages.pipeline.errors import DataError, OutputError
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.outputs import scratch_directory, whole_directory, whole_file
from tests.support.imports import ROOT
from tests.support.small_project import REPRODUCE, SmallProject

PYTHON = shlex.quote(sys.executable)

WRITERS = {
    "text": "(folder / 'file').write_text('x' * 5_000_000)",
    "arrow": "import pyarrow as pa; t = pa.table({'a': a});"
    " w = pa.ipc.new_stream(str(folder / 'file'), t.schema); w.write_table(t); w.close()",
    "parquet": "import pyarrow as pa, pyarrow.parquet as pq; pq.write_table(pa.table({'a': a}), folder / 'file')",
    "safetensors": "from safetensors.numpy import save_file; save_file({'a': a}, folder / 'file')",
    "torch": "import torch; torch.save(torch.from_numpy(a), folder / 'file')",
    "copy": "import shutil, sys; shutil.copyfile('large', folder / 'file')",
}


@pytest.fixture(scope="module", autouse=True)
def _mounts() -> None:
    if shutil.which("unshare") is None or in_namespace("true").returncode:
        pytest.skip("this system lets us mount nothing")


def in_namespace(script: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a shell script as one who may mount, which nobody else sees."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = ["unshare", "--map-root-user", "--mount", "sh", "-ec", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("writer", WRITERS.values(), ids=list(WRITERS))
def test_a_full_disk_is_told_in_one_line_and_leaves_the_old_output(writer: str, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "large").write_bytes(bytes(5_000_000))
    script = f"""
import numpy as np
from pathlib import Path
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.outputs import whole_directory
a = np.random.default_rng(0).random(1_000_000)
out = Path("small/out")
out.mkdir()
(out / "old").touch()
try:
    with one_line_errors(), whole_directory(out) as folder:
        {writer}
finally:
    print([file.as_posix() for file in sorted(Path("small").rglob("*"))])
"""
    (tmp_path / "write.py").write_text(script, encoding="utf-8")
    done = in_namespace(f"mount -t tmpfs -o size=1m none small; exec {PYTHON} write.py", tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: small/out: can't be written, the disk is full; free some space and run again\n"
    assert done.stdout == "['small/out', 'small/out/old']\n"


def test_a_read_only_place_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "fixed").mkdir()
    write = "from pathlib import Path; from stages.pipeline.json_files import write_json;"
    write += "from stages.pipeline.one_line import one_line_errors\nwith one_line_errors(): write_json(Path('fixed/out'), {})"
    done = in_namespace(f'mount -t tmpfs -o ro none fixed; exec {PYTHON} -c "{write}"', tmp_path)
    assert done.returncode == 1
    told = "error: fixed/out: can't be written, permission is denied; make its folder writable and run again\n"
    assert done.stderr == told


@pytest.mark.slow
def test_a_disk_that_fills_up_under_dvc_costs_nothing_once_there_is_space(tmp_path: Path) -> None:
    project = SmallProject(tmp_path / "project")
    project.ok(*REPRODUCE)
    project.commit("ran")
    # the stage fills the disk when it has written what it makes, so that it is DVC who finds it full
    fill = "open('fill', 'wb').write(bytes(4096 * (__import__('shutil').disk_usage('.').free // 4096)))"
    script = f"""
mkdir ../full; mount -t tmpfs -o size=3m none ../full; cp -r . ../full/project; cd ../full/project
printf "%s\n" "{fill}" >> stage.py
{shlex.join(REPRODUCE)} || echo "full: $?"
rm fill; git checkout -q stage.py
{shlex.join(REPRODUCE)}; git diff --stat
"""
    done = in_namespace(script, project.root)
    assert "full: 1\n" in done.stdout, done.stdout + done.stderr
    assert "No space left on device" in done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("Data and pipelines are up to date.\n")


# Which faults are the disk's


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG])
@pytest.mark.parametrize("block", [whole_directory, whole_file, scratch_directory])
def test_what_only_writing_raises_is_told_wherever_it_comes_from(block: object, number: int, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="out: can't be written, "), block(tmp_path / "out"):  # type: ignore[operator]
        raise OSError(number, os.strerror(number))
    assert not any(tmp_path.iterdir())


def test_a_refusal_beside_the_output_is_its_own_and_elsewhere_is_not(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="out/models: can't be written"), whole_directory(tmp_path / "out/models"):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "out/.models.partial/file"))
    with pytest.raises(PermissionError), whole_directory(tmp_path / "out/models"):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "input"))


def test_the_innermost_output_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="inner: can't be written"),
        scratch_directory(tmp_path / "outer"),
        whole_file(tmp_path / "inner"),
    ):
        raise OSError(errno.ENOSPC, "")


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    for error in (ValueError("a"), FileNotFoundError(errno.ENOENT, "b"), DataError("c")):
        with pytest.raises(type(error)), whole_directory(tmp_path / "out"):
            raise error


def test_a_full_disk_anywhere_else_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), one_line_errors():
        raise OSError(errno.ENOSPC, "No space left on device", "models/checkpoints/x")
    assert capsys.readouterr().err.startswith("error: models/checkpoints/x: can't be written, the disk is full; ")
