"""The command: what it prints, what it writes, and its exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from sparcl_ref.verify.areas import functions
from sparcl_ref.verify.cases import load_cases
from sparcl_ref.verify.listing import format_listing, signature
from tests.verify.commanding import refused, run


def test_the_table_and_every_part_of_a_failure(capsys, adapter):
    code, out, err = run(capsys, adapter, "--only", "relu_*", "--only", "cgi")
    assert code == 1
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == f"{adapter}, float64"
    counts = ["passed", "failed", "expected", "failures", "not", "provided", "outside", "range", "compared"]
    assert lines[2].split() == ["area", *counts]
    rows = {line.split()[0]: line.split()[1:] for line in lines[3:6]}
    assert rows.keys() == {"layers", "importance", "all"}
    assert int(rows["importance"][0]) == 0 < int(rows["importance"][1])
    block = out[out.index("FAILED relu_backward/") :].split("\n\n")[0]
    of_relu = functions()["relu_backward"]
    for part in (of_relu.sentence, of_relu.source, "dx[", "got ", "expected 0.0", "error ", "allowed", "entries)"):
        assert part in block
    assert "looks like the derivative at 0 taken as 1: >= instead of >" in block
    assert "ValueError: not \\x00 yet (line 11 of my_adapter.py)" in out
    assert lines[-1].startswith("does not conform: ")


def test_an_error_in_ulp_and_against_the_tolerance(capsys, tmp_path):
    path = tmp_path / "off.py"
    path.write_text("import numpy as np\ndef global_avg_pool2d_forward(x): return x.mean((2, 3)) * (1 + 1e-9)\n")
    code, out, _ = run(capsys, path, "--only", "layers")
    assert code == 1
    assert " ULP, " in out
    assert " times the " in out


def test_a_pattern_in_the_numbers_is_printed_and_a_hang_is_cut_off(capsys, tmp_path):
    path = tmp_path / "twice.py"
    path.write_text(
        "import time\ndef relu_forward(x): return 2 * x.clip(0)\ndef cgi(**given):\n    while True: time.sleep(1)\n"
    )
    options = ("--only", "relu_forward/images", "--only", "cgi/zero*", "--timeout", "1")
    out = run(capsys, path, *options)[1]
    assert "  pattern    y is 2 times what it should be\n" in out
    assert "did not end within 1 s and was stopped" in out
    patterns = [one.get("pattern") for one in json.loads(run(capsys, path, *options, "--json")[1])["cases"]]
    assert patterns[0] == "y is 2 times what it should be"


def test_the_limit_of_a_call_is_that_of_the_import_too(capsys, tmp_path):
    path = tmp_path / "slow.py"
    path.write_text("import time\ntime.sleep(60)\n")
    said = refused(capsys, path, "--timeout", "1.5")
    assert "cannot be imported: did not end within 1.5 s and was stopped" in said


def test_a_report_that_cannot_be_written_is_refused_before_a_case_runs(capsys, tmp_path):
    path, ran = tmp_path / "mine.py", tmp_path / "ran"
    path.write_text(f"open({str(ran)!r}, 'w')\ndef relu_forward(x): return x.clip(0)\n")
    for target in (tmp_path / "no" / "report.xml", tmp_path, ""):
        assert "cannot write to" in refused(capsys, path, "--only", "relu_forward", "--junit", target)
    assert not ran.exists()
    kept = tmp_path / "report.xml"
    kept.write_text("an earlier report")
    refused(capsys, tmp_path / "none.py", "--junit", kept)
    assert kept.read_text() == "an earlier report"
    refused(capsys, tmp_path / "none.py", "--junit", tmp_path / "new.xml")
    assert not (tmp_path / "new.xml").exists()


def test_empty_outputs_alone_compare_nothing(capsys, tmp_path):
    path = tmp_path / "empty.py"
    path.write_text("import numpy as np\ndef tdm_actions(**given): return np.zeros(0, int), np.zeros(0)\n")
    code, out, _ = run(capsys, path, "--only", "tdm_actions/quiet-epoch")
    assert code == 1
    assert out.splitlines()[-1].startswith("nothing was compared: the outputs of every case that passed are empty")


def test_one_right_function_and_nothing_else_exits_0(capfd, tmp_path):
    path = tmp_path / "small.py"
    path.write_text(
        "import os\nimport numpy as np\nprint('noise', flush=True)\n"
        "def relu_forward(x):\n    os.write(1, b'more noise')\n    return np.maximum(x, 0)\n"
    )
    code, out, err = run(capfd, path)
    assert code == 0
    assert "noise" not in out, "what an adapter prints is no part of the report"
    assert "noise" in err
    assert "conforms in what it provides: " in out.splitlines()[-1]
    assert "cases not provided" in out.splitlines()[-1]


@pytest.mark.parametrize("content", ["", "def unknown(x): return x\n", "relu_forward = None\n"])
def test_nothing_known_exits_1_and_says_that_nothing_was_compared(capsys, tmp_path, content):
    path = tmp_path / "nothing.py"
    path.write_text(content)
    code, out, _ = run(capsys, path)
    assert code == 1
    assert out.splitlines()[-1].startswith("nothing was compared: no function asked for is provided")


def test_json_is_one_object_with_all_cases(capsys, adapter):
    code, out, _ = run(capsys, adapter, "--only", "layers", "--only", "cgi", "--json", "--dtype", "float32")
    found = json.loads(out)
    assert code == 1
    assert (found["format"], found["adapter"], found["dtype"], found["conforms"]) == (1, str(adapter), "float32", False)
    assert [row["area"] for row in found["areas"]] == ["layers", "importance"]
    counted = {"passed": 0, "failed": 0, "not provided": 0}
    for record in found["cases"]:
        counted[record["status"]] += 1
    total = found["total"]
    assert counted == {"passed": total["passed"], "failed": total["failed"], "not provided": total["not_provided"]}
    off = next(one for one in found["cases"] if one["function"] == "relu_backward" and one["status"] == "failed")
    assert off["sentence"] == functions()["relu_backward"].sentence
    assert off["causes"] == ["the derivative at 0 taken as 1: >= instead of >"]
    assert {"output", "index", "got", "expected", "error", "allowed", "ulp", "bad", "size"} <= off["differences"][
        0
    ].keys()


def test_junit_has_a_suite_per_area_and_is_xml(capsys, adapter, tmp_path):
    target = tmp_path / "report.xml"
    code, out, _ = run(capsys, adapter, "--only", "layers", "--only", "cgi", "--json", "--junit", target)
    cases = json.loads(out)["cases"]
    root = ElementTree.parse(target).getroot()
    assert code == 1
    assert [suite.get("name") for suite in root] == ["layers", "importance"]
    marks = {"failed": "failure", "not provided": "skipped"}
    for record in cases:
        (found,) = [one for one in root.iter("testcase") if one.get("name") == record["id"]]
        assert [child.tag for child in found] == ([marks[record["status"]]] if record["status"] in marks else [])
    for suite in root:
        assert int(suite.get("failures")) == len(list(suite.iter("failure")))
        assert int(suite.get("skipped")) == len(list(suite.iter("skipped")))
        assert int(suite.get("tests")) == len(suite)


def test_junit_of_nothing_compared_fails(capsys, tmp_path):
    path, target = tmp_path / "nothing.py", tmp_path / "report.xml"
    path.write_text("")
    assert run(capsys, path, "--only", "cgi", "--junit", target)[0] == 1
    assert "nothing was compared" in ElementTree.parse(target).getroot().find(".//failure").get("message")


def test_expected_failures_with_reasons(capsys, adapter, tmp_path):
    listed = tmp_path / "xfail.txt"
    listed.write_text(
        "# our engine\n\nrelu_backward/*: takes >= at 0, kept for compatibility\ncgi/*: to be written: soon\n"
    )
    target = tmp_path / "report.xml"
    options = ("--only", "relu_*", "--only", "cgi", "--xfail", listed)
    code, out, _ = run(capsys, adapter, *options, "--junit", target)
    assert code == 0, "what is expected to fail is no news"
    assert "FAILED" not in out
    assert "(to be written: soon)" in out
    assert "passed although expected to fail, take it off the list: relu_backward/" in out
    assert "takes >= at 0, kept for compatibility" in target.read_text().replace("&gt;", ">")
    for suite in ElementTree.parse(target).getroot():
        assert int(suite.get("skipped")) == len(list(suite.iter("skipped")))
    found = json.loads(run(capsys, adapter, *options, "--json")[1])
    assert {one["expected_to_fail"] for one in found["cases"] if one["function"] == "cgi"} == {"to be written: soon"}
    assert found["total"]["expected_failures"] > 0 == found["total"]["failed"]


def test_expected_failures_alone_compare_nothing(capsys, adapter, tmp_path):
    listed = tmp_path / "xfail.txt"
    listed.write_text("cgi/*: to be written\n")
    code, out, _ = run(capsys, adapter, "--only", "cgi", "--xfail", listed)
    assert code == 1
    assert "nothing was compared: every case that ran is expected to fail" in out
    listed.write_text("relu_backward/zeros: wrong numbers, which were compared, are no success either\n")
    code, out, _ = run(capsys, adapter, "--only", "relu_backward/zeros", "--xfail", listed)
    assert code == 1
    assert "nothing was compared: every case that ran is expected to fail" in out


def test_the_list_has_every_function_and_every_case(capsys):
    code, out, _ = run(capsys, "--list")
    protocol, cases = functions(), load_cases()
    assert code == 0
    flat = " ".join(out.split())
    assert flat == " ".join(format_listing(protocol.values(), cases).split()), "folded at blanks, nothing lost"
    for function in protocol.values():
        assert signature(function) in flat
        assert " ".join(function.sentence.split()) in flat
    names = " ".join(out.split())
    for case in cases:
        assert case.id.partition("/")[2] in names
    records = json.loads(run(capsys, "--list", "--json")[1])
    assert [record["name"] for record in records] == list(protocol)
    assert sum(len(record["cases"]) for record in records) == len(cases)
    defaults = {a["name"]: a.get("default", "required") for r in records if r["name"] == "cgi" for a in r["arguments"]}
    assert defaults == {"grad_current": "required", "grad_buffer": "required", "alpha": 0.5, "beta": 1.0}


def test_only_restricts_the_list(capsys):
    out = run(capsys, "--list", "--only", "budget", "--only", "dgm", "--only", "cgi/zero*")[1]
    heads = [line for line in out.splitlines() if line.startswith("[")]
    assert heads == ["[masks]", "[importance]", "[dgm]"]


def test_files_go_out_and_come_back(capsys, tmp_path):
    folder = tmp_path / "cases"
    code, out, _ = run(capsys, "--export", folder, "--only", "relu_forward")
    assert (code, str(folder / "outputs") in out) == (0, True)
    code, out, _ = run(capsys, "--outputs", folder / "outputs")
    assert code == 1
    assert "nothing was compared" in out
    for source in (folder / "inputs").glob("relu_forward/*/x.npy"):
        np.save(folder / "outputs" / "relu_forward" / source.parent.name / "y.npy", np.maximum(np.load(source), 0))
    code, out, _ = run(capsys, "--outputs", folder / "outputs")
    assert code == 0
    assert "conforms" in out
    assert "remark" not in out
    np.savez(folder / "outputs" / "relu_forward" / "images.npz", y=np.zeros(3))
    assert "remark" not in run(capsys, "--outputs", folder / "outputs")[1], "all outputs of a case may be in one file"
    np.save(folder / "outputs" / "relu_forward" / "zeros" / "why.npy", np.zeros(3))
    code, out, _ = run(capsys, "--outputs", folder / "outputs", "--only", "relu_backward", "--only", "relu_forward")
    assert "remark: relu_forward/zeros/why.npy: no output of any case" in out
    code, out, _ = run(capsys, "--outputs", folder)
    assert code == 1
    assert "more files: no output of any case, and not looked at" in out


@pytest.mark.parametrize(("name", "dtype"), [("numpy", "float64"), ("numba", "float32")])
def test_ready_adapters_pass_everything_they_provide(capsys, name, dtype):
    """In processes of their own; test_cases has both in both dtypes."""
    # The first call of a kernel may compile it.
    code, out, _ = run(capsys, name, "--json", "--dtype", dtype, "--timeout", 300)
    found = json.loads(out)
    assert code == 0
    assert found["total"]["failed"] == 0
    provided = {one["function"] for one in found["cases"] if one["status"] == "passed"}
    if name == "numpy":
        assert provided == set(functions())
        assert found["total"]["not_provided"] == 0
    else:
        assert {"conv2d_backward", "linear_forward", "batchnorm2d_backward", "max_pool2d_backward"} <= provided
        assert "sgd_step" in provided
        assert "avg_pool2d_forward" not in provided


def test_the_pytorch_twin_is_an_adapter_like_any_other(capsys):
    """As a file, in a process of its own; tests/torch_twin/test_adapter.py says what it provides, in both dtypes."""
    twin = Path(__file__).parents[1] / "torch_twin" / "adapter.py"
    code, out, _ = run(capsys, twin, "--json")
    found = json.loads(out)
    assert code == 0, found["verdict"]
    areas = {row["area"] for row in found["areas"] if row["passed"]}
    assert {"layers", "losses", "optimizer", "masks", "importance", "tdm", "ddr", "dgm", "replay", "released"} <= areas


def test_a_trace_is_recorded_and_agrees_with_itself(capsys, tmp_path):
    trace = tmp_path / "reference.npz"
    assert run(capsys, "--record", trace)[0] == 0
    code, out, _ = run(capsys, "--trace", trace, "--against", trace, "--json")
    assert code == 0
    assert json.loads(out)["compared"] > 1000
    nothing = tmp_path / "nothing.npz"
    np.savez(nothing, unknown=np.zeros(3))
    assert run(capsys, "--trace", nothing, "--against", trace)[0] in (1, 2)
    assert "there is no canonical run 'sgd', only derpp, er, der" in refused(capsys, "--record", trace, "--run", "sgd")
    assert "leave it out where --against" in refused(capsys, "--trace", trace, "--against", trace, "--run", "er")
    assert "--run does not go with list" in refused(capsys, "--list", "--run", "er")
    assert "cannot be written" in refused(capsys, "--record", tmp_path / "no" / "reference.npz")


def test_importing_the_kit_loads_nothing_heavy():
    code = "import sparcl_ref.verify.__main__, sparcl_ref.verify, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "matplotlib", "numba"} & set(done.stdout.split())


def test_help_shows_examples_and_exit_codes(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert "python -m sparcl_ref.verify my_adapter.py" in out
    assert "exit codes: 0" in out
