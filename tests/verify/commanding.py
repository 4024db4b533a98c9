"""Calling the command from tests: the text of a small adapter, and what came of a call."""

from __future__ import annotations

from sparcl_ref.verify.__main__ import main

ADAPTER = """
import numpy as np

def relu_forward(x):
    return np.maximum(x, 0)

def relu_backward(dy, x):
    return dy * (x >= 0)

def cgi(grad_current, grad_buffer, alpha, beta):
    raise ValueError("not \\x00 yet")
"""


def run(capsys, *arguments):
    """Exit code, stdout, stderr."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr()
    return code, said.out, said.err


def refused(capsys, *arguments):
    """The one line of a refusal."""
    code, out, err = run(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), (code, out, err)
    assert "Traceback" not in err
    return err
