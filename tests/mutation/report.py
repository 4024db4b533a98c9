"""What a mutation check found, for people and for machines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from tests.mutation.runner import Outcome


def table(outcomes: Sequence[Outcome], equivalent: Mapping[str, str]) -> str:
    """Noticed, proved equivalent and surviving changes per file, then the survivors by name."""
    rows: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for outcome in outcomes:
        for key in ((outcome.kind, outcome.path), (outcome.kind, "all")):
            row = rows[key]
            row[0] += 1
            row[1 if outcome.noticed else 2 if outcome.name in equivalent else 3] += 1
    width = max((len(path) for _, path in rows), default=4)
    lines = [f"{'kind':<10}  {'file':<{width}}  tried  noticed  equivalent  survived"]
    for (kind, path), (tried, noticed, same, survived) in sorted(rows.items()):
        lines.append(f"{kind:<10}  {path:<{width}}  {tried:5d}  {noticed:7d}  {same:10d}  {survived:8d}")
    left = survivors(outcomes, equivalent)
    lines += ["", f"{len(left)} survived"] + [f"  {outcome.name}" for outcome in left]
    return "\n".join(lines)


def survivors(outcomes: Sequence[Outcome], equivalent: Mapping[str, str]) -> list[Outcome]:
    """Changes that no test noticed and that are not known to change nothing."""
    return [outcome for outcome in outcomes if not outcome.noticed and outcome.name not in equivalent]


def document(outcomes: Sequence[Outcome], equivalent: Mapping[str, str], **context) -> dict:
    """Everything as JSON values: the context (command, seed, minutes), the score, each outcome."""
    score = {}
    for kind in sorted({outcome.kind for outcome in outcomes}):
        mine = [outcome for outcome in outcomes if outcome.kind == kind]
        same = [o for o in mine if not o.noticed and o.name in equivalent]
        score[kind] = {
            "tried": len(mine),
            "noticed": sum(outcome.noticed for outcome in mine),
            "equivalent": len(same),
            "survived": len(survivors(mine, equivalent)),
        }
    ordered = sorted(outcomes, key=lambda outcome: (outcome.kind, outcome.name))
    return {"schema_version": 1, **context, "score": score, "outcomes": [outcome.record() for outcome in ordered]}
