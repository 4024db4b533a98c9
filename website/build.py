"""From the checkout to a folder of HTML: gather what Sphinx reads, then let it read."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.tutorials import executed as kept
from tests.tutorials import notebooks
from website import accounting, annotated, contents, glossary, learn, links, reference, results

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
#: A file of every site.
INVENTORY = "objects.inv"


def site(out: Path, *, executed: Path, work: Path) -> int:
    """Build the site.

    Parameters
    ----------
    out : Path
        Where it goes; what stood there is replaced, once the new site stands.
    executed : Path
        Where notebooks that were run are kept. A tutorial without one, or whose code has changed, is run.
    work : Path
        What Sphinx reads, and what it remembers from one build to the next.

    Returns
    -------
    int
        0 if Sphinx had no complaint.
    """
    from sphinx.cmd.build import main as sphinx

    source, html = work / "source", work / "html"
    gather(source, executed)
    shutil.rmtree(html, ignore_errors=True)
    # All warnings, then an exit status of 1; references that lead nowhere are warnings, too.
    options = ["-b", "html", "-W", "--keep-going", "-q", "-j", "auto", "-c", str(HERE), "-d", str(work / "doctrees")]
    options += ["-D", f"html_extra_path={source / links.WHOLE}"]
    code = sphinx([*options, str(source), str(html)])
    # At 2 it broke off.
    if code in (0, 1):
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(html, out)
    return code


def gather(source: Path, executed: Path) -> None:
    """Write all that Sphinx reads; a file that would not change is left alone, so that it is not read again."""
    run_missing(executed)
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        checkout = links.Checkout.of(ROOT)
        for notebook in notebooks.series():
            learn.write(notebook, executed, checkout, fresh)
        for page in checkout.pages():
            links.stage(page, checkout, fresh)
        learn.write_workbook(checkout, fresh)
        glossary.write(checkout, fresh)
        annotated.write(checkout, fresh)
        reference.write(checkout, fresh)
        accounting.write(fresh)
        results.write(checkout, fresh)
        contents.write(checkout, fresh)
        # Some hosts would drop _static otherwise.
        (fresh / links.WHOLE).mkdir(exist_ok=True)
        (fresh / links.WHOLE / ".nojekyll").touch()
        _renew(fresh, source)


def run_missing(executed: Path) -> None:
    """Run each tutorial whose executed notebook is not there.

    Raises
    ------
    RuntimeError
        If one fails.
    """
    from nbclient.exceptions import CellExecutionError

    for notebook in notebooks.series():
        if kept.outputs(notebook, executed) is not None:
            continue
        print(f"running {notebook.name}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            try:
                kept.save(notebook, notebooks.run(notebook, Path(folder)), executed)
            except CellExecutionError as error:
                where = f"python -m tests.tutorials {notebook.number}"
                raise RuntimeError(f"a cell of {notebook.name} fails; {where} shows which") from error


def _renew(fresh: Path, source: Path) -> None:
    """Make one folder like another; files with equal content keep their time."""
    made = {path.relative_to(fresh) for path in fresh.rglob("*") if path.is_file()}
    for path in sorted(source.rglob("*")) if source.exists() else []:
        if path.is_file() and path.relative_to(source) not in made:
            path.unlink()
    for name in sorted(made):
        target = source / name
        content = (fresh / name).read_bytes()
        if not target.exists() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
