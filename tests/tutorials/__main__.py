"""`python -m tests.tutorials [NN ...]`: check, run and time the tutorials, renew figures, copies and terms."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.tutorials import figures, formulas, notation, notebooks, numbers, reading, structure, terms


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 if nothing is wrong, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.tutorials", description=__doc__)
    parser.add_argument("numbers", nargs="*", metavar="NN", help="tutorials to look at [all]")
    parser.add_argument(
        "--check",
        action="store_true",
        help="check the text, run nothing; with --write renew the words of tutorials/read/, and keep what was printed",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="renew tutorials/figures/ and tutorials/read/ with what it draws and prints",
    )
    parser.add_argument("--terms", action="store_true", help="renew tutorials/pages/terms.md and do nothing else")
    options = parser.parse_args(arguments)
    every = notebooks.series()
    if options.terms:
        notebooks.TERMS.write_text(terms.page(every), encoding="utf-8")
        print(f"{len(terms.definitions(every))} terms in {notebooks.TERMS.relative_to(notebooks.ROOT)}")
        return 0
    try:
        wanted = notebooks.selected(every, options.numbers)
    except ValueError as error:
        parser.error(str(error))
    found, seconds = [], 0.0
    for notebook in wanted:
        if not options.check:
            seconds += run_one(notebook, found, write=options.write)
        elif options.write:
            renew_words(notebook, found)
        found += [*structure.violations(notebook), *numbers.violations(notebook), *figures.violations(notebook)]
        found += [*formulas.violations(notebook), *reading.violations(notebook)]
    names = {notebook.name for notebook in wanted}
    together = [*terms.violations(every), *notation.violations(every, notation.PAGE.read_text(encoding="utf-8"))]
    found += [line for line in together if line.split(":")[0] in names]
    if not options.numbers:
        found += [*figures.orphans(every), *reading.orphans(every)]
    print("\n".join(found) or "nothing is wrong")
    if not options.check:
        print(f"{seconds:.0f} s in all")
    return 1 if found else 0


def run_one(notebook: notebooks.Notebook, found: list[str], *, write: bool) -> float:
    """Run a tutorial and say how long it took; what goes wrong is added to what was found."""
    from nbclient.exceptions import CellExecutionError

    with tempfile.TemporaryDirectory() as folder:
        try:
            run = notebooks.run(notebook, Path(folder))
        except CellExecutionError as error:
            found.append(f"{notebook.name}: " + re.sub(r"\x1b\[[\d;]*m", "", str(error)))
            print(f"{notebook.name}: failed", flush=True)
            return 0.0
    print(f"{notebook.name}: {run.seconds:.1f} s", flush=True)
    found += [f"{notebook.name}: a cell wrote to the error stream: {text}" for text in run.errors if text]
    if write:
        write_figures(notebook, run)
        notebooks.READ.mkdir(exist_ok=True)
        reading.path(notebook).write_text(reading.page(notebook, run.outputs), encoding="utf-8")
    else:
        found += [f"{notebook.name}: {line}" for line in figures.stale(run.records, notebook.number)]
        found += reading.stale(notebook, run.outputs, run.records)
    return run.seconds


def renew_words(notebook: notebooks.Notebook, found: list[str]) -> None:
    """Make a tutorial's reading copy from its text and from what its cells printed before."""
    try:
        words = reading.page(notebook, reading.kept(notebook))
    except (FileNotFoundError, ValueError) as error:
        found.append(str(error))
    else:
        reading.path(notebook).write_text(words, encoding="utf-8")


def write_figures(notebook: notebooks.Notebook, run: notebooks.Run) -> None:
    """Replace the committed figures of a tutorial; a picture is renewed even if only its look has changed."""
    from sparcl_ref.report.notebook import as_text

    notebooks.FIGURES.mkdir(exist_ok=True)
    for path in notebooks.FIGURES.glob(f"{notebook.number}-*"):
        path.unlink()
    for name, record in run.records.items():
        (notebooks.FIGURES / f"{name}.json").write_text(as_text(record), encoding="utf-8")
    for name, picture in run.pictures.items():
        (notebooks.FIGURES / f"{name}.png").write_bytes(picture)
        print(f"  figures/{name}.png, {len(picture) / 1000:.0f} kB")


if __name__ == "__main__":
    sys.exit(main())
