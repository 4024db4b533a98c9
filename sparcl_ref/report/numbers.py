"""How numbers are written: percentages, counts with a unit, ratios. Undefined is a dash, and zero has no sign.

A cost that is None has not been said by some layer: it is "unknown", which is not the same as undefined.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

DASH = "-"
UNKNOWN = "unknown"
PREFIXES = ("", "k", "M", "G", "T", "P", "E")


class Spread(NamedTuple):
    """A quantity over seeds: mean, None where undefined, and deviation (ddof = 1), None for fewer than two values."""

    mean: float | None
    std: float | None


def spread(values: Iterable[float | None]) -> Spread:
    """Mean and standard deviation (ddof = 1) of the values that are not None."""
    known = [float(value) for value in values if value is not None]
    if not known:
        return Spread(None, None)
    mean = math.fsum(known) / len(known)
    if len(known) == 1:
        return Spread(mean, None)
    return Spread(mean, math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (len(known) - 1)))


def fixed(value: float | None, decimals: int = 1) -> str:
    """A number with so many decimals: never "-0.0", and a dash for None."""
    if value is None:
        return DASH
    text = f"{value:.{decimals}f}"
    # A small negative number rounds to a zero that keeps its sign.
    return text.removeprefix("-") if float(text) == 0 else text


def percent(fraction: float | None, decimals: int = 1) -> str:
    """A fraction in percent, without the sign for it."""
    return fixed(None if fraction is None else 100 * fraction, decimals)


def significant(value: float | None, digits: int = 3) -> str:
    """A number rounded to so many significant digits, without an exponent.

    Digits before the decimal point are never dropped: 1234.5 is "1234" (a table that shows it chose too small a unit).
    """
    if not value:
        return DASH if value is None else "0"
    # Rounding first: 9.996 has one digit before the point, but 10.0 is what will be written.
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    return f"{value:.{max(0, digits - 1 - exponent)}f}"


def prefix_for(values: Iterable[float | None]) -> tuple[float, str]:
    """Divisor and SI prefix that write the largest of the values with one to three digits before the point."""
    largest = max((abs(value) for value in values if value is not None), default=0)
    index = 0
    while index + 1 < len(PREFIXES) and float(f"{largest / 1000**index:.2e}") >= 1000:
        index += 1
    return float(1000**index), PREFIXES[index]


def scaled(value: float | None, divisor: float) -> str:
    """A cost in a unit that a whole column shares."""
    return UNKNOWN if value is None else significant(value / divisor)


def quantity(value: float | None, unit: str, *, digits: int = 3) -> str:
    """A cost with a prefix and its unit: 1.39e11 FLOPs are "139 GFLOPs"."""
    if value is None:
        return UNKNOWN
    divisor, prefix = prefix_for([value])
    return f"{significant(value / divisor, digits)} {prefix}{unit}"


def ratio(value: float | None) -> str:
    """How many times, with one decimal: "5.0"; without one from 100 on, with as many as it takes below 0.1."""
    if 0 < (value or 0) < 0.1:
        return significant(value, 1)
    return fixed(value, 1 if (value or 0) < 99.95 else 0)


def seconds(value: float | None) -> str:
    """A duration in seconds: one decimal below 100."""
    return fixed(value, 1 if (value or 0) < 99.95 else 0)


def sparsity(value: float | None) -> str:
    """The asked-for fraction of dead weights as a decimal; a dash for a dense method."""
    if value is None:
        return DASH
    return f"{value:.2f}" if round(value, 2) == value else f"{value:g}"


def listed(parts: list[str]) -> str:
    """Parts as an enumeration in a sentence: "a, b and c"; nothing for none."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
