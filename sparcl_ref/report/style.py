"""The one look of everything drawn: colours for light and dark, and what stands for which entry.

Dense methods have cool or neutral colours of their own, SparCL entries a ramp of warm ones; the marker says which
rehearsal method is underneath. Blue against orange, and light against dark within each, stay apart with any common kind
of colour blindness, and no figure relies on colour alone: lines and points are labelled where they stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sparcl_ref.report.table import Row

if TYPE_CHECKING:
    from matplotlib.colors import LinearSegmentedColormap

#: Figures are this many inches wide, on a page for narrow screens `NARROW`; a page shows at most `CSS_PIXELS` per inch.
WIDTH, NARROW = 10.0, 4.2
DPI, NARROW_DPI, CSS_PIXELS = 160, 180, 100


@dataclass(frozen=True)
class Theme:
    """Colours ("#rrggbb") of figures and page; ramps name their ends and what lies between."""

    name: str  # "light" or "dark"
    background: str
    surface: str  # of what lies on the page
    ink: str  # of text and data
    muted: str  # of what comes second
    faint: str  # of rules and grids
    accent: str  # of links and marks
    dense: dict[str, str]  # of five dense methods, see `looks`
    spare: tuple[str, ...]  # of all other dense methods, in order of appearance
    warm: tuple[str, ...]  # ramp of SparCL entries
    strata: tuple[str, ...]  # ramp of weights by the task in which they joined
    bedrock: str  # of weights alive since the start
    heat: tuple[str, ...]  # ramp from 0 to 1


#: Role to its colours in light and in dark.
COLOURS: dict[str, tuple[Any, Any]] = {
    "background": ("#ffffff", "#14171c"),
    "surface": ("#f4f5f7", "#1d2229"),
    "ink": ("#1d2430", "#e8eaee"),
    "muted": ("#5a6372", "#a3acb9"),
    "faint": ("#dfe3e8", "#323943"),
    "accent": ("#0a62a8", "#7cc0f4"),
    "dense": (
        {"sgd": "#8a9099", "joint": "#1d2430", "er": "#3aa0dc", "der": "#00866a", "derpp": "#0a5fa8"},
        {"sgd": "#8d949e", "joint": "#e8eaee", "er": "#8fd0fa", "der": "#35c7a2", "derpp": "#4a9fe8"},
    ),
    "spare": (
        ("#880ce9", "#c20a36", "#8277f8", "#49089b", "#6e356c"),
        ("#9b2af4", "#a2e90c", "#a55050", "#336899", "#6d57c7"),
    ),
    "warm": (("#6f2402", "#cf5a00", "#ee9d26"), ("#ffd08a", "#f58a35", "#c84a16")),
    "strata": (("#3b2a7e", "#1f8a8c", "#e0a800"), ("#9c86f0", "#3fb8b4", "#ffd84d")),
    "bedrock": ("#39424f", "#6f7885"),
    "heat": (("#f5f8fb", "#cfe3f2", "#82b8de", "#0a4f8c"), ("#1b2129", "#1f3d57", "#2a6da3", "#a5d9ff")),
}
LIGHT = Theme(name="light", **{role: light for role, (light, _) in COLOURS.items()})
DARK = Theme(name="dark", **{role: dark for role, (_, dark) in COLOURS.items()})
THEMES = (LIGHT, DARK)

#: What stands for a rehearsal method, dense or under SparCL.
MARKERS = {"sgd": "X", "joint": "*", "er": "s", "der": "D", "derpp": "o"}
SPARE_MARKERS = ("^", "v", "P", "<", ">", "p", "h")
#: Line styles of the entries of one method; points of all but the first are hollow.
DASHES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Look:
    """How an entry is drawn in every figure: colour, marker and line style."""

    colour: str
    marker: str
    dash: str


def looks(rows: Sequence[Row], theme: Theme) -> list[Look]:
    """How each row is drawn.

    Dense entries take their method's colour, dashed with the single head; one that would look like an earlier one, as
    another form of its method does, takes the next of `DASHES` that is left. SparCL entries share the warm ramp in
    order of appearance, dashed with the full head. A method takes the next spare colour and marker in order of
    appearance, over again when they are used up. Five methods have fixed ones instead: they stand on committed pages
    and in tutorials, where a reader should know them again whatever else was run. Nothing depends on their being there.
    """
    ramp = iter(shades(theme.warm, sum(row.sparse for row in rows)))
    others = list(dict.fromkeys(row.method for row in rows if row.method not in MARKERS))

    def of_method(known: dict[str, str], spare: tuple[str, ...], method: str) -> str:
        return known[method] if method in known else spare[others.index(method) % len(spare)]

    found: list[Look] = []
    for row in rows:
        look = Look(
            colour=next(ramp) if row.sparse else of_method(theme.dense, theme.spare, row.method),
            marker=of_method(MARKERS, SPARE_MARKERS, row.method),
            dash="-" if (row.head == "single") == row.sparse else "--",
        )
        choices = [look, *(replace(look, dash=dash) for dash in DASHES)]
        found.append(next((choice for choice in choices if choice not in found), look))
    return found


def shades(anchors: Sequence[str], count: int) -> list[str]:
    """``count`` colours (#rrggbb) evenly spaced along a ramp through the anchors; the middle of it for one."""
    positions = [0.5] if count == 1 else [index / (count - 1) for index in range(count)]
    return [blend(anchors, position) for position in positions]


def blend(anchors: Sequence[str], position: float) -> str:
    """Colour at ``position`` in 0..1 along a ramp through the anchors, linear in sRGB."""
    scaled = position * (len(anchors) - 1)
    left = min(int(scaled), len(anchors) - 2)
    weight = scaled - left
    pairs = zip(channels(anchors[left]), channels(anchors[left + 1]), strict=True)
    return "#" + "".join(f"{round((1 - weight) * a + weight * b):02x}" for a, b in pairs)


def colour_map(anchors: Sequence[str]) -> LinearSegmentedColormap:
    """Matplotlib's map along a ramp through the anchors, for 0..1: ``theme.heat``, or (background, ink)."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("ramp", list(anchors))


def channels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue (0..255) of "#rrggbb"."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb", 0 (black) .. 1 (white), as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in channels(colour))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1..21 (WCAG 2)."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def text_on(background: str) -> str:
    """Whichever of black and white reads better on a colour: the better one has a contrast of 4.58 at least."""
    return max(("#000000", "#ffffff"), key=lambda text: contrast(text, background))


def rc(theme: Theme = LIGHT) -> dict[str, Any]:
    """Matplotlib settings of the look, for `matplotlib.style.context` or ``rcParams.update``."""
    return {
        **dict.fromkeys(("figure.facecolor", "savefig.facecolor", "axes.facecolor"), theme.background),
        **dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), theme.muted),
        **dict.fromkeys(("axes.titlecolor", "text.color"), theme.ink),
        "axes.titlelocation": "left",
        **dict.fromkeys(("axes.titlesize", "axes.labelsize", "font.size"), 11),
        **dict.fromkeys(("xtick.labelsize", "ytick.labelsize"), 10.5),
        **dict.fromkeys(("axes.linewidth", "grid.linewidth"), 0.8),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "xtick.major.size": 3,
        "ytick.major.size": 0,
        "grid.color": theme.faint,
        "font.family": "DejaVu Sans",
        # A dollar sign in a name is a dollar sign.
        "text.parse_math": False,
        "lines.solid_capstyle": "round",
        "lines.dash_capstyle": "round",
    }


@contextmanager
def applied(theme: Theme) -> Iterator[None]:
    """Draw in the look, whatever the user's matplotlibrc says; the settings before are put back."""
    import matplotlib.style

    with matplotlib.style.context(["default", rc(theme)]):
        yield
