"""Hold wrong implementations against the conformance cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sparcl_ref.verify.cases import Case
from sparcl_ref.verify.check import check
from tests.verify.wrong.entry import Wrong
from tests.verify.wrong.likely import LIKELY


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
        Likely causes that it names, for whichever case.
    patterns : int
        Failed cases of which it says what the wrong numbers have to do with the right ones.
    """

    entry: Wrong
    cases: int
    failed: tuple[str, ...]
    areas: tuple[str, ...]
    causes: tuple[str, ...]
    patterns: int = 0

    @property
    def caught(self) -> bool:
        """Whether the numbers of some case are off; raising an error is not enough."""
        return bool(self.failed)

    @property
    def area_named(self) -> bool:
        return self.areas == (self.entry.area,)

    @property
    def cause_right(self) -> bool:
        """Whether the cause that is listed first is the mistake."""
        words = LIKELY.get(self.entry.name)
        return bool(self.causes) and words is not None and words in self.causes[0]

    @property
    def cause_wrong(self) -> bool:
        """Whether it sends the reader after another mistake, which is worse than silence."""
        return bool(self.causes) and not self.cause_right


def judge(entry: Wrong, cases: Iterable[Case]) -> Verdict:
    """Run the cases of one wrong function in this process."""
    own = [case for case in cases if case.function == entry.function]
    report = check({entry.function: entry.broken}, cases=own)
    off = [outcome for outcome in report.failures if outcome.differences]
    areas = tuple(row.area for row in report.rows() if row.failed)
    named = Counter(cause for outcome in off for cause in outcome.causes)
    causes = tuple(cause for cause, _ in named.most_common())
    patterns = sum(bool(outcome.pattern) for outcome in off)
    return Verdict(entry, len(own), tuple(outcome.case.id for outcome in off), areas, causes, patterns)


def score(entries: Sequence[Wrong], cases: Iterable[Case]) -> list[Verdict]:
    """One verdict for each entry, in order."""
    cases = list(cases)
    return [judge(entry, cases) for entry in entries]
