"""Figures of a notebook: drawn in the package's look, shown in place, and kept together with the data behind them.

>>> from sparcl_ref.report.notebook import drawing
>>> for figure, theme in drawing("losses", data={"loss": [2.3, 1.1, 0.4]}):  # doctest: +SKIP
...     axes = figure.subplots()
...     axes.plot([2.3, 1.1, 0.4], color=theme.accent)
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparcl_ref.report import style
from sparcl_ref.report.style import DARK, LIGHT, Theme
from sparcl_ref.report.summary import finite, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Environment variable that names the folder figures and their data are written to.
FOLDER_VARIABLE = "SPARCL_REF_FIGURES"

#: What a picture's file name ends with, before ".png", by its theme.
ENDINGS = {LIGHT.name: "", DARK.name: "-dark"}

#: Significant digits of numbers in the data file: what is drawn shows fewer, and float32 holds about seven.
DIGITS = 7


def drawing(
    name: str,
    *,
    data: Mapping[str, Any],
    alt: str = "",
    within: float = 0.0,
    size: tuple[float, float] = (6.5, 3.2),
) -> Iterator[tuple[Figure, Theme]]:
    """A figure to draw on in the body of a ``for`` loop, shown where the loop ends if this is a notebook.

    When the environment variable ``SPARCL_REF_FIGURES`` names a folder, the body is run twice, for light and for dark
    pages. The figure is written there as ``NAME.png`` and ``NAME-dark.png``, and what it shows as ``NAME.json``, so
    that a figure can be compared by its data. If the body raises, or leaves the loop, nothing is shown or written.

    Parameters
    ----------
    name : str
        File name without its ending: lower-case letters, digits and hyphens, not ending in ``-dark``.
    data : mapping
        What the figure shows: string keys to numbers, strings, booleans, None, arrays, or lists and mappings of them.
        NaN stands for "no value".
    alt : str
        The figure in words, for those who do not see it.
    within : float
        Absolute tolerance of ``data`` when compared with another run's; 0 for what follows by arithmetic.
    size : (float, float)
        Width and height in inches.

    Returns
    -------
    iterator of (figure, theme)
        An empty figure with constrained layout, and the colours to draw with: `sparcl_ref.report.style.LIGHT`, then
        perhaps `DARK`.

    Raises
    ------
    ValueError, TypeError
        If the name does not fit, ``data`` is empty or holds an infinite number or what cannot be written as JSON, or
        ``within`` or ``size`` is out of range.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) or name.endswith(ENDINGS[DARK.name]):
        raise ValueError(
            f"a figure's name is lower-case letters, digits and single hyphens, and does not end in -dark; got {name!r}"
        )
    if not isinstance(data, Mapping) or not data:
        raise ValueError(f"figure {name!r}: data must be a mapping with what the figure shows, got {data!r}")
    if not (math.isfinite(within) and within >= 0):
        raise ValueError(f"figure {name!r}: within must be a finite number of at least 0, got {within}")
    if len(size) != 2 or not all(0 < side <= 20 for side in size):
        raise ValueError(f"figure {name!r}: size must be width and height in inches, above 0 up to 20, got {size}")
    record = {"within": float(within), "data": plain(data, place=f"figure {name!r}: data", number=rounded)}
    return _drawing(name, record, size, alt)


def _drawing(name: str, record: dict[str, Any], size: tuple[float, float], alt: str) -> Iterator[tuple[Figure, Theme]]:
    from sparcl_ref.report.figures import canvas

    width, height = size
    folder = os.environ.get(FOLDER_VARIABLE)
    pictures = {}
    # A reader looks at one of the two; drawing takes time.
    for theme in (LIGHT, DARK) if folder else (LIGHT,):
        with style.applied(theme):
            figure = canvas.new_figure(height, width=width)
            figure.set_layout_engine("constrained")
            yield figure, theme
        pictures[theme.name] = canvas.png(figure, theme=theme)
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for shade, picture in pictures.items():
            (Path(folder) / f"{name}{ENDINGS[shade]}.png").write_bytes(picture)
        (Path(folder) / f"{name}.json").write_text(as_text(record), encoding="utf-8")
    _show(pictures[LIGHT.name], width, alt)


def rounded(value: float, place: str) -> float | None:
    """A number to `DIGITS` significant digits, NaN as None; infinite ones are refused."""
    return None if math.isnan(value) else float(f"{finite(value, place):.{DIGITS}g}")


def as_text(record: Mapping[str, Any]) -> str:
    """A figure's record as the text of its file: one line for each entry of its data, so that changes read well."""
    entries = ",\n".join(f"  {json.dumps(key)}: {json.dumps(item)}" for key, item in record["data"].items())
    return f'{{"within": {json.dumps(record["within"])}, "data": {{\n{entries}\n}}}}\n'


def _show(picture: bytes, width: float, alt: str) -> None:
    """Show a PNG where a notebook shows its output; elsewhere do nothing."""
    # Whoever runs in a notebook has imported IPython, and importing it for anybody else would be in vain.
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        return
    from IPython.display import Image, display

    display(Image(data=picture, format="png", width=round(100 * width), alt=" ".join(alt.split()) or None))
