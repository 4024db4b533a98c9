"""Everything stands somewhere: pages in the contents, terms in the glossary, public names in the reference."""

from __future__ import annotations

import collections
import importlib

import pytest

import sparcl_ref
from tests.tutorials import notebooks, terms
from tests.tutorials.notebooks import ROOT
from website import contents, glossary, reference
from website.links import Checkout

CHECKOUT = Checkout.of(ROOT)
MODULES = list(reference.modules())


def test_every_page_stands_once_in_the_contents():
    entries = [
        entry.partition("<")[2].rstrip(">") or entry for _, pages in contents.sections(CHECKOUT) for entry in pages
    ]
    assert max(collections.Counter(entries).values()) == 1
    pages = {staged.rpartition(".")[0] for staged in CHECKOUT.staged.values() if not staged.startswith("annotated/")}
    assert pages <= set(entries)


def test_a_page_that_nobody_named_stands_under_more(tmp_path):
    for name in ("tutorials/00-start.md", "tutorials/01b-next.md", "tutorials/pages/unheard-of.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("# A `title`\n")
    found = dict(contents.sections(Checkout.of(tmp_path)))
    assert found["Learn"] == ["00 A title <00-start>", "01b A title <01b-next>"]
    assert found[contents.REST][-1] == "pages/unheard-of"


def test_the_landing_page_has_the_table_of_the_readme():
    table = contents.tutorials((ROOT / "README.md").read_text(encoding="utf-8"))
    assert [line.partition("](tutorials/read/")[2].partition(".md")[0] for line in table.splitlines()[2:]] == [
        notebook.name for notebook in notebooks.series()
    ]
    with pytest.raises(ValueError, match="no table"):
        contents.tutorials("# A readme\n")


def test_the_glossary_has_the_definitions_of_the_tutorials():
    found = glossary.entries((ROOT / glossary.TERMS).read_text(encoding="utf-8"))
    defined = terms.definitions(notebooks.series())
    assert [term for term, _, _ in found] == [definition.term for definition in defined]
    for (_, text, where), definition in zip(found, defined, strict=True):
        assert f"**{definition.term}**" in " ".join(text.split())
        assert where.startswith("[")
        assert r"\|" not in text


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_names_of_the_reference_are_what_a_module_defines(module):
    if module.name.startswith("sparcl_ref.bench"):
        pytest.importorskip("torch")
    loaded = vars(importlib.import_module(module.name))
    for name in module.names:
        # A field of a type that is declared and not set has no value.
        assert name in loaded or name in loaded.get("__annotations__", {})
    owned = {
        name for name, value in loaded.items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.name
        and getattr(value, "__name__", None) == name
    }  # fmt: skip
    assert owned <= set(module.names)


def test_no_public_module_is_left_out():
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "sparcl_ref").rglob("*.py") if not path.name.startswith("_") or path.name == "__init__.py"
    }  # fmt: skip
    assert {module.name for module in MODULES} == files
    assert len({module.page for module in MODULES}) < len(MODULES)


def test_what_the_package_exports_leads_to_where_it_is_defined():
    text = reference.index(sorted({module.page for module in MODULES}))
    names = {f"{module.name}.{name}" for module in MODULES for name in module.names}
    for exported in set(sparcl_ref.__all__) - {"__version__"}:
        line = next(line for line in text.splitlines() if line.startswith(f"- {{py:obj}}`{exported} <"))
        assert line.partition("<")[2].partition(">`")[0] in names


def test_names_that_are_imported_or_private_are_not_defined_here():
    source = (
        "import a\nfrom b import c\nX: int = 1\n_y = 2\nZ = W = 3\ndef f(): ...\nclass G: ...\ndef _h(): ...\nX = 2\n"
    )
    assert list(reference.public(source)) == ["X", "Z", "W", "f", "G"]
    values = "#: Told.\nA = 1\nB = 2\nC = 3  #: Told.\nD = [\n    4,\n]\nE: int = 5\n" + '"""Told."""\nF = G = 7\n'
    assert reference.silent(values) == {"B": "2", "D": "", "F": "7", "G": "7"}
    assert list(reference.public("try:\n    import a\n    OK = True\nexcept ImportError: ...\n")) == ["OK"]
