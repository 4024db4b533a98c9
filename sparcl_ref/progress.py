"""All runs of a command while they are in progress, in their folder: what is there, what is left, what came in."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparcl_ref import durable
from sparcl_ref.keeper import CHECKPOINT_SECONDS, Keeper, newest_checkpoint, stored_result
from sparcl_ref.report import RESULTS, metrics_csv
from sparcl_ref.result import Result
from sparcl_ref.run_plan import PLAN, Plan, differences, read_plan
from sparcl_ref.text import told_apart

#: What belongs to a run in progress, and goes when it has ended: the plan first, as it says that there is more to do.
KEPT = (PLAN, "checkpoint-*.npz", "result-*.npz")


class Progress:
    """A command's runs, by number from 1.

    metrics.csv grows by a row with each epoch. A run that goes on from a checkpoint comes again to the epochs after it;
    their rows, which it will give again to the bit, are taken out before.

    Attributes
    ----------
    plan : Plan
    results : dict of int to Result
        Of the runs that have ended.
    rows : dict of int to list
        Of metrics.csv, by run.
    own_epochs : dict of int to int
        Epochs of the method's own at ends of tasks, of each run that goes on from a checkpoint.
    remarks : list of str
        What was found damaged, and what serves instead.
    """

    def __init__(self, directory: Path, plan: Plan, *, force: bool = False):
        self.directory, self.plan = directory, plan
        self.results: dict[int, Result] = {}
        self.rows: dict[int, list[dict[str, Any]]] = {number: [] for number in self.numbers}
        self.own_epochs: dict[int, int] = {}
        self.remarks: list[str] = []
        self._force = force

    @classmethod
    def begin(cls, directory: Path, plan: Plan) -> Progress:
        """Of new runs; whatever an earlier one left in the folder is removed."""
        for path in (*leftovers(directory), *directory.glob(f"{durable.PARTIAL}*")):
            durable.remove(path)
        self = cls(directory, plan)
        try:
            plan.write(directory)
            self._write_metrics()
        except OSError:
            with contextlib.suppress(OSError):
                self.discard()
            raise
        return self

    @classmethod
    def resume(cls, directory: Path, plan: Plan, *, force: bool) -> Progress:
        """Of runs that were left; ``plan`` is what would go on now.

        Raises
        ------
        ValueError
            If that is not what was begun, naming each difference, unless ``force`` lets it pass.
        """
        there = read_plan(directory)
        kept = {key: getattr(there, key) for key in ("command", "plugins", "data_dir", "cwd")}
        plan = dataclasses.replace(plan, **kept)
        self = cls(directory, plan, force=force)
        for number in self.numbers:
            self._look_up(number)
        if found := differences(there, plan, [number - 1 for number in self.numbers if number not in self.results]):
            if not force:
                raise ValueError(
                    f"--resume {directory}: it was begun otherwise ({'; '.join(found)}); go on as it was begun, or add "
                    "--force to take this over"
                )
            self.remarks.append(f"resumed although {'; '.join(found)}")
            configs = [
                self.results[number].config if number in self.results else config
                for number, config in zip(self.numbers, plan.configs, strict=True)
            ]
            self.plan = dataclasses.replace(plan, configs=tuple(configs))
            self.plan.write(directory)
        for path in directory.glob(f"{durable.PARTIAL}*"):
            durable.remove(path)
        self._write_metrics()
        return self

    @property
    def numbers(self) -> range:
        """Of all runs."""
        return range(1, len(self.plan.configs) + 1)

    @property
    def left(self) -> list[int]:
        """Numbers of the runs that have not ended."""
        return [number for number in self.numbers if number not in self.results]

    def keeper(self, number: int, *, every: float = CHECKPOINT_SECONDS) -> Keeper:
        """What a worker saves a run with."""
        return Keeper(self.directory, number, every, self._force)

    def add_row(self, number: int, row: Mapping[str, Any]) -> None:
        """Enter an epoch in metrics.csv."""
        rows = [self._named(number, row)]
        self.rows[number] += rows
        durable.append(self.directory / "metrics.csv", metrics_csv(rows, header=False))

    @property
    def ended(self) -> bool:
        """Whether all is written, or given up."""
        return not (self.directory / PLAN).exists()

    def anything(self) -> bool:
        """Whether there is something to go on from."""
        return any(next(self.directory.glob(pattern), None) is not None for pattern in KEPT[1:])

    def clear(self) -> None:
        """Take away all that only a run in progress needs."""
        for pattern in KEPT:
            for path in sorted(self.directory.glob(pattern)):
                durable.remove(path)

    def discard(self) -> None:
        """Leave nothing, for nothing came of it."""
        for path in leftovers(self.directory):
            durable.remove(path)

    def _look_up(self, number: int) -> None:
        """Find the result of a run, or how far it has come."""
        result, damaged = stored_result(self.directory, number)
        if result is not None:
            self.results[number] = result
            self.rows[number] = [self._named(number, row) for row in result.history.epochs]
            return
        found, more = newest_checkpoint(self.directory, number)
        instead = "the run starts anew" if found is None else f"checkpoint {found[0]} is used"
        self.remarks += [f"{line}; {instead}" for line in (*damaged, *more)]
        if found is not None:
            trainer = found[1]["trainer"]
            self.rows[number] = [self._named(number, row) for row in trainer["history"]["epochs"]]
            self.own_epochs[number] = trainer["cursor"].get("own_epochs", 0)

    def _named(self, number: int, row: Mapping[str, Any]) -> dict[str, Any]:
        label = told_apart((config.title, config.seed) for config in self.plan.configs)[number - 1]
        return {"name": label, "seed": self.plan.configs[number - 1].seed, **row}

    def _write_metrics(self) -> None:
        rows = [row for number in self.numbers for row in self.rows[number]]
        durable.put(self.directory / "metrics.csv", metrics_csv(rows))


def leftovers(directory: Path) -> list[Path]:
    """Files in a folder that belong to a run, ended or not."""
    found = [path for pattern in KEPT for path in sorted(directory.glob(pattern))]
    found += [path for name in RESULTS if (path := directory / name).is_file()]
    return found + sorted(directory.glob("weights/*.npz"))
