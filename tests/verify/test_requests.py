"""Wrong requests to the command: one line that says what to do, and exit code 2."""

from __future__ import annotations

import pytest

from tests.verify.commanding import refused, run


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("relu_forward/*", "line 1: 'relu_forward/*' has no reason"),
        ("relu_forward/*:  ", "line 1: 'relu_forward/*' has no reason"),
        ("no_such/case: why", "line 1: there is no case 'no_such/case'"),
        ("cgi/*: one\ncgi/*: two", "line 2: cgi/"),
    ],
)
def test_a_careless_list_is_refused(capsys, adapter, tmp_path, line, said):
    listed = tmp_path / "xfail.txt"
    listed.write_text(line)
    assert said in refused(capsys, adapter, "--xfail", listed)


def test_wrong_requests_are_one_line_and_exit_2(capsys, adapter, tmp_path):
    missing, text, folder = tmp_path / "missing.py", tmp_path / "notes.txt", tmp_path / "folder.py"
    broken, binary = tmp_path / "broken.py", tmp_path / "binary.py"
    text.write_text("hello")
    folder.mkdir()
    broken.write_text("def relu_forward(x:\n")
    binary.write_bytes(b"\x00\x01\xff")
    assert "no such file; give a Python file, or one of the ready adapters numpy, numba" in refused(capsys, missing)
    assert "not a Python file" in refused(capsys, text)
    assert "not a Python file" in refused(capsys, folder)
    assert "cannot be imported: SyntaxError" in refused(capsys, broken)
    assert "cannot be imported: " in refused(capsys, binary)
    assert "give one thing to check" in refused(capsys)
    assert "got adapter and list" in refused(capsys, adapter, "--list")
    assert "is no area (layers, " in refused(capsys, adapter, "--only", "nothing_like_it")
    assert "invalid choice: 'float16'" in refused(capsys, adapter, "--dtype", "float16")
    for seconds in ("0", "-1", "inf", "nan", "soon"):
        assert "must be a number of seconds above 0, got" in refused(capsys, adapter, "--timeout", seconds)
    assert "cannot be read as text" in refused(capsys, adapter, "--xfail", tmp_path / "nowhere")
    assert "cannot be read as text" in refused(capsys, adapter, "--xfail", binary)
    assert "cannot write to" in refused(capsys, "--export", text)
    assert "no such folder" in refused(capsys, "--outputs", tmp_path / "nowhere")
    assert "no such file" in refused(capsys, "--trace", tmp_path / "nowhere.npz")
    assert "--xfail does not go with list" in refused(capsys, "--list", "--xfail", text)
    assert "--only does not go with record" in refused(capsys, "--record", text, "--only", "layers")
    assert "--dtype does not go with trace" in refused(capsys, "--trace", text, "--dtype", "float32")
    assert "--timeout does not go with outputs" in refused(capsys, "--outputs", folder, "--timeout", "3")
    assert "--against does not go with adapter" in refused(capsys, adapter, "--against", text)
    assert "trace" in refused(capsys, "--trace", text)


def test_a_report_is_not_lost_to_a_path_that_goes_wrong_on_the_way(capsys, adapter, tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    adapter.write_text(f"{adapter.read_text()}\nimport os\nos.rmdir({str(folder)!r})\n")
    code, out, err = run(capsys, adapter, "--only", "cgi", "--junit", folder / "report.xml")
    assert code == 2
    assert "FAILED cgi/" in out
    assert err.startswith("sparcl_ref.verify: cannot write to ")


def test_a_list_that_an_editor_marked_as_unicode_is_read(capsys, adapter, tmp_path):
    listed = tmp_path / "xfail.txt"
    listed.write_bytes(b"\xef\xbb\xbfrelu_backward/*: known\r\n")
    assert run(capsys, adapter, "--only", "relu_*", "--xfail", listed)[0] == 0
