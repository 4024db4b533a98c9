"""Hold wrong implementations against the conformance cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sparcl_ref.verify.cases import Case
from sparcl_ref.verify.check import check
from tests.verify.wrong.entry import Wrong


@dataclass(frozen=True)
class Verdict:
    """What the kit says of one wrong implementation.

    Attributes
    ----------
    entry : Wrong
    cases : int
        Cases the function has.
    failed : tuple of str
        Ids of those it fails.
    areas : tuple of str
        Areas the report finds failures in.
    causes : tuple of str
        Likely causes that it names for at least half of the failed cases: one lucky guess is no diagnosis.
    """

    entry: Wrong
    cases: int
    failed: tuple[str, ...]
    areas: tuple[str, ...]
    causes: tuple[str, ...]

    @property
    def caught(self) -> bool:
        """Whether the numbers of some case are off; raising an error is not enough."""
        return bool(self.failed)

    @property
    def area_named(self) -> bool:
        return self.areas == (self.entry.area,)


def judge(entry: Wrong, cases: Iterable[Case]) -> Verdict:
    """Run the cases of one wrong function in this process."""
    own = [case for case in cases if case.function == entry.function]
    report = check({entry.function: entry.broken}, cases=own)
    off = [outcome for outcome in report.failures if outcome.differences]
    areas = tuple(row.area for row in report.rows() if row.failed)
    named = Counter(cause for outcome in off for cause in outcome.causes)
    causes = tuple(cause for cause, times in named.most_common() if 2 * times >= len(off))
    return Verdict(entry, len(own), tuple(outcome.case.id for outcome in off), areas, causes)


def score(entries: Sequence[Wrong], cases: Iterable[Case]) -> list[Verdict]:
    """One verdict for each entry, in order."""
    cases = list(cases)
    return [judge(entry, cases) for entry in entries]
