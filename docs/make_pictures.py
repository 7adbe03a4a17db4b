"""`python docs/make_pictures.py`: the pictures of the README, of the run in this folder.

`docs/pictures/terminal.svg` shows the scores that end `make repro`; `docs/pictures/report.png` shows the head of the report.
Run it in the root of a clone in which `make repro` has finished. It needs Chromium.
"""

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

FOLDER = Path(__file__).parent / "pictures"
COLUMNS = 80
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SVG = """\
<svg class="terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<title>{unique_id}</title>
<style>
text {{ font-family: "Fira Code", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px; white-space: pre }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""
"""Rich's own template loads its font from a CDN; this one takes what the reader has."""


def printed(*modules: str) -> str:
    """Return what `python -m MODULE …` prints."""
    return subprocess.run([sys.executable, "-m", *modules], capture_output=True, text=True, check=True).stdout


def draw_terminal(path: Path) -> None:
    """Draw `make repro` and the summary that it ends with. Refuse one with notes, which say that scores are stale."""
    summary = printed("stages.reporting.summary")
    if "\nnote: " in summary:
        sys.exit("error: the scores are stale; run `make repro` first")
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.assemble(("$ ", "bold green"), ("make repro", "bold")))
    console.print(Text("…", style="dim"))
    for line in summary.splitlines():
        console.print(Text(line))
    console.print()
    svg = console.export_svg(title="make repro", theme=MONOKAI, code_format=SVG, unique_id="terminal")
    path.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")


def draw_report(path: Path, width: int = 1280, height: int = 900) -> None:
    """Photograph the first screen of the report, as a browser of `width` x `height` pixels shows it."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"error: the picture of the report needs a browser; install one of {', '.join(BROWSERS)}")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.html")
        printed("stages.reporting.write", str(report))
        subprocess.run(
            [
                browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                "--disable-background-networking", f"--user-data-dir={folder}/profile", "--virtual-time-budget=3000",
                "--blink-settings=preferredColorScheme=1", f"--window-size={width},{height}",
                f"--screenshot={path}", report.as_uri(),
            ],
            capture_output=True, check=True, timeout=120,
        )  # fmt: skip


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    draw_terminal(FOLDER / "terminal.svg")
    draw_report(FOLDER / "report.png")
    for picture in sorted(FOLDER.iterdir()):
        print(f"{picture}: {picture.stat().st_size / 1e3:.0f} kB")
