"""`python -m stages.reporting.write [PATH]`: the report of the run in the workspace, as one HTML file."""

import argparse
from pathlib import Path

from stages.pipeline.one_line import one_line_errors
from stages.pipeline.outputs import write_text
from stages.pipeline.paths import REPORT
from stages.reporting.from_run import report_of_workspace
from stages.reporting.page import render_report


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m stages.reporting.write", description=__doc__)
    parser.add_argument("path", nargs="?", type=Path, default=REPORT, help=f"where to write it (default: {REPORT})")
    path = parser.parse_args().path
    with one_line_errors():
        write_text(path, render_report(report_of_workspace()))
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; open it in a browser")


if __name__ == "__main__":
    main()
