"""The colours of explorer pages, from those of all figures and pages."""

from __future__ import annotations

from sparcl_ref.report.style import DARK, LIGHT, Theme, blend

#: Steps of a ramp.
QUARTERS = 4


def colours(theme: Theme) -> dict[str, str]:
    """Name to "#rrggbb"."""
    roles = ("background", "surface", "ink", "muted", "faint", "accent")
    found = {name: getattr(theme, name) for name in roles}
    found |= {
        "edge": blend((theme.faint, theme.muted), 0.5),  # of what can be operated
        "dead": theme.surface,
        "start": theme.bedrock,
        "earlier": theme.accent,
        "now": theme.warm[1],
        "silenced": blend((theme.surface, theme.accent), 0.42),
    }
    # The lowest quarter is told from the dead.
    warm = (blend((theme.surface, theme.warm[2]), 0.35), *theme.warm[::-1])
    for step in range(1, QUARTERS + 1):
        found[f"heat{step}"] = blend(theme.heat, 0.2 + 0.8 * step / QUARTERS)
        found[f"warm{step}"] = blend(warm, (step - 1) / (QUARTERS - 1))
    return found


def stylesheet() -> str:
    """Custom properties of the light page and of the dark one."""

    def block(theme: Theme) -> str:
        return ":root{" + ";".join(f"--{name}:{value}" for name, value in colours(theme).items()) + "}"

    return f"{block(LIGHT)}\n@media screen and (prefers-color-scheme:dark){{{block(DARK)}}}"
