"""``python -m sparcl_ref COMMAND``, installed as ``sparcl-ref COMMAND``: one door to all commands."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from sparcl_ref import __version__
from sparcl_ref.command_line import REFUSED, main_guard
from sparcl_ref.text import did_you_mean

PROGRAM = "sparcl-ref"
#: Word to the module whose `main` it calls, and what that does.
COMMANDS = {
    "run": ("sparcl_ref.run", "train and compare continual learners, and report"),
    "sweep": ("sparcl_ref.sweep.__main__", "train a grid of settings over seeds, and show what came of it"),
    "flops": ("sparcl_ref.flops", "what a training costs in FLOPs and bytes, without training"),
    "bench": ("sparcl_ref.bench.__main__", "measure speed and memory beside PyTorch and SciPy"),
    "explore": ("sparcl_ref.explore", "make a page on which a run is gone through by hand"),
    "convert": ("sparcl_ref.convert", "make a data set of a folder of images"),
    "verify": ("sparcl_ref.verify.__main__", "hold another implementation against the reference"),
}


def usage() -> str:
    """What ``--help`` prints."""
    lines = [f"  {word:<8}{does}" for word, (_, does) in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {PROGRAM} COMMAND [options]",
            "",
            "The reference implementation of SparCL, sparse continual learning.",
            "",
            "commands:",
            *lines,
            "",
            "examples:",
            f"  {PROGRAM} run --tiny",
            f"  {PROGRAM} run --help",
            f"  {PROGRAM} --version",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point: hands all but the first word to that word's command; returns the exit code."""
    return main_guard(PROGRAM, dispatch, arguments)


def dispatch(arguments: Sequence[str]) -> int:
    """Find the word's command and run it."""
    word, *rest = arguments or [""]
    if word in ("-h", "--help", "--version"):
        print(f"{PROGRAM} {__version__}" if word == "--version" else usage())
        return 0
    if word not in COMMANDS:
        wrong = f"unknown command {word!r}" if word else "no command given"
        hint = did_you_mean(word, COMMANDS)
        print(f"{PROGRAM}: {wrong}; choose from {', '.join(COMMANDS)}{hint} (see --help)", file=sys.stderr)
        return REFUSED
    return importlib.import_module(COMMANDS[word][0]).main(rest)


if __name__ == "__main__":
    sys.exit(main())
