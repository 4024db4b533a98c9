"""Terms of the glossary, found where they are used: a link on each page's first use, and what its card says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from website.terms import pieces

GLOSSARY = "pages/terms"
SCRIPT = "terms.js"
#: Pages for people who read, other than those made from source.
NOT_HERE = ("reference/", "annotated/", "results/", "solutions/", "microsparcl", "index", "accounting", "pages/changes")
#: What is no running text.
NOT_IN = (
    nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.strong, nodes.math, nodes.math_block,
    nodes.raw, addnodes.pending_xref, nodes.caption, nodes.table,
)  # fmt: skip


class Cards(SphinxPostTransform):
    """Links the first use of each term on a page to the glossary."""

    default_priority = 5  # before references are resolved

    def run(self, **kwargs: Any) -> None:
        page = self.env.docname
        if page == GLOSSARY or page.startswith(NOT_HERE):
            return
        terms = {target: target for kind, target in self.env.domains["std"].objects if kind == "term"}
        # A page that defines a term does so in bold, and needs no card for it.
        defined = {node.astext().lower() for node in self.document.findall(nodes.strong)}
        left = {term.lower(): term for term in terms if term.lower() not in defined}
        for text in list(self.document.findall(nodes.Text)):
            if left and not any(isinstance(parent, NOT_IN) for parent in ancestors(text)):
                _link(text, left, page)


def ancestors(node: nodes.Node) -> Iterator[nodes.Node]:
    """All that a node stands in, from near to far."""
    while node.parent is not None:
        node = node.parent
        yield node


def _link(text: nodes.Text, left: dict[str, str], page: str) -> None:
    parts = pieces(text.astext(), left)
    if len(parts) == 1 and parts[0][1] is None:
        return
    made: list[nodes.Node] = []
    for words, term in parts:
        if term is None:
            made.append(nodes.Text(words))
            continue
        link = addnodes.pending_xref(
            "", nodes.inline("", words, classes=["term"]),
            refdomain="std", reftype="term", reftarget=term, refexplicit=True, refwarn=True, refdoc=page,
        )  # fmt: skip
        made.append(link)
    text.parent.replace(text, made)


def write_script(app: Sphinx, error: Exception | None) -> None:
    """Write what the cards say: anchor in the glossary to HTML."""
    if error is not None or app.builder.format != "html":
        return
    page = app.env.get_and_resolve_doctree(GLOSSARY, app.builder)
    cards = {}
    for item in page.findall(nodes.definition_list_item):
        term = next(item.findall(nodes.term))
        words, *where = next(item.findall(nodes.definition)).children
        cards[term["ids"][0]] = {
            "term": term.astext(),
            "words": app.builder.render_partial(words)["fragment"],
            "where": " ".join(each.astext() for each in where),
        }
    text = f"window.sparclTerms = {json.dumps(cards, ensure_ascii=False, indent=0)};\n"
    (Path(app.outdir) / "_static" / SCRIPT).write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Make this module a Sphinx extension."""
    app.add_post_transform(Cards)
    app.add_js_file(SCRIPT, priority=400)
    app.connect("build-finished", write_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
