"""Machine code is kept between runs, and only as long as the sources that it was made from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import sparcl_ref
from sparcl_ref.fast import jit

#: Three times one, by a kernel of microkernel.py that is compiled into a loop of loops.py; and whether it was kept.
RUN = """
import numpy as np
from sparcl_ref.fast.loops import _gather_rest as loop
x, y, values = np.ones(64), np.zeros(64), np.array([3.0])
loop(x, 0, np.zeros(1, dtype=np.int32), values, 0, 1, y, 0, 16, False)
print(y[0], sum(loop.stats.cache_hits.values()))
"""
#: A product, and what takes its place: a sum.
PRODUCT, SUM = "self.builder.fmul(a, b, flags", "self.builder.fadd(a, b, flags"


def run(folder: Path) -> list[str]:
    """What the script prints with the package in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "kept")}
    done = subprocess.run([sys.executable, "-c", RUN], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_code_is_kept_until_any_source_changes(tmp_path):
    package = Path(sparcl_ref.__file__).parent
    shutil.copytree(package, tmp_path / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    assert run(tmp_path) == ["3.0", "0"]
    assert run(tmp_path) == ["3.0", "1"]
    source = tmp_path / package.name / "fast" / "microkernel.py"
    text = source.read_text()
    assert text.count(PRODUCT) == 1
    source.write_text(text.replace(PRODUCT, SUM))
    assert run(tmp_path) == ["4.0", "0"]


def test_functions_are_compiled_where_no_code_can_be_kept(monkeypatch):
    compile_with = jit.njit

    def without_folders(*, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return compile_with(**options)

    monkeypatch.setattr(jit, "njit", without_folders)
    assert jit.compiled()(lambda x: x + 1)(2) == 3
