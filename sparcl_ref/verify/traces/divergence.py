"""A tensor that is not what its rule makes it: where, how far off, and by which rule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref.verify.traces.archive import NO_LAYER, Name
from sparcl_ref.verify.traces.rules import Rule


@dataclass
class Divergence:
    """A tensor that is not what its rule makes it.

    Attributes
    ----------
    name : Name
    rule : Rule
    problem : str
    index : tuple of int or None
        First bad entry in C order; None where the whole array is wrong.
    got, expected : float or None
        There.
    ulps : float or None
        Their distance in units in the last place of the expected number, in the coarser of the two dtypes; None if that
        is 0, and for masks, counts and indices.
    tolerance : float
        Allowed absolute error, 0 where every entry must be equal.
    wrong, size : int
        Bad entries, and all.
    worst, largest : float
        Largest absolute error, and largest expected absolute value.
    """

    name: Name
    rule: Rule
    problem: str
    index: tuple[int, ...] | None = None
    got: float | None = None
    expected: float | None = None
    ulps: float | None = None
    tolerance: float = 0.0
    wrong: int = 0
    size: int = 0
    worst: float = 0.0
    largest: float = 0.0

    def point_at(self, index: tuple[Any, ...], got: np.generic, expected: np.generic) -> None:
        """Note the first bad entry."""
        self.index = tuple(int(i) for i in index)
        self.got, self.expected = got.item(), expected.item()
        if not self.rule.exact and got.dtype.kind == expected.dtype.kind == "f" and expected != 0:
            coarser = max(got.dtype, expected.dtype, key=lambda dtype: np.finfo(dtype).eps)
            ulps = abs(float(self.got) - float(self.expected)) / float(np.spacing(np.abs(expected.astype(coarser))))
            self.ulps = ulps if math.isfinite(ulps) else None

    @property
    def must_be_zero(self) -> bool:
        """Whether the first bad entry belongs to something dead or silenced."""
        return self.rule.zeros and self.expected == 0

    @property
    def relative(self) -> float:
        """Largest error over the largest expected entry."""
        return self.worst / self.largest if self.largest else self.worst

    def lines(self) -> list[str]:
        """Where, what, and by which rule."""
        _, pass_name, layer, tensor = self.name
        where = f"pass {pass_name}" + ("" if layer == NO_LAYER else f", {layer}") + f", {tensor}"
        lines = [f"{at_words(self.name.step)}: {where} {self.problem}"]
        if self.index is not None:
            error = abs(float(self.got) - float(self.expected))
            distance = "" if self.ulps is None else f", which is {self.ulps:.3g} ULP"
            allowed = f"tolerance {self.tolerance:.3g}" if self.tolerance else "every entry must be equal"
            if self.must_be_zero:
                allowed = "it must be exactly 0"
            lines.append(f"  at index {self.index}: got {self.got!r}, expected {self.expected!r}")
            error_words = f"error {error:.3g}{distance}" if math.isfinite(error) else "not a finite number"
            lines.append(f"  {error_words}; {allowed}; {self.wrong} of {self.size} entries are wrong")
        return [*lines, f"  rule: {self.rule.sentence}", f"  from: {self.rule.source}"]

    def json(self) -> dict[str, Any]:
        """Plain JSON values; a number that is not finite becomes a word."""
        values = {key: getattr(self, key) for key in ("problem", "tolerance", "wrong", "size")}
        values |= {key: json_number(getattr(self, key)) for key in ("got", "expected", "ulps", "worst")}
        index = None if self.index is None else list(self.index)
        return {**self.name._asdict(), "index": index, "rule": self.rule.sentence, "source": self.rule.source, **values}


def at_words(step: str) -> str:
    """A step's name in words: "task1.epoch2.step3" is "task 1, epoch 2, step 3"."""
    words = []
    for part in step.split("."):
        word = part.rstrip("0123456789")
        words.append(f"{word} {part[len(word) :]}".strip())
    return ", ".join(words)


def json_number(number: float | None) -> float | str | None:
    """A number as JSON has it; one that is not finite becomes a word."""
    return number if number is None or math.isfinite(number) else str(number)
