"""``sparcl-ref COMMAND``: each word reaches its command, with what follows it."""

from __future__ import annotations

import configparser
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import sparcl_ref
from sparcl_ref.__main__ import COMMANDS, main

SETUP = Path(__file__).parents[1] / "setup.cfg"


@pytest.mark.parametrize("word", COMMANDS)
def test_a_word_calls_its_command(word, monkeypatch):
    given = []
    monkeypatch.setattr(f"{COMMANDS[word][0]}.main", lambda arguments: given.append(list(arguments)) or 7)
    assert main([word, "--tiny", "x"]) == 7
    assert given == [["--tiny", "x"]]


@pytest.mark.parametrize("word", COMMANDS)
def test_every_command_can_be_reached_without_the_door(word):
    """The documented ``python -m sparcl_ref.WORD`` is the same function."""
    package = importlib.import_module(f"sparcl_ref.{word}")
    behind = COMMANDS[word][0]
    assert behind == f"sparcl_ref.{word}.__main__" if hasattr(package, "__path__") else f"sparcl_ref.{word}"


def test_help_lists_every_command_and_an_example(capsys):
    assert main(["--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\n  sparcl-ref run --tiny\n" in out
    for word, (_, does) in COMMANDS.items():
        assert f"\n  {word} " in out
        assert does in out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"sparcl-ref {sparcl_ref.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "wrong"), [(["rnu", "--tiny"], "unknown command 'rnu'"), (["--tiny"], "'--tiny'"), ([], "no command")]
)
def test_a_wrong_word_is_refused_in_one_line(arguments, wrong, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert wrong in err
    assert "run, sweep, flops, bench, explore, convert, verify" in err


def test_from_a_shell_it_is_the_command_and_loads_no_other():
    code = (
        "import sys; sys.argv[1:] = ['flops', '--conventions']; from sparcl_ref.__main__ import main; code = main(); "
        "heavy = [name for name in ('torch', 'numba', 'sparcl_ref.run', 'sparcl_ref.verify') if name in sys.modules]; "
        "print(heavy); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
    assert len(done.stdout.splitlines()) > 5


def test_the_installed_script_is_this_function():
    settings = configparser.ConfigParser()
    settings.read(SETUP)
    assert settings["options.entry_points"]["console_scripts"].split("\n") == [
        "",
        "sparcl-ref = sparcl_ref.__main__:main",
    ]
