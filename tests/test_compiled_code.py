"""A place for compiled code, where there is none."""

from __future__ import annotations

import os

import numba
import pytest

from sparcl_ref import compiled_code


@pytest.fixture
def fresh(monkeypatch):
    """As in a new process, whose environment is not this one's."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", os.environ.get("NUMBA_CACHE_DIR", ""))
    monkeypatch.setattr(compiled_code.atexit, "register", lambda *args, **options: None)
    compiled_code.give_place.cache_clear()
    yield
    monkeypatch.undo()
    numba.config.reload_config()
    compiled_code.give_place.cache_clear()


@pytest.mark.parametrize(("homeless", "kept"), [(False, "kept for later runs"), (True, "kept for this run alone")])
def test_what_takes_long_is_announced_with_the_way_around_it(capsys, monkeypatch, homeless, kept):
    monkeypatch.setattr(compiled_code, "give_place", lambda: homeless)
    monkeypatch.setattr("sparcl_ref.fast.prepare", lambda dtype: 61.7)
    monkeypatch.setattr(numba, "set_num_threads", lambda threads: None)
    assert compiled_code.prepare_numba.__wrapped__("float32", 1) == 61.7
    err = capsys.readouterr().err
    assert "--engine numpy needs none" in err
    assert err.endswith(f" 62 s (compiled code is {kept})\n")


@pytest.mark.usefixtures("fresh")
def test_where_code_can_be_kept_nothing_is_changed(capsys):
    before = os.environ["NUMBA_CACHE_DIR"]
    assert compiled_code.give_place() is False
    assert os.environ["NUMBA_CACHE_DIR"] == before
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("fresh")
def test_without_a_place_workers_find_a_temporary_one_and_it_is_said(capsys, monkeypatch, tmp_path):
    def homeless(**options):
        def decorate(function):
            raise RuntimeError(f"cannot cache function {function.__name__!r}: no locator available for file ...")

        return decorate

    monkeypatch.setattr(numba, "njit", homeless)
    monkeypatch.setattr(compiled_code.tempfile, "tempdir", str(tmp_path))
    assert compiled_code.give_place() is True
    (folder,) = tmp_path.iterdir()
    assert os.environ["NUMBA_CACHE_DIR"] == str(folder)
    assert str(folder) == numba.config.CACHE_DIR
    assert "set NUMBA_CACHE_DIR to one" in capsys.readouterr().err
