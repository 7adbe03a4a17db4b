"""The pipeline on data that mean harm, from a private repository: nothing of them is run, and no secret is kept.

One run serves all tests: labels, texts, ids, names and the folder itself hold what shells, browsers, spreadsheets,
Markdown and terminals act on; the token is planted in the environment; the home folder's name is known.
"""

import csv
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.support import hub_server
from tests.support.browser import opened
from tests.support.hub_server import COMMIT, HubServer, Repo, files_in
from tests.support.imports import ROOT
from tests.support.tiny import write_tiny_model
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow

TOKEN, STORED_TOKEN = "hf_plantedInTheEnvironment", "hf_plantedInTheHubsOwnStore"
HOME = "home-of-somebody"
SHELL = "$(touch touched)`touch touched`';touch touched;\""
PAGE = "</script><img src=x onerror=alert(1)>"
LABELS = [
    SHELL, PAGE, "=cmd|'/C touch touched'!A0", "-rf *", "@SUM(1+1)", "two\nlines", "\x1b[2Jcleared\x9b31m", "left\u202eright",
    "<DVC_METRIC_DATA>", "a|b\\|c", "[x](javascript:alert(1))",
]  # fmt: skip
NAME = f"named {SHELL} {PAGE}"
TRAIN, TEST = "the data/train $(touch touched).parquet", "the data/-rf 'test'.parquet"


@dataclass
class Ran:
    """The workspace after the run, and all that the commands have printed."""

    workspace: Workspace
    hub: HubServer
    environment: dict[str, str]
    printed: list[str] = field(default_factory=list)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        done = self.workspace.run(*command, **(self.environment | environment))
        self.printed.append(done.stdout + done.stderr)
        return done

    def ok(self, *command: str, **environment: str) -> str:
        done = self.run(*command, **environment)
        assert done.returncode == 0, f"{command}\n{self.printed[-1]}"
        return self.printed[-1]


def hostile_data() -> Repo:
    features = {name: {"dtype": "string", "_type": "Value"} for name in ("id", "text", "label")}

    def rows(split: str, count: int) -> dict[str, list[str]]:
        labels = [LABELS[row % len(LABELS)] for row in range(count)]
        return {
            "id": [f"{split} {row} {PAGE} \x1b[31m" for row in range(count)],
            "text": [f"{label} my order {row} {split}" for row, label in enumerate(labels)],
            "label": labels,
        }

    counts = {TRAIN: 66, TEST: 22}
    return Repo(
        {name: hub_server.parquet(rows(name[-13:], count), features) for name, count in counts.items()},
        private=True, readers=[TOKEN],
    )  # fmt: skip


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    home = tmp_path_factory.mktemp("machine") / HOME
    tiny = hub_server.model(files_in(write_tiny_model(home / "model")))
    shutil.rmtree(home / "model")
    tiny.private, tiny.readers = True, [TOKEN]
    with HubServer({"datasets/acme/harm": hostile_data(), "acme/tiny": tiny}, accounts=[STORED_TOKEN]) as hub:
        hugging_face = home / ".cache/huggingface"
        hugging_face.mkdir(parents=True)
        (hugging_face / "token").write_text(STORED_TOKEN)
        environment = hub.environment(hugging_face) | {"HOME": str(home), "HF_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"}
        made = Ran(Workspace(home / "a $(touch touched) 'clone'"), hub, environment)
        write_configuration(made.workspace.root)
        made.ok(sys.executable, "-m", "stages.configuration.compose", "data=harm", "model=harm", "train.max_steps=4")
        made.ok("dvc", "repro")
        for module in ("stages.reporting.write", "stages.reporting.summary"):
            made.ok(sys.executable, "-m", module)
        made.workspace.commit(f"ran on {NAME}")
        yield made


def write_configuration(root: Path) -> None:
    data = {
        "defaults": ["files", "_self_"], "source": "hub", "name": NAME, "kind": "text", "repo": "acme/harm",
        "revision": COMMIT, "train": TRAIN, "test": TEST, "validation_fraction": 0.3,
    }  # fmt: skip
    model = {"source": "hub", "name": NAME, "repo": "acme/tiny", "revision": COMMIT}
    for group, content in (("data", data), ("model", model)):
        YAML().dump(content, root / f"conf/{group}/harm.yaml")


# Secrets


def test_no_file_nor_log_nor_git_object_holds_a_token_or_the_home_folder(ran: Ran) -> None:
    assert {request.token for request in ran.hub.requests} >= {TOKEN}  # it was needed, and used
    ran.run("dvc", "exp", "run", "-S", "data.name=${oc.env:HF_TOKEN}")
    ran.run("dvc", "exp", "run", "--queue", "-S", "data.name=${oc.env:HF_TOKEN}")
    ran.run(sys.executable, "-m", "stages.export", "data.name=${oc.env:HF_TOKEN}")
    ran.run(sys.executable, "-m", "stages.download", "data.repo=acme/nowhere")
    root = ran.workspace.root
    objects = subprocess.run(
        ["git", "cat-file", "--batch", "--batch-all-objects"], cwd=root, capture_output=True, check=True
    ).stdout
    assert b"stages" in objects
    places = {"git objects": objects, "what was printed": "".join(ran.printed).encode()}
    places |= {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}
    assert {"params.yaml", "dvc.lock", "models/export/README.md", "metrics/report.html"} <= places.keys()
    secrets = [TOKEN.encode(), STORED_TOKEN.encode()]
    assert [place for place, content in places.items() if any(secret in content for secret in secrets)] == []
    of_dvc_itself = (".dvc/tmp/", ".git/")  # notes on this machine, which go nowhere
    kept = {place: content for place, content in places.items() if not place.startswith(of_dvc_itself)}
    assert [place for place, content in kept.items() if HOME.encode() in content] == []


