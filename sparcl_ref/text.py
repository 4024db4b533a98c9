"""Text for people: aligned columns and one-line messages, for every command and every error."""

from __future__ import annotations

import difflib
import shutil
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence

#: Characters of a message that are shown; what somebody pasted may have thousands.
MOST_SHOWN = 1000


def columns(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1, width: int | None = None) -> str:
    """A table in aligned columns, two blanks apart.

    Parameters
    ----------
    header : sequence of str
    rows : iterable of sequence of str
        Each as long as the header.
    left : int
        How many of the first columns are aligned to the left; numbers stand to the right.
    width : int, optional
        Characters that a line may have. A wider table becomes several, one under the other, each of which begins with
        the columns on the left; what no line holds is left as wide as it is.

    Examples
    --------
    >>> print(columns(("layer", "weights"), [("conv1", "288"), ("linear", "10")]))
    layer   weights
    conv1       288
    linear       10
    """
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(header))]
    return "\n\n".join(
        "\n".join(
            "  ".join(
                line[index].ljust(widths[index]) if index < left else line[index].rjust(widths[index])
                for index in shown
            ).rstrip()
            for line in lines
        )
        for shown in _folds(widths, left, width)
    )


def _folds(widths: Sequence[int], left: int, width: int | None) -> list[list[int]]:
    """Which columns stand side by side in each of the tables that fit into a width."""
    every = list(range(len(widths)))
    if width is None or sum(widths) + 2 * (len(widths) - 1) <= width:
        return [every]
    keys, folds = every[: max(left, 1)], [every[: max(left, 1)]]
    for index in every[len(keys) :]:
        if len(folds[-1]) > len(keys) and sum(widths[i] + 2 for i in folds[-1]) + widths[index] > width:
            folds.append(list(keys))
        folds[-1].append(index)
    return folds


def terminal_width() -> int:
    """Characters to a line of the terminal, as COLUMNS says or the terminal itself; very many for a file or pipe."""
    return shutil.get_terminal_size(fallback=(10**6, 24)).columns


def folded(text: str, width: int) -> str:
    """Text with its longer lines broken at blanks; what follows is indented.

    Examples
    --------
    >>> print(folded("one two three", 9))
    one two
        three
    """
    return "\n".join(
        piece
        for line in text.split("\n")
        for piece in textwrap.wrap(
            line, max(width, 8), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
        )
        or [""]
    )


def told_apart(entries: Iterable[tuple[str, int]]) -> list[str]:
    """A label for each (name, seed): its name, with a number behind it where an earlier entry has the same two.

    Examples
    --------
    >>> told_apart([("SGD", 0), ("ER", 0), ("SGD", 0), ("SGD", 1)])
    ['SGD', 'ER', 'SGD (2)', 'SGD']
    """
    seen: Counter[tuple[str, int]] = Counter()
    labels = []
    for entry in entries:
        seen[entry] += 1
        labels.append(entry[0] if seen[entry] == 1 else f"{entry[0]} ({seen[entry]})")
    return labels


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: "; did you mean 'derpp'?", or nothing if no known word is near.

    Examples
    --------
    >>> did_you_mean("Fashion_MNIST", ["mnist", "fashion-mnist"])
    "; did you mean 'fashion-mnist'?"
    >>> did_you_mean("gdumb", ["er", "derpp"])
    ''
    """
    plain = {name.lower().replace("_", "-"): name for name in known}
    near = difflib.get_close_matches(word.lower().replace("_", "-"), plain, n=1)
    return f"; did you mean {plain[near[0]]!r}?" if near else ""


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


def shortened(message: str, most: int = MOST_SHOWN) -> str:
    """A message of at most so many characters, three quarters of them from its beginning.

    Examples
    --------
    >>> shortened("got 1000000000, expected less", 20)
    'got 1000000 ... less'
    """
    if len(message) <= most:
        return message
    head = (most - 5) * 3 // 4
    return f"{message[:head]} ... {message[len(message) - (most - 5 - head) :]}"
