"""Sphinx's settings; `python -m website` calls it."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import sparcl_ref
from website.docstrings import numpy_style

project = "sparcl_ref"
author = copyright = "the authors of sparcl_ref"
release = version = sparcl_ref.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "website.cards",
]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext"}
exclude_patterns = ["notebooks/**", "whole/**"]
nitpicky = True
#: Types in signatures are of other packages, too, and what stands in backticks is often no public name.
nitpick_ignore_regex = [("py:.*", ".*")]
#: A name in single backticks is a link where it is a public name, and code where not.
default_role = "py:obj"
# A class that is imported for type checkers alone is known to autodoc by its bare name, and two classes may share that.
suppress_warnings = ["ref.python"]
# Primes in docstrings are no apostrophes.
smartquotes = False

nb_execution_mode = "off"
nb_merge_streams = True
nb_code_prompt_show = "Show the code that draws"
nb_code_prompt_hide = "Hide the code that draws"
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

autodoc_member_order = "bysource"
autodoc_default_options = {"undoc-members": True, "no-value": True, "show-inheritance": True}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
pygments_dark_style = "a11y-dark"
html_title = "sparcl_ref"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "navigation_with_keys": True,
    "top_of_page_buttons": [],
    "light_css_variables": {"color-brand-primary": "#24557a", "color-brand-content": "#24557a"},
    "dark_css_variables": {"color-brand-primary": "#8fbfe0", "color-brand-content": "#8fbfe0"},
}
copybutton_exclude = ".linenos, .gp, .go"
copybutton_selector = "div.highlight:not(.highlight-text *):not(.cell_output *) pre"

# One file, from the Python package that carries it; Apache License 2.0, whose text comes along.
_mathjax = Path(str(importlib.metadata.distribution("django-static-mathjax").locate_file("mathjax/static/mathjax")))
mathjax_path = "mathjax/tex-svg.js"


def _ship_mathjax(app, error) -> None:
    """Put MathJax beside the pages, so that they need no other host."""
    if error is None and app.builder.format == "html":
        folder = Path(app.outdir) / "_static" / "mathjax"
        folder.mkdir(parents=True, exist_ok=True)
        for file in ("es5/tex-svg.js", "LICENSE"):
            (folder / Path(file).name).write_bytes((_mathjax / file).read_bytes())


def _read(app, what, name, found, options, lines) -> None:
    lines[:] = numpy_style(lines)


def setup(app) -> None:
    """Connect what settings cannot say."""
    app.connect("autodoc-process-docstring", _read)
    app.connect("build-finished", _ship_mathjax)
