"""What a run says, in words: title, two sentences, and what to keep in mind. Pure functions of the table's rows.

Whatever the rows are, each statement has to be true of them: "highest" is a comparison of means, what prints alike is
called alike, and what was not run is not spoken of.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from sparcl_ref.report.numbers import listed, percent, ratio, seconds
from sparcl_ref.report.table import Row, times_fewer

#: Most SparCL entries that the second sentence names.
NAMED = 3
FLOPS = " train FLOPs"


def headline(dataset: str, tasks: int | None, rows: Sequence[Row]) -> str:
    """What was run, as a title.

    Parameters
    ----------
    dataset : str
    tasks : int or None
        None if the runs differ in it.
    rows : sequence of Row
    """
    who = rows[0].name if len(rows) == 1 else f"{len(rows)} learners compared"
    return f"{who} on {dataset}, learned in {tasks} tasks" if tasks and tasks > 1 else f"{who} on {dataset}"


def answer(rows: Sequence[Row]) -> tuple[str, str]:
    """Which method scored highest; and what SparCL saved at what loss of accuracy.

    Returns
    -------
    tuple of two str
        A sentence each.
    """
    return best_sentence(rows), saving_sentence(rows)


def best_sentence(rows: Sequence[Row]) -> str:
    """Who scored highest among those that learn task by task, and what fine-tuning and joint training scored."""
    learners = [row for row in rows if row.method != "joint"]
    joint = [row for row in rows if row.method == "joint"]
    if not learners:
        return f"{_scored(joint)} after training on all tasks at once."
    top = max(_accuracy(row) for row in learners)
    field = f"the {len(learners)} that learn task by task" if joint else f"{len(learners)} learners"
    # Whoever prints as the same number shares the place: the table shows no difference either.
    best = [row for row in learners if percent(_accuracy(row)) == percent(top)]
    if len(learners) == 1:
        sentence = f"After the last task, {_scored(best)}"
    elif len(best) == 1:
        sentence = (
            f"After the last task, {best[0].name} scored highest of {field}, "
            f"with a Class-IL accuracy of {percent(top)} %"
        )
    else:
        sentence = (
            f"After the last task, {listed([row.name for row in best])} share the highest Class-IL accuracy "
            f"of {field}, {percent(top)} %"
        )
    others = [f"{row.name}, which rehearses nothing, ended at {percent(_accuracy(row))} %" for row in learners
              if row.method == "sgd" and not row.sparse and row not in best]  # fmt: skip
    others += [f"{row.name}, which sees all tasks at once, reached {percent(_accuracy(row))} %" for row in joint]
    return f"{sentence}; {'; '.join(others)}." if others else f"{sentence}."


def saving_sentence(rows: Sequence[Row]) -> str:
    """Train FLOPs (exact count) and accuracy of SparCL entries against the dense entry of the same method."""
    sparse = [row for row in rows if row.sparse]
    if not sparse:
        return "SparCL was not among them, so this run does not say what it saves."
    reference, compared = comparison(rows)
    if reference is None:
        methods = listed([row.name for row in sparse])
        return f"The dense method under {methods} was not run beside it, so this run does not say what SparCL saves."
    trades = [_trade(row, reference) for row in compared]
    clauses = [trades[0].full()]
    clauses += [now.short() if now.like(before) else now.full() for before, now in itertools.pairwise(trades)]
    return f"Against {reference.name}, {'; '.join(clauses)}."


def comparison(rows: Sequence[Row]) -> tuple[Row | None, list[Row]]:
    """The dense entry and the SparCL entries over the same method that the second sentence compares.

    DER++ comes first, then whichever SparCL entry does. Of several dense entries the one with the SparCL entries' head
    is taken, so that the difference is SparCL's alone. More than three SparCL entries are represented by the first,
    the most accurate and the cheapest.
    """
    methods = dict.fromkeys(["derpp", *(row.method for row in rows if row.sparse)])
    for method in methods:
        sparse = [row for row in rows if row.sparse and row.method == method]
        dense = [row for row in rows if not row.sparse and row.method == method]
        if sparse and dense:
            reference = min(dense, key=lambda row: row.head != sparse[0].head)
            if len(sparse) > NAMED:
                cheapest = min(sparse, key=lambda row: row.train_flops["exact"].mean or math.inf)
                chosen = (sparse[0], max(sparse, key=_accuracy), cheapest)
                sparse = [row for row in sparse if any(row is each for each in chosen)]
            return reference, sparse
    return None, []


def caveats(rows: Sequence[Row], records: Sequence[dict[str, Any]]) -> list[str]:
    """What to keep in mind when reading the two sentences; a sentence each."""
    notes = []
    if min(len(row.seeds) for row in rows) == 1:
        notes.append(
            "There is one seed: small differences may be chance. --seeds 5 repeats the run and shows the spread."
        )
    notes += _close_call(rows)
    reference, compared = comparison(rows)
    if reference is not None and any(row.head != reference.head for row in compared):
        notes.append(
            f"{reference.name} was trained with the {reference.head} head and SparCL with another, "
            "which changes accuracy by itself; --head sets it."
        )
    warned: dict[str, dict[str, None]] = {}
    for record in records:
        for line in record.get("warnings", []):
            warned.setdefault(line, {})[record["name"]] = None
    notes += [f"Warning of {listed(list(names))}: {line.rstrip('.')}." for line, names in warned.items()]
    return notes


def _close_call(rows: Sequence[Row]) -> list[str]:
    """A note if the two highest differ by less than the larger of their standard deviations."""
    ranked = sorted((row for row in rows if row.method != "joint"), key=_accuracy, reverse=True)[:2]
    spreads = [row.class_il_accuracy.std for row in ranked]
    if len(ranked) < 2 or None in spreads or _accuracy(ranked[0]) - _accuracy(ranked[1]) >= max(spreads):
        return []
    names = listed([row.name for row in ranked])
    return [f"{names} differ by less than a standard deviation over seeds: this run does not tell them apart."]


def _accuracy(row: Row) -> float:
    return row.class_il_accuracy.mean


def _scored(rows: Sequence[Row]) -> str:
    return listed([f"{row.name} has a Class-IL accuracy of {percent(_accuracy(row))} %" for row in rows])


class _Trade(NamedTuple):
    """What an entry saved and lost: amounts as they are printed, and the words that go with them; "" for no amount."""

    name: str
    cost: str
    cost_words: str
    accuracy: str
    accuracy_words: str
    verb: str

    def full(self) -> str:
        """ "SparCL-DER++ .90 took 7.7 times fewer train FLOPs and lost 3.1 points of accuracy"."""
        cost = f" took {_spaced(self.cost, self.cost_words)} and" if self.cost_words else ""
        return f"{self.name}{cost} {self.verb} {_spaced(self.accuracy, self.accuracy_words)}"

    def like(self, other: _Trade) -> bool:
        """Whether the words of another go with these amounts, so that they need not be repeated."""
        same = (self.cost_words, self.accuracy_words, self.verb) == (other.cost_words, other.accuracy_words, other.verb)
        return same and bool(self.cost and self.accuracy)

    def short(self) -> str:
        """ "SparCL-DER++ .90 took 7.7 times fewer and lost 3.1 points"."""
        return (
            f"{self.name} took {self.cost} {self.cost_words.removesuffix(FLOPS)} and {self.verb} {self.accuracy} points"
        )


def _spaced(*words: str) -> str:
    return " ".join(word for word in words if word)


def _trade(row: Row, reference: Row) -> _Trade:
    lost = _accuracy(reference) - _accuracy(row)
    if percent(lost) == "0.0":
        accuracy = ("", "the accuracy", "kept")
    else:
        accuracy = (percent(abs(lost)), "points of accuracy", "lost" if lost > 0 else "gained")
    fewer = times_fewer(row, reference, "exact")
    if fewer is None:
        cost = ("", "")
    elif ratio(fewer) == "1.0":
        cost = ("", f"as many{FLOPS}")
    elif fewer > 1:
        cost = (ratio(fewer), f"times fewer{FLOPS}")
    else:
        cost = (ratio(1 / fewer), f"times as many{FLOPS}")
    return _Trade(row.name, *cost, *accuracy)


def duration(value: float) -> str:
    """A wall time for a sentence: seconds, minutes or hours."""
    if value < 120:
        return f"{seconds(value)} seconds"
    if value < 7200:
        return f"{value / 60:.0f} minutes"
    return f"{value / 3600:.1f} hours"
