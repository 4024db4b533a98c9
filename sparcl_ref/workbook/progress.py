"""The reader's functions, what the kit says of each, and how many exercises are done."""

from __future__ import annotations

import html
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sparcl_ref.text import did_you_mean
from sparcl_ref.verify.areas import functions
from sparcl_ref.verify.brief import Answer
from sparcl_ref.verify.cases import load_cases
from sparcl_ref.verify.check import check
from sparcl_ref.verify.report import Report
from sparcl_ref.workbook.calls import CallError, RequestError, watched
from sparcl_ref.workbook.exercises import EXERCISES, Exercise
from sparcl_ref.workbook.job import Job
from sparcl_ref.workbook.training import settings, train


@dataclass(frozen=True, eq=False)
class Graded:
    """What a check said, and how far the reader is; a notebook shows it, `print` elsewhere."""

    answer: Answer
    report: Report  #: the whole of it
    progress: str

    def __str__(self) -> str:
        return f"{self.answer}\n{self.progress}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        fold = f"<details><summary>the whole report</summary><pre>{html.escape(self.report.text())}</pre></details>"
        return f"{self.answer.html()}\n<p><b>{self.progress}</b></p>\n{fold if self.answer.state == 'wrong' else ''}"


class Workbook:
    """Grades functions by the name they are defined with, and trains with those that are right.

    Attributes
    ----------
    functions : dict of str to callable
        Those that have been checked last, by name.
    """

    def __init__(self) -> None:
        self.functions: dict[str, Callable[..., Any]] = {}
        self._right: set[str] = set()
        self._known = functions()
        self._cases = load_cases()

    def check(self, function: Callable[..., Any]) -> Graded:
        """Hold a function against the kit's cases for the protocol's function of its name.

        Raises
        ------
        TypeError
            If it is no function, such as the result of one.
        ValueError
            If the protocol has no function of its name.
        """
        name = getattr(function, "__name__", None)
        if name is None or not callable(function):
            raise CallError(f"check takes the function, as in check(relu_backward), got {type(function).__name__}")
        if name not in self._known:
            raise RequestError(f"the protocol has no function {name!r}{did_you_mean(name, self._known)}")
        written: set[str] = set()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # what is not finite shows in the comparison
            watcher = {name: watched(function, written)}
            report = check(watcher, cases=(case for case in self._cases if case.function == name))
        (answer,) = report.answers()
        if answer.state == "right" and written:
            line = f"writes into {', '.join(sorted(written))}, which others still need; work on a copy"
            answer = Answer(name, "wrong", (line,))
        self.functions[name] = function
        self._right = self._right | {name} if answer.state == "right" else self._right - {name}
        return Graded(answer, report, self.progress)

    @property
    def done(self) -> list[Exercise]:
        """Exercises whose function is right and takes what they ask for."""
        return [exercise for exercise in EXERCISES if exercise.function in self._right and self._takes(exercise)]

    @property
    def progress(self) -> str:
        """Such as "17 of 33"."""
        return f"{len(self.done)} of {len(EXERCISES)}"

    @property
    def right(self) -> dict[str, Callable[..., Any]]:
        """The functions that are right, by name."""
        return {name: function for name, function in self.functions.items() if name in self._right}

    def train(self, **changes: Any) -> Job:
        """Train the tiny job with the functions that are right; the reference stands in for all others.

        Takes ``width``, ``epochs``, ``sparsity`` and ``seed``, as `settings`.

        Raises
        ------
        TypeError
            If it is given something else.
        ValueError
            As `settings`.
        """
        taken = [*inspect.signature(settings).parameters]
        for name in changes:
            if name not in taken:
                known = f"{', '.join(taken[:-1])} and {taken[-1]}"
                raise CallError(f"train takes {known}, got {name!r}{did_you_mean(name, taken)}")
        return train(self.right, settings(**changes))

    def __repr__(self) -> str:
        done = set(self.done)
        left = [str(exercise) for exercise in EXERCISES if exercise not in done]
        return f"{self.progress} done" + (f"; to do: {', '.join(left)}" if left else "")

    def _takes(self, exercise: Exercise) -> bool:
        parameters = inspect.signature(self.functions[exercise.function]).parameters
        return all(name in parameters for name in exercise.takes)
