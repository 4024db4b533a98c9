"""Deviations by their number: mixes that take whole deviations from a profile, and what tables call a mix."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator

from sparcl_ref.sparcl.rules import PROFILES, Rules, sources


def fields_of(number: int) -> list[str]:
    """Names of the rules of one deviation."""
    return [item.name for item in dataclasses.fields(Rules) if item.metadata["number"] == number]


def deviations(profile: str, *, dense: bool = False, base: str = "paper") -> list[int]:
    """Numbers of the deviations in which a profile differs from another; with ``dense``, those that need no masks."""
    one, other = PROFILES.find(profile), PROFILES.find(base)
    differing = [item for item in dataclasses.fields(Rules) if getattr(one, item.name) != getattr(other, item.name)]
    return sorted({item.metadata["number"] for item in differing if item.metadata["dense"] or not dense})


def mix_of(numbers: Iterable[int], profile: str) -> str:
    """The mix that takes whole deviations from a profile, such as "drop_last=released,initialise=released"."""
    return ",".join(f"{name}={profile}" for number in numbers for name in fields_of(number))


def subsets(numbers: Iterable[int]) -> Iterator[tuple[int, ...]]:
    """All subsets, the smallest first, the empty one and the whole included."""
    numbers = list(numbers)
    return itertools.chain.from_iterable(itertools.combinations(numbers, size) for size in range(len(numbers) + 1))


def mix_remarks(mix: str) -> list[str]:
    """What tables call a mix: "rules 1-3, 9 released", and names where of a deviation only a part is taken."""
    remarks = []
    taken = sources(mix)
    for profile in dict.fromkeys(taken.values()):
        names = {name for name, source in taken.items() if source == profile}
        whole = [number for number in deviations_of(names) if names.issuperset(fields_of(number))]
        partial = sorted(names.difference(*map(fields_of, whole)))
        if whole:
            remarks.append(f"rule{'s' if len(whole) > 1 else ''} {ranges(whole)} {profile}")
        remarks += [f"{name} {profile}" for name in partial]
    return remarks


def deviations_of(names: Iterable[str]) -> list[int]:
    """Numbers of the deviations that rules belong to."""
    numbers = {item.name: item.metadata["number"] for item in dataclasses.fields(Rules)}
    return sorted({numbers[name] for name in names})


def ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers as text, neighbours from three on as a range: "1-3, 9"."""
    runs = [list(run) for _, run in itertools.groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])]
    parts = [[f"{run[0][1]}-{run[-1][1]}"] if len(run) > 2 else [str(number) for _, number in run] for run in runs]
    return ", ".join(itertools.chain.from_iterable(parts))
