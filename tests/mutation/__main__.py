"""The mutation check.

    python -m tests.mutation                         all designed mistakes
    python -m tests.mutation --mechanical 300        none of them, but 300 mechanical changes drawn by --seed
    python -m tests.mutation --mechanical all --only sparcl_ref/masks.py

Each change is made alone on a copy of the tree, and the tests that should notice it run first; the first failure ends
the trial. Exit code 0: everything was noticed or is known to change nothing; 1: something survived; 2: a wrong request.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import sys
import time
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from sparcl_ref.durable import put
from tests.mutation.designed import designed_mistakes, equivalent_changes
from tests.mutation.mechanical import changed_sources, mechanical_changes
from tests.mutation.report import document, survivors, table
from tests.mutation.runner import Change, Outcome, Runner, running
from tests.mutation.suites import SCOPE, stages
from tests.mutation.witnesses import recorded

TREE = Path(__file__).resolve().parents[2]


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--designed", action="store_true", help="all designed mistakes (the default)")
    parser.add_argument("--mechanical", metavar="N", help="N mechanical changes drawn at random, or all")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default 0)")
    parser.add_argument("--only", metavar="PATH", default="", help="only changes of files below this path")
    parser.add_argument("--match", metavar="TEXT", default="", help="only changes whose name contains this")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--quick", action="store_true", help="leave the slowest tests out: more may survive")
    parser.add_argument(
        "--witnesses", metavar="FILE", help="ask first the tests that run the changed lines; the list is kept there"
    )
    parser.add_argument("--minutes", type=float, help="stop taking up changes after this long")
    parser.add_argument("--list", action="store_true", help="name the changes and stop")
    parser.add_argument(
        "--json", metavar="FILE", help="write all outcomes there as they come; go on from what is there"
    )
    return parser


def chosen_changes(arguments: argparse.Namespace) -> list[Change]:
    """What the command line asks for."""
    changes = []
    if arguments.designed or arguments.mechanical is None:
        for mistake in designed_mistakes():
            source = (TREE / mistake.path).read_text()
            changes.append(Change(mistake.name, mistake.path, mistake.changed(source)))
    if arguments.mechanical is not None:
        changes += drawn_changes(arguments.mechanical, arguments.seed, arguments.only, arguments.match)
    return [change for change in changes if change.path.startswith(arguments.only) and arguments.match in change.name]


def drawn_changes(number: str, seed: int, only: str, match: str) -> list[Change]:
    """Mechanical changes of the files in scope, a random sample in random order."""
    sources = {path: (TREE / path).read_text() for path in scope() if path.startswith(only)}
    found = [c for path, source in sources.items() for c in mechanical_changes(path, source) if match in c.name]
    random.Random(seed).shuffle(found)
    if number != "all":
        found = found[: int(number)]
    texts = {
        path: changed_sources(source, {c.index for c in found if c.path == path}) for path, source in sources.items()
    }
    return [Change(c.name, c.path, texts[c.path][c.index], "mechanical", c.lines) for c in found]


def found_before(path: Path | None, changes: list[Change]) -> tuple[list[Outcome], float]:
    """What an earlier run into the same file found out about these changes, and its minutes.

    What survived is tried again: there may be a test for it by now.
    """
    if path is None or not path.exists():
        return [], 0.0
    report = json.loads(path.read_text())
    asked = {change.digest for change in changes}
    outcomes = [Outcome(**record) for record in report["outcomes"]]
    return [outcome for outcome in outcomes if outcome.noticed and outcome.digest in asked], report["minutes"]


def asked(changes: list[Change], arguments: argparse.Namespace) -> AbstractContextManager[Runner]:
    """A runner that asks tests in the order the command line wants."""
    if not arguments.witnesses:
        return running(
            TREE, jobs=arguments.jobs, stages=lambda tree, change: stages(tree, change.path, quick=arguments.quick)
        )
    paths = {change.path for change in changes}
    witnesses = recorded(TREE, Path(arguments.witnesses), paths=sorted(paths), jobs=arguments.jobs)
    ordered = partial(witnesses.stages, quick=arguments.quick)
    return running(TREE, jobs=arguments.jobs, stages=ordered, seconds=witnesses.seconds)


def scope() -> list[str]:
    """Files that mechanical changes are made to."""
    files = []
    for entry in SCOPE:
        files += sorted((TREE / entry).rglob("*.py")) if (TREE / entry).is_dir() else [TREE / entry]
    return [file.relative_to(TREE).as_posix() for file in files]


def main(words: list[str] | None = None) -> int:
    arguments = parser().parse_args(words)
    try:
        changes = chosen_changes(arguments)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if not changes:
        print("no change fits the request; see --list", file=sys.stderr)
        return 2
    if arguments.list:
        print("\n".join(change.name for change in changes))
        return 0
    path = Path(arguments.json) if arguments.json else None
    outcomes, spent = found_before(path, changes)
    known = {outcome.digest for outcome in outcomes}
    started, equivalent = time.monotonic(), equivalent_changes()

    def minutes() -> float:
        return (time.monotonic() - started) / 60

    command = shlex.join(["python", "-m", "tests.mutation", *(sys.argv[1:] if words is None else words)])
    left = [change for change in changes if change.digest not in known]
    with asked(left, arguments) as runner:
        for outcome in runner.run(left):
            outcomes.append(outcome)
            print(f"{len(outcomes)}/{len(changes)} {outcome.outcome}: {outcome.name}", file=sys.stderr, flush=True)
            if path is not None:
                context = {"command": command, "seed": arguments.seed, "minutes": round(spent + minutes(), 1)}
                put(path, f"{json.dumps(document(outcomes, equivalent, **context), indent=1)}\n".encode())
            if arguments.minutes is not None and minutes() > arguments.minutes:
                break
    print(table(outcomes, equivalent))
    print(f"\n{command}: {minutes():.1f} minutes")
    return 1 if survivors(outcomes, equivalent) else 0


if __name__ == "__main__":
    sys.exit(main())
