"""Results side by side: each entry over its seeds, and its difference from one of them, paired by seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparcl_ref.report import numbers
from sparcl_ref.report.numbers import Spread, spread
from sparcl_ref.text import columns

if TYPE_CHECKING:
    from sparcl_ref.config import Config
    from sparcl_ref.result import Result

#: Characters of a line, as terminals have.
LINE = 80


@dataclass(frozen=True)
class Compared:
    """One entry of a comparison. Fractions, or None where the measure is undefined.

    Attributes
    ----------
    name : str
    by_seed : dict of int to float
        The measure.
    spread : Spread
        Its mean and standard deviation (ddof = 1).
    differences : dict of int to float
        By seed, where the reference has that seed too; empty for the reference itself.
    difference : Spread
        Of these: two runs of one seed share class order, initial weights and, until data removal takes some samples,
        batches, so that their difference spreads less than either.
    """

    name: str
    by_seed: dict[int, float | None]
    spread: Spread
    differences: dict[int, float]
    difference: Spread


@dataclass(frozen=True)
class Comparison:
    """Entries in the order given; ``against`` names the reference. Prints as a table."""

    measure: str
    against: str
    entries: tuple[Compared, ...]

    def __getitem__(self, name: str) -> Compared:
        """The entry of that name; KeyError if there is none."""
        return {entry.name: entry for entry in self.entries}[name]

    def __str__(self) -> str:
        from sparcl_ref.result import MEASURES

        seeds = sorted(set().union(*(entry.differences for entry in self.entries)))
        whole = [
            (f"{len(entry.by_seed)}", *map(_percent, entry.spread), _signed(mean), _percent(deviation))
            for entry in self.entries
            for mean, deviation in (entry.difference,)
        ]
        each = [tuple(_signed(entry.differences.get(seed)) for seed in seeds) for entry in self.entries]
        left = ("seeds", "mean", "sd", "points", "sd")
        right = tuple(f"seed {seed}" for seed in seeds)
        title = f"{MEASURES[self.measure]}, %; points more than {self.against}, paired by seed"

        def table(header: tuple[str, ...], cells: list[tuple[str, ...]]) -> str:
            return columns(("", *header), [(entry.name, *row) for entry, row in zip(self.entries, cells, strict=True)])

        text = table(left + right, [first + second for first, second in zip(whole, each, strict=True)])
        if len(text.split("\n")[0]) > LINE:
            text = f"{table(left, whole)}\n\n{table(right, each)}"
        return f"{title}\n\n{text}"


def compare(
    results: Sequence[Result] | Mapping[str, Sequence[Result]],
    *,
    measure: str = "class_il_accuracy",
    against: str | None = None,
) -> Comparison:
    """Hold entries against one of them.

    Parameters
    ----------
    results : sequence of Result, or mapping of str to sequence of Result
        Those that differ in nothing but their seed are one entry, named like their table's row, and by the settings
        that tell it from another of that name. A mapping names its entries itself.
    measure : str
        An attribute of `Result` that is a fraction, a key of `sparcl_ref.result.MEASURES`.
    against : str, optional
        Name of the reference entry. By default the first.

    Raises
    ------
    ValueError
        If there is no result, measure or entry of that name, or an entry has a seed twice.
    """
    from sparcl_ref.result import MEASURES

    if measure not in MEASURES:
        raise ValueError(f"measure must be one of {', '.join(MEASURES)}, got {measure!r}")
    groups = dict(results) if isinstance(results, Mapping) else _grouped(results)
    if not groups or not all(groups.values()):
        raise ValueError("there is nothing to compare: give at least one result for each entry")
    values: dict[str, dict[int, float | None]] = {}
    for name, group in groups.items():
        values[name] = {result.config.seed: getattr(result, measure) for result in group}
        if len(values[name]) < len(group):
            raise ValueError(f"{name} has a seed twice; give a mapping of names to results to tell its runs apart")
    reference = next(iter(values)) if against is None else against
    if reference not in values:
        raise ValueError(f"there is no entry {against!r}; choose one of {', '.join(values)}")
    entries = []
    for name, found in values.items():
        both = (
            {} if name == reference else {seed: (value, values[reference].get(seed)) for seed, value in found.items()}
        )
        differences = {seed: a - b for seed, (a, b) in both.items() if a is not None and b is not None}
        entries.append(Compared(name, found, spread(found.values()), differences, spread(differences.values())))
    return Comparison(measure, reference, tuple(entries))


def table(results: Sequence[Result], *, without: Collection[str] = ()) -> str:
    """Results as the table that ``python -m sparcl_ref.run`` prints: a row for each entry, over its seeds.

    Parameters
    ----------
    results : sequence of Result
    without : collection of str
        Columns to leave out, of `sparcl_ref.report.table.EXPENDABLE`, such as "seconds".

    Raises
    ------
    ValueError
        If there is no such column.

    Examples
    --------
    >>> from sparcl_ref import preset, table, train
    >>> print(table([train(config) for config in preset("tiny")]))  # doctest: +SKIP
    """
    from sparcl_ref.report import aggregate, format_table

    return format_table(aggregate([result.record() for result in results]), without=without)


def labels(named: Iterable[tuple[str, Config]]) -> dict[Config, str]:
    """What entries are called, by their configuration with seed 0: the name, and what tells it from its namesakes.

    Parameters
    ----------
    named : iterable of (str, Config)
        Name and configuration of each run; those that differ in nothing but their seed are one entry.
    """
    names: dict[Config, str] = {}
    for name, config in named:
        names.setdefault(dataclasses.replace(config, seed=0), name)
    settings = {entry: entry.to_json() for entry in names}
    alike: dict[str, list[Config]] = {}
    for entry, name in names.items():
        alike.setdefault(name, []).append(entry)
    found = {}
    for name, entries in alike.items():
        keys = dict.fromkeys(key for entry in entries for key in settings[entry])
        telling = [key for key in keys if len({settings[entry].get(key) for entry in entries}) > 1]
        for entry in entries:
            own = [f"{key} {settings[entry][key]}" for key in telling if key in settings[entry]]
            found[entry] = ", ".join([name, *own])
    return {entry: found[entry] for entry in names}


def _grouped(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Results by entry."""
    names = labels((result.name, result.config) for result in results)
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(names[dataclasses.replace(result.config, seed=0)], []).append(result)
    return groups


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else numbers.percent(fraction)


def _signed(fraction: float | None) -> str:
    text = _percent(fraction)
    return text if not text or text.startswith("-") or float(text) == 0 else f"+{text}"
