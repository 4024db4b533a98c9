"""Counts of the method by integer arithmetic on the decimals a person writes: the oracle of everything that rounds."""

from __future__ import annotations

from decimal import Decimal


def nearest(numerator: int, denominator: int) -> int:
    """The integer nearest to a fraction, halves upwards."""
    return (2 * numerator + denominator) // (2 * denominator)


def living(n: int, sparsity: float | str, *, shift: float | str | Decimal = 0) -> int:
    """How many of ``n`` weights live at sparsity ``sparsity + shift``, limited to 0..1."""
    moved = Decimal(str(sparsity)) + Decimal(str(shift))
    dead, of = min(max(moved, Decimal(0)), Decimal(1)).as_integer_ratio()
    return nearest((of - dead) * n, of)


def gone(samples: int, rho: float | str, stage: int, cutoff: int) -> int:
    """How many samples data removal has taken after a number of stages."""
    share, of = Decimal(str(rho)).as_integer_ratio()
    return nearest(share * samples * stage, of * cutoff)
