"""What a bench is asked for."""

from __future__ import annotations

from dataclasses import dataclass

#: The parts, in the order in which they are measured and shown.
PARTS = ("roofs", "step", "profile", "layers", "kernels", "scaling", "memory", "run")
#: Sparsities at which the compiled engine is measured.
SPARSITIES = (0.0, 0.75, 0.9, 0.95)


@dataclass(frozen=True)
class Request:
    """Settings of a bench.

    Attributes
    ----------
    parts : tuple of str
        Of `PARTS`.
    threads : int
        Of every contender, and the most that are tried.
    rounds : int
        Turns of each contender.
    width, batch : int
        Of resnet18's first stage, and of each of the three batches of a step.
    quick : bool
        Fewer shapes and sparsities.
    """

    parts: tuple[str, ...] = PARTS
    threads: int = 2
    rounds: int = 5
    width: int = 64
    batch: int = 32
    quick: bool = False

    @property
    def sparsities(self) -> tuple[float, ...]:
        """Those of the compiled engine."""
        return SPARSITIES[-1:] if self.quick else SPARSITIES
