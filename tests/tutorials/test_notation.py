"""Every symbol of the tutorials' formulas is explained, where it is used, on one page."""

from __future__ import annotations

import re

import pytest

from tests.tutorials import notation, notebooks, structure

SERIES = notebooks.series()
PAGE = notation.PAGE.read_text(encoding="utf-8")


def test_every_symbol_of_the_series_is_on_the_page_and_no_other():
    assert notation.violations(SERIES, PAGE) == []
    assert sum(len(notation.used(notebook)) for notebook in SERIES) >= 100


def test_every_row_of_the_page_is_read():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| symbol"))]
    assert len(notation.ROW.findall(PAGE)) == len(rows) >= 80
    numbers = {number for where in notation.listed(PAGE).values() for number in where}
    assert numbers <= {notebook.number for notebook in SERIES}


@pytest.mark.parametrize(
    ("formula", "found"),
    [
        (r"$\bar x_{ni}$", ["\\bar", "x", "n", "i"]),
        (r"$$\frac{\partial L_{\mathrm{task}}}{\partial w}$$", ["\\partial", "L", "\\partial", "w"]),
        (r"$\mathrm{CWI}(w) \approx \alpha$", ["CWI", "w", "\\alpha"]),
        (r"$\underbrace{g}_ {\text{direct path}} + e^{-z_t}$", ["g", "e", "z", "t"]),
        (r"$[j = t] \cdot \log 2$", ["[", "j", "t"]),
        (r"$x_i \le \sqrt{2} \times 10^{-5}$", ["x", "i"]),
    ],
)
def test_symbols_of_a_formula(formula, found):
    assert notation.symbols(formula) == found


def small(markdown: str) -> notebooks.Notebook:
    return notebooks.parse("03-small", f"{structure.HEAD}\n# A title\n\n{markdown}\n")


ROWS = "| $w$, $v$ | a weight | 01a, 03 |\n| $R_{t,j}$ | accuracy | 03 |\n| $t$ | a task | 03 |\n"
TEXT = "Of $w$ and $v$: $R_t$."


@pytest.mark.parametrize(
    ("markdown", "rows", "message"),
    [
        (TEXT, ROWS, ""),
        (TEXT + " And `$x$`.", ROWS, ""),
        (TEXT + " And $\\hat w$.", ROWS, r"03-small: \hat is not in pages/notation.md for 03: $\hat w$"),
        (TEXT, ROWS.replace("01a, 03", "01a"), "03-small: w is not in"),
        (TEXT + " $R_j$", ROWS, "03-small: j is not in"),  # an index is no row
        (TEXT.replace(" and $v$", ""), ROWS, "03-small: v stands in pages/notation.md for 03, unused"),
    ],
)
def test_what_is_missing_or_left_over_is_found(markdown, rows, message):
    found = notation.violations([small(markdown)], rows)
    assert any(message in line for line in found) if message else found == [], found


@pytest.mark.parametrize("number", ["01a", "01b", "02"])
def test_tutorials_that_bring_symbols_link_to_the_page_from_their_top(number):
    (notebook,) = notebooks.selected(SERIES, [number])
    opening = re.split(r"^## 1\. ", notebook.markdown, maxsplit=1, flags=re.MULTILINE)[0]
    assert "(pages/notation.md)" in opening
