"""`python -m website`: build the site; a tutorial that was not run since its code changed is run first."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sparcl_ref import command_line
from sparcl_ref.command_line import Refused
from tests.tutorials.executed import FOLDER_VARIABLE
from website import build

PROGRAM = "website"
#: One module of each distribution that makes the site and runs notebooks.
NEEDED = ("sphinx", "myst_nb", "furo", "sphinx_copybutton", "mathjax", "jupytext", "nbclient", "ipykernel", "torch")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line as a namespace."""
    parser = command_line.Parser(
        prog=f"python -m {PROGRAM}", description=__doc__, epilog="example: python -m website --out build/site"
    )
    parser.add_argument("--out", type=Path, default=Path("build/site"), metavar="DIR", help="the site [build/site]")
    parser.add_argument(
        "--executed",
        type=Path,
        default=Path(os.environ.get(FOLDER_VARIABLE) or "build/executed"),
        metavar="DIR",
        help=f"where notebooks that were run are kept [{FOLDER_VARIABLE} of the environment, or build/executed]",
    )
    parser.add_argument(
        "--work", type=Path, default=Path("build/website"), metavar="DIR", help="what Sphinx reads [build/website]"
    )
    return parser.parse_args(arguments)


def execute(arguments: Sequence[str]) -> int:
    """Returns 0 if the site stands, 1 if a tutorial failed or Sphinx warned."""
    options = parse(arguments)
    lacking = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if lacking:
        raise Refused(f"there is no {', '.join(lacking)} here; pip install '.[test,docs]' brings what makes the site")
    if options.out.exists() and any(options.out.iterdir()) and not (options.out / build.INVENTORY).exists():
        raise Refused(f"{options.out} holds something that is no site, and would be replaced; choose another --out")
    code = build.site(options.out.resolve(), executed=options.executed.resolve(), work=options.work.resolve())
    if code == 0:
        print(options.out / "index.html")
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return command_line.main_guard(PROGRAM, execute, arguments)


if __name__ == "__main__":
    sys.exit(main())
