"""A real browser, where this machine has one."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


def opened(page: Path, address: str = "") -> tuple[str, str]:
    """The document after its script has run, and what the browser logged."""
    return visited(page.as_uri() + address)


def visited(address: str, *options: str) -> tuple[str, str]:
    """The same of a page at an address."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium is at hand")
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [
                browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                "--enable-logging=stderr", f"--user-data-dir={profile}", "--dump-dom", *options, address,
            ],
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
