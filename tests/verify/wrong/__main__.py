"""Print the score: `python -m tests.verify.wrong`, with `--all` a line for every wrong implementation."""

from __future__ import annotations

import argparse
import sys

from sparcl_ref.verify.cases import load_cases
from tests.verify.wrong import WRONG
from tests.verify.wrong.score import Verdict, score


def line(verdict: Verdict) -> str:
    entry = verdict.entry
    state = f"{len(verdict.failed)} of {verdict.cases}" if verdict.caught else "NOT CAUGHT"
    cause = f"; looks like: {verdict.causes[0]}" if verdict.causes else ""
    cause = f"; WRONG CAUSE: {verdict.causes[0]}" if verdict.cause_wrong else cause
    return f"{entry.area:<10} {entry.name:<26} {state:>10}  {entry.mistake}{cause}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.verify.wrong", description=__doc__)
    parser.add_argument("--all", action="store_true", help="a line for each, not only where the kit is wrong")
    every = parser.parse_args(arguments).all
    verdicts = score(WRONG, load_cases())
    missed = [verdict for verdict in verdicts if not (verdict.caught and verdict.area_named) or verdict.cause_wrong]
    for verdict in verdicts if every else missed:
        print(line(verdict))
    total = len(verdicts)
    print(
        f"caught {sum(verdict.caught for verdict in verdicts)} of {total}, "
        f"right area named {sum(verdict.area_named for verdict in verdicts)} of {total}, "
        f"likely cause right {sum(verdict.cause_right for verdict in verdicts)}, "
        f"wrong {sum(verdict.cause_wrong for verdict in verdicts)}, "
        f"none {sum(not verdict.causes for verdict in verdicts)}"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
