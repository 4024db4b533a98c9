"""Hold the wrong implementations of `tests.verify.areas` against the cases: `python -m tests.verify.wrong`.

It prints the score, and a line for each entry of which the kit is wrong; with ``--all`` for every one.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sparcl_ref.verify.areas import functions
from sparcl_ref.verify.cases import Case, load_cases
from sparcl_ref.verify.check import check
from tests.verify.assembly import wrong
from tests.verify.spec import Wrong


@dataclass(frozen=True)
class Verdict:
    """What the kit says of one wrong implementation.

    Attributes
    ----------
    entry : Wrong
    area : str
        Where its function belongs.
    cases : int
        Cases the function has.
    failed : tuple of str
        Ids of those it fails with numbers; raising an error is not enough to be caught.
    areas : tuple of str
        Areas the report finds failures in.
    causes : tuple of str
        Likely causes that it names, for whichever case.
    patterns : int
        Failed cases of which it says what the wrong numbers have to do with the right ones.
    """

    entry: Wrong
    area: str
    cases: int
    failed: tuple[str, ...]
    areas: tuple[str, ...]
    causes: tuple[str, ...]
    patterns: int = 0

    @property
    def area_named(self) -> bool:
        return self.areas == (self.area,)

    @property
    def cause_right(self) -> bool:
        """Whether the cause that is listed first is the mistake."""
        return bool(self.causes and self.entry.likely) and self.entry.likely in self.causes[0]

    @property
    def cause_wrong(self) -> bool:
        """Whether it sends the reader after another mistake, which is worse than silence."""
        return bool(self.causes) and not self.cause_right

    def line(self) -> str:
        """For people."""
        state = f"{len(self.failed)} of {self.cases}" if self.failed else "NOT CAUGHT"
        cause = f"; looks like: {self.causes[0]}" if self.causes else ""
        cause = f"; WRONG CAUSE: {self.causes[0]}" if self.cause_wrong else cause
        return f"{self.area:<10} {self.entry.name:<26} {state:>10}  {self.entry.mistake}{cause}"


def judge(entry: Wrong, cases: Iterable[Case]) -> Verdict:
    """Run the cases of one wrong function in this process."""
    own = [case for case in cases if case.function == entry.function]
    report = check({entry.function: entry.implementation}, cases=own)
    off = [outcome for outcome in report.failures if outcome.differences]
    named = Counter(cause for outcome in off for cause in outcome.causes)
    return Verdict(
        entry,
        functions()[entry.function].area,
        len(own),
        tuple(outcome.case.id for outcome in off),
        tuple(row.area for row in report.rows() if row.failed),
        tuple(cause for cause, _ in named.most_common()),
        sum(bool(outcome.pattern) for outcome in off),
    )


def main(arguments: list[str] | None = None, entries: Sequence[Wrong] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.verify.wrong", description=__doc__)
    parser.add_argument("--all", action="store_true", help="a line for each, not only where the kit is wrong")
    every = parser.parse_args(arguments).all
    cases = load_cases()
    verdicts = [judge(entry, cases) for entry in (wrong() if entries is None else entries)]
    missed = [verdict for verdict in verdicts if not (verdict.failed and verdict.area_named) or verdict.cause_wrong]
    for verdict in verdicts if every else missed:
        print(verdict.line())
    total = len(verdicts)
    print(
        f"caught {sum(bool(verdict.failed) for verdict in verdicts)} of {total}, "
        f"right area named {sum(verdict.area_named for verdict in verdicts)} of {total}, "
        f"likely cause right {sum(verdict.cause_right for verdict in verdicts)}, "
        f"wrong {sum(verdict.cause_wrong for verdict in verdicts)}, "
        f"none {sum(not verdict.causes for verdict in verdicts)}"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
