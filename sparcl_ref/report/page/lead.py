"""How the page begins: title, one or two sentences, and what to keep in mind. Pure functions of the table's rows.

Whatever the rows are, each statement has to be true of them: "highest" is a comparison of means, what prints alike is
called alike, and what was not run is not spoken of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sparcl_ref.report.numbers import listed, percent, ratio, seconds
from sparcl_ref.report.table import Row, dense_reference, times_fewer

#: Most SparCL entries that a sentence names.
NAMED = 3


def headline(dataset: str, tasks: int | None, rows: Sequence[Row]) -> str:
    """What was run, as a title; ``tasks`` is None where the runs differ in it."""
    who = rows[0].name if len(rows) == 1 else f"{len(rows)} learners compared"
    return f"{who} on {dataset}, learned in {tasks} tasks" if tasks and tasks > 1 else f"{who} on {dataset}"


def findings(rows: Sequence[Row]) -> list[str]:
    """Who scored highest, and, where SparCL and a dense method ran side by side, what SparCL saved at what loss."""
    sentences = [ranking(rows)]
    reference = dense_reference(rows)
    if reference is not None:
        trades = "; ".join(trade(row, reference) for row in best_trades(rows))
        sentences.append(f"SparCL's best trades against {reference.name}: {trades}.")
    elif any(row.sparse for row in rows):
        sentences.append("The dense method was not run beside SparCL, so what SparCL costs in accuracy is not known.")
    return sentences


def ranking(rows: Sequence[Row]) -> str:
    """Who scored highest and lowest among those that learn task by task, and what joint training scored."""
    parts = []
    if learners := _learners(rows):
        # Whoever prints as the same number shares the place: the table shows no difference either.
        places: dict[str, list[str]] = {}
        for row in learners:
            places.setdefault(percent(row.accuracy), []).append(row.name)
        ranked = list(places.items())
        (best, top), (worst, last) = ranked[0], ranked[-1]
        sentence = f"After the last task, {listed(top)} "
        if len(places) > 1:
            sentence += f"scored highest of {len(learners)} learners, with a Class-IL accuracy of {best} %, "
            sentence += f"and {listed(last)} lowest, with {worst} %"
        else:
            sentence += f"{'has' if len(learners) == 1 else 'each have'} a Class-IL accuracy of {best} %"
        parts.append(sentence)
    joint = [row for row in rows if row.joint]
    parts += [f"{row.name}, which learned all tasks at once, reached {percent(row.accuracy)} %" for row in joint]
    return f"{'; '.join(parts)}."


def _learners(rows: Sequence[Row]) -> list[Row]:
    """Entries that learn task by task, the most accurate first."""
    return sorted((row for row in rows if not row.joint), key=lambda row: row.accuracy, reverse=True)


def best_trades(rows: Sequence[Row]) -> list[Row]:
    """SparCL entries that no other one beats in accuracy and exact train FLOPs both; of many, the ends and a middle."""

    def cost(row: Row) -> float:
        return row.exact_flops or math.inf

    front: list[Row] = []
    for row in sorted((row for row in rows if row.sparse), key=lambda row: (-row.accuracy, cost(row))):
        if not front or cost(row) < cost(front[-1]):
            front.append(row)
    return front if len(front) <= NAMED else [front[0], front[len(front) // 2], front[-1]]


def trade(row: Row, reference: Row) -> str:
    """ "SparCL-DER++ .90 took 7.7 times fewer train FLOPs and lost 3.1 points"."""
    fewer = times_fewer(row, reference, "exact")
    cost = "an unknown number of" if fewer is None else "as many"
    if fewer is not None and ratio(fewer) != "1.0":
        cost = f"{ratio(fewer)} times fewer" if fewer > 1 else f"{ratio(1 / fewer)} times as many"
    lost = reference.accuracy - row.accuracy
    accuracy = f"{'lost' if lost > 0 else 'gained'} {percent(abs(lost))} points"
    return f"{row.name} took {cost} train FLOPs and {'kept the accuracy' if percent(lost) == '0.0' else accuracy}"


def caveats(rows: Sequence[Row], records: Sequence[dict[str, Any]]) -> list[str]:
    """What to keep in mind when reading the two sentences; a sentence each."""
    notes = []
    if min(len(row.seeds) for row in rows) == 1:
        chance = "There is one seed: small differences may be chance."
        notes.append(f"{chance} --seeds 5 repeats the run and shows the spread.")
    best = _learners(rows)[:2]
    spreads = [row.class_il_accuracy.std for row in best if row.class_il_accuracy.std is not None]
    if len(spreads) == 2 and best[0].accuracy - best[1].accuracy < max(spreads):
        names = listed([row.name for row in best])
        notes.append(f"{names} differ by less than a standard deviation over seeds: this run does not tell them apart.")
    reference = dense_reference(rows)
    if reference is not None and any(row.head != reference.head for row in best_trades(rows)):
        heads = f"{reference.name} was trained with the {reference.head} head and SparCL with another"
        notes.append(f"{heads}, which changes accuracy by itself; --head sets it.")
    warned: dict[str, dict[str, None]] = {}
    for record in records:
        for line in record.get("warnings", []):
            warned.setdefault(line, {})[record["name"]] = None
    notes += [f"Warning of {listed(list(names))}: {line.rstrip('.')}." for line, names in warned.items()]
    return notes


def duration(value: float) -> str:
    """A wall time for a sentence: seconds, minutes or hours."""
    if value < 120:
        return f"{seconds(value)} seconds"
    if value < 7200:
        return f"{value / 60:.0f} minutes"
    return f"{value / 3600:.1f} hours"