# Shells


def test_nothing_from_data_or_configuration_reaches_a_shell(ran: Ran) -> None:
    machine = next(parent for parent in ran.workspace.root.parents if parent.name == HOME).parent
    assert list(machine.rglob("touched*")) == []
    assert not (ROOT / "touched").exists()


def test_the_commands_of_the_dag_take_nothing_from_the_parameters() -> None:
    for file in ("dvc.yaml", ".ci/run", "Makefile"):
        assert "${" not in (ROOT / file).read_text(encoding="utf-8"), file


# Browsers, spreadsheets, Markdown


class Elements(HTMLParser):
    """The names of a page's elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)


@pytest.mark.parametrize("command", [("show",), ("diff", "HEAD", "workspace")], ids=["show", "diff"])
def test_plots_are_pages_without_the_labels_elements(ran: Ran, command: tuple[str, ...]) -> None:
    ran.ok("dvc", "plots", *command, "--out", "plots")
    page = ran.workspace.root / "plots/index.html"
    written = page.read_text(encoding="utf-8")
    assert "x3c/script>" in written  # the label is there
    assert "img" not in Elements(written).names
    assert "\x1b" not in written and "\u202e" not in written
    shown, _ = opened(page)
    assert "<img" not in shown and shown.count("<script") == Elements(written).names.count("script")


def test_the_report_is_a_page_without_the_datas_elements(ran: Ran) -> None:
    shown, logged = opened(ran.workspace.root / "metrics/report.html")
    assert logged == ""
    assert "<img" not in shown and shown.count("<script") == 2


@pytest.mark.parametrize("name", ["confusion", "per_label"])
def test_spreadsheets_find_no_formula_in_plots(ran: Ran, name: str) -> None:
    with (ran.workspace.root / f"metrics/plots/{name}.csv").open(newline="", encoding="utf-8") as file:
        cells = {cell for row in csv.reader(file) for cell in row}
    assert any("cmd|" in cell for cell in cells)
    assert [cell for cell in cells if re.match(r"\s*[=+\-@]", cell)] == []
    assert not {character for cell in cells for character in cell if unicodedata.category(character)[0] == "C"}


@pytest.mark.parametrize("name", ["data/report.md", "models/export/README.md"])
def test_markdown_holds_names_as_code_alone(ran: Ran, name: str) -> None:
    text = (ran.workspace.root / name).read_text(encoding="utf-8")
    body = text.rpartition("\n---\n")[2]
    outside = re.sub(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", body)
    assert "touched" in body and "touched" not in outside
    assert not set(outside) & set("<>\x1b\u202e")


# Terminals


def test_what_is_printed_moves_no_cursor(ran: Ran) -> None:
    ran.ok(sys.executable, "-m", "stages.comparison.compare", "HEAD", "workspace")
    ran.ok("dvc", "metrics", "show")
    ran.run(sys.executable, "-m", "stages.download", f"data.text_column='{LABELS[6]}'")
    printed = "".join(ran.printed)
    assert not {c for c in printed if unicodedata.category(c) in ("Cc", "Cf", "Cs")} - {"\n", "\r", "\t"}
    assert r"\x1b[2Jcleared" in printed


# The network


def namespace() -> list[str]:
    """The command that runs another one without any network; none where this machine has no such thing."""
    for command in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if (
            shutil.which("unshare")
            and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
        ):
            return command
    return []


def trace(folder: Path) -> list[str]:
    """The command that notes the addresses that another one uses, native libraries too; none where it is not at hand."""
    if shutil.which("strace") is None:
        return []
    return ["strace", "--follow-forks", f"--output={folder / 'trace'}", "--trace=connect,sendto,sendmsg,sendmmsg"]


def addresses(folder: Path) -> list[str]:
    """Whom the commands looked up or connected to, outside this machine."""
    noted = folder / "sockets"
    looked_up = noted.read_text(encoding="utf-8").splitlines() if noted.exists() else []
    inside = re.compile(r"socket\.\w+ (\('(127\.0\.0\.1|::1)'|'/|b'\\x00|'localhost')")
    traced = (folder / "trace").read_text(encoding="utf-8").splitlines() if (folder / "trace").exists() else []
    native = [line for line in traced if "AF_INET" in line and "127.0.0.1" not in line and '"::1"' not in line]
    return [line for line in looked_up if not inside.match(line)] + native


def test_with_a_warm_cache_the_pipeline_asks_nobody(ran: Ran, tmp_path: Path) -> None:
    before = ran.workspace.hashes()
    watched = {"PYTHONPATH": str(ROOT / "tests/support/watched"), "SOCKETS": str(tmp_path / "sockets")}
    done = ran.ok(*trace(tmp_path), *namespace(), "dvc", "repro", "--force", **watched)
    assert done.count("Running stage") == 5
    assert ran.workspace.hashes() == before
    assert addresses(tmp_path) == []
    elsewhere = "import socket; socket.socket().connect_ex(('192.0.2.1', 9))"  # an address of nobody
    ran.ok(*trace(tmp_path), *namespace(), sys.executable, "-c", elsewhere, **watched)
    assert len(addresses(tmp_path)) == len(["from Python", *trace(tmp_path)[:1]])  # else it was not watched
