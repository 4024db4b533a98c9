"""A notebook's figure is kept with its data, in the package's look, and only where the environment asks for it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import types

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.report import notebook, style
from sparcl_ref.report.notebook import FOLDER_VARIABLE, drawing
from sparcl_ref.report.style import DARK, DPI, LIGHT

numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
leaves = st.none() | st.booleans() | st.integers() | numbers | st.text(max_size=4)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "figures"))
    return tmp_path / "figures"


def draw(name="00-example", **options):
    for figure, _ in drawing(name, **{"data": {"height": [1, 2]}, **options}):
        figure.subplots().plot([1, 2])


def test_writes_picture_and_data_where_the_environment_says(folder):
    draw(data={"matrix": np.eye(2), "names": ["a", "b"]}, within=0.15, size=(5, 2))
    record = json.loads((folder / "00-example.json").read_text())
    assert record == {"within": 0.15, "data": {"matrix": [[1.0, 0.0], [0.0, 1.0]], "names": ["a", "b"]}}
    pictures = ["00-example-dark.png", "00-example.png"]
    for picture, theme in zip(pictures, (DARK, LIGHT), strict=True):
        pixels = matplotlib.image.imread(io.BytesIO((folder / picture).read_bytes()))
        assert pixels.shape[:2] == (2 * DPI, 5 * DPI)
        np.testing.assert_allclose(255 * pixels[0, 0, :3], style.channels(theme.background), atol=1e-3)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*pictures, "00-example.json"])


def test_the_environment_is_read_when_drawing(folder, monkeypatch):
    monkeypatch.delenv(FOLDER_VARIABLE)
    draw()
    assert not folder.exists()
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    draw()
    assert folder.exists()


def test_draws_in_the_look_of_the_package_and_leaves_the_settings_alone(folder):
    before = dict(matplotlib.rcParams)
    themes = []
    for figure, theme in drawing("look", data={"x": 1}):
        assert matplotlib.rcParams["text.color"] == theme.ink
        assert not figure.axes
        themes.append(theme)
    assert themes == [LIGHT, DARK]
    assert dict(matplotlib.rcParams) == before


def test_draws_once_where_nothing_is_kept(monkeypatch):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert [theme for _, theme in drawing("look", data={"x": 1})] == [LIGHT]


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_body_that_raises_writes_nothing_and_lets_it_through(rounds, folder):
    before = dict(matplotlib.rcParams)

    def broken():
        for drawn, _ in enumerate(drawing("broken", data={"x": 1}), start=1):
            _ = 1 / (rounds - drawn)

    with pytest.raises(ZeroDivisionError):
        broken()
    assert not folder.exists()
    assert dict(matplotlib.rcParams) == before


def test_shows_the_picture_in_a_notebook_only(monkeypatch):
    shown = []
    display = types.ModuleType("IPython.display")
    display.Image = lambda data, format, width, alt: (data[:8], format, width, alt)
    display.display = shown.append
    shell = types.ModuleType("IPython")
    shell.get_ipython = lambda: None
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    draw()
    assert shown == []
    shell.get_ipython = lambda: "a running shell"
    draw(size=(6, 2))
    draw(alt="A line\n    that rises.")
    assert shown == [
        (b"\x89PNG\r\n\x1a\n", "png", 600, None),
        (b"\x89PNG\r\n\x1a\n", "png", 650, "A line that rises."),
    ]


@pytest.mark.parametrize("name", ["", "A", "two words", "a/b", "-a", "a-", "a--b", "a.png", "a\n", "a-dark"])
def test_refuses_names_that_are_no_file_names(name):
    with pytest.raises(ValueError, match="lower-case letters, digits and single hyphens"):
        drawing(name, data={"x": 1})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"data": {}}, ValueError, "'a': data must be a mapping"),
        ({"data": [1]}, ValueError, "'a': data must be a mapping"),
        ({"data": {"x": [0, {"y": np.inf}]}}, ValueError, r"data\.x\[1\]\.y is inf, which JSON cannot hold"),
        ({"data": {1: 2}}, TypeError, "data has the key 1; keys must be strings"),
        ({"data": {"x": 1j}}, TypeError, r"data\.x is a complex, which JSON cannot hold"),
        ({"data": {"x": 1}, "within": -0.1}, ValueError, "within must be a finite number of at least 0, got -0.1"),
        ({"data": {"x": 1}, "within": np.nan}, ValueError, "within must be .* got nan"),
        ({"data": {"x": 1}, "size": (0, 3)}, ValueError, r"size must be .* got \(0, 3\)"),
        ({"data": {"x": 1}, "size": (3, 3, 3)}, ValueError, "size must be"),
    ],
)
def test_refuses_at_once_what_it_cannot_keep(options, error, message):
    # Without entering the loop: a request that is wrong is said before anything is drawn.
    with pytest.raises(error, match=message):
        drawing("a", **options)


@given(st.dictionaries(st.text(), values, min_size=1, max_size=4), st.floats(0, 10))
def test_the_file_holds_what_was_given(data, within):
    record = {"within": within, "data": notebook.plain(data, number=notebook.rounded)}
    read = json.loads(notebook.as_text(record))
    assert read == record
    assert list(read["data"]) == list(data)
    assert_close(read["data"], data)


def assert_close(kept, given_):
    """Equal, but for numbers: those keep seven significant digits, so half a unit of the seventh may be lost."""
    if isinstance(given_, dict):
        assert kept.keys() == given_.keys()
        for key, value in given_.items():
            assert_close(kept[key], value)
    elif isinstance(given_, list):
        assert len(kept) == len(given_)
        for one, other in zip(kept, given_, strict=True):
            assert_close(one, other)
    elif isinstance(given_, float):
        assert abs(kept - given_) <= 5.001e-7 * abs(given_)
    else:
        assert kept == given_


def test_numpy_values_become_plain_ones_and_nan_no_value():
    kept = notebook.plain({"a": np.float32(0.1), "b": np.arange(2), "c": (np.nan, np.True_)}, number=notebook.rounded)
    assert kept == {"a": 0.1, "b": [0, 1], "c": [None, True]}
    assert type(kept["a"]) is float
    assert type(kept["b"][0]) is int


def test_importing_it_draws_in_neither_matplotlib_nor_ipython():
    code = "import sparcl_ref.report.notebook, sys; print({'matplotlib', 'IPython'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
