"""`python -m website`: build the site; a tutorial that was not run since its code changed is run first."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.tutorials.executed import FOLDER_VARIABLE
from website import build


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 if the site stands, 1 if a tutorial failed or Sphinx warned."""
    parser = argparse.ArgumentParser(
        prog="python -m website", description=__doc__, epilog="example: python -m website --out build/site"
    )
    parser.add_argument("--out", type=Path, default=Path("build/site"), metavar="DIR", help="the site [build/site]")
    parser.add_argument(
        "--executed",
        type=Path,
        default=Path(os.environ.get(FOLDER_VARIABLE) or "build/executed"),
        metavar="DIR",
        help=f"notebooks that were run, and will be [${FOLDER_VARIABLE}, or build/executed]",
    )
    parser.add_argument("--work", type=Path, default=Path("build/website"), metavar="DIR", help="[build/website]")
    options = parser.parse_args(arguments)
    return build.site(options.out.resolve(), executed=options.executed.resolve(), work=options.work.resolve())


if __name__ == "__main__":
    sys.exit(main())
