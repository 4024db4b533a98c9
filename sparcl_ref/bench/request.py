"""What a bench is asked for."""

from __future__ import annotations

from dataclasses import dataclass

#: The parts, in the order in which they are measured and shown.
PARTS = ("roofs", "step", "profile", "layers", "kernels", "scaling", "memory", "run")
#: Sparsities at which the compiled engine is measured.
SPARSITIES = (0.0, 0.75, 0.9, 0.95)
#: Dense PyTorch in its two memory formats, of which the better one counts.
BASELINE = ("torch", "torch channels-last")
#: PyTorch 2.13 crashes on channels-last 1x1 convolutions of stride 2 with fewer channels.
LEAST_WIDTH = 16


@dataclass(frozen=True)
class Request:
    """Settings of a bench."""

    parts: tuple[str, ...] = PARTS
    threads: int = 2  #: of every contender, and the most that are tried
    rounds: int = 5  #: turns of each contender
    width: int = 64  #: channels of resnet18's first stage
    batch: int = 32  #: size of each of the three batches of a step
    quick: bool = False  #: fewer shapes and sparsities

    @property
    def sparsities(self) -> tuple[float, ...]:
        """Those of the compiled engine."""
        return SPARSITIES[-1:] if self.quick else SPARSITIES
