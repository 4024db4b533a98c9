"""Text for people: aligned columns and one-line messages, for every command and every error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def columns(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """A table in aligned columns, two blanks apart.

    Parameters
    ----------
    header : sequence of str
    rows : iterable of sequence of str
        Each as long as the header.
    left : int
        How many of the first columns are aligned to the left; numbers stand to the right.

    Examples
    --------
    >>> print(columns(("layer", "weights"), [("conv1", "288"), ("linear", "10")]))
    layer   weights
    conv1       288
    linear       10
    """
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(header))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if index < left else text.rjust(width)
            for index, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def one_line(error: BaseException | str) -> str:
    """What an error says, on one line; its type where it says nothing.

    Examples
    --------
    >>> one_line(ValueError("expected\\n  a number"))
    'expected a number'
    >>> one_line(KeyboardInterrupt())
    'KeyboardInterrupt'
    """
    return " ".join(str(error).split()) or type(error).__name__
