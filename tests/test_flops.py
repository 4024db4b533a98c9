"""The command: what it prints, what it refuses, and that it stays light."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sparcl_ref import flops
from sparcl_ref.config import Config
from sparcl_ref.cost import describe_model, paper, predict
from sparcl_ref.cost.published import CELLS
from sparcl_ref.cost.timing import pass_and_update_seconds
from sparcl_ref.methods import METHODS
from sparcl_ref.models import MODELS

DATA = ["--shape", "3,32,32", "--classes", "10", "--tasks", "5", "--task-size", "10000"]


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = flops.main([*arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_statement_of_the_published_run(capsys):
    code, out, _ = run(capsys, "--model", "resnet18", *DATA, "--sparsity", "0.75", "--no-time", "--json")
    assert code == 0
    record = json.loads(out)
    spec = describe_model("resnet18", input_shape=(3, 32, 32), classes=10)
    config = Config(model="resnet18", sparsity=0.75)
    prediction = predict(spec, config, [10_000] * 5)
    assert record["train_flops"] == {
        "paper": paper.train_flops(spec, config, [10_000] * 5),
        "exact": prediction.train_flops,
    }
    assert sum(layer["train_flops"] for layer in record["layers"]) == prediction.train_flops
    assert 2 * sum(record["phase_macs"].values()) == prediction.train_flops
    assert record["memory_bytes"]["paper"] == paper.memory_bytes(spec, config)
    for memory in ("exact", "exact_sparse_engine"):
        stated = record["memory_bytes"][memory]
        assert stated["total"] == sum(stated["parts"].values())
    assert record["savings"]["paper"][-1]["total_flops"] == record["train_flops"]["paper"]
    assert len(record["removals"]) == 20
    assert record["name"] == "SparCL-DER++ .75"
    assert record["estimated_seconds"] is None
    assert not record["nominal"]


def test_text_says_what_the_json_does(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    arguments = ["--model", "resnet20", *DATA, "--sparsity", "0.9", "--no-time"]
    record = json.loads(run(capsys, *arguments, "--json")[1])
    code, out, _ = run(capsys, *arguments)
    assert code == 0
    for layer in record["layers"]:
        (line,) = [line for line in out.splitlines() if line.startswith(layer["name"] + " ")]
        assert f" {layer['living']:,} " in line
        assert f"{layer['train_flops']:.3e}" in line
    for flop_count in (*record["train_flops"].values(), *record["readings"].values()):
        assert f"{flop_count:.4e}" in out
    for part in record["savings"]["exact"]:
        assert f"{part['total_flops']:+.3e}" in out
    assert f"{sum(row['saved_flops'] for row in record['removals'] if row['stage'] == 2):.3e}" in out
    assert f"{record['memory_bytes']['exact']['total'] / 1e6:,.1f} MB" in out
    assert "nominal" not in out
    assert "nominal" in run(capsys, *arguments, "--budgets", "global")[1]


def test_one_layer_only(capsys):
    record = json.loads(run(capsys, "--sparsity", "0.9", "--layer", "conv2", "--no-time", "--json")[1])
    assert [layer["name"] for layer in record["layers"]] == ["conv2"]


@pytest.mark.parametrize("model", sorted(MODELS))
@pytest.mark.parametrize("method", ["sgd", "joint", "er", "derpp"])
def test_every_model_and_method_has_a_price(capsys, model, method):
    data = ["--shape", "3,8,8", "--classes", "4", "--tasks", "2", "--task-size", "64"]
    code, out, _ = run(capsys, "--model", model, "--method", method, *data, "--no-time", "--width", "4", "--json")
    assert code == 0
    record = json.loads(out)
    assert record["task_sizes"] == ([128] if method == "joint" else [64, 64])
    assert record["train_flops"]["exact"] > 0
    assert record["removals"] == []
    assert "this engine" in run(capsys, "--model", model, "--method", method, *data, "--no-time")[1]


def test_default_data_are_the_digits_tasks(capsys):
    record = json.loads(run(capsys, "--no-time", "--json")[1])
    assert sum(record["task_sizes"]) == 1437
    assert len(record["task_sizes"]) == 5
    joint = json.loads(run(capsys, "--no-time", "--json", "--method", "joint")[1])
    assert joint["task_sizes"] == [1437]


def test_published_table(capsys):
    code, out, _ = run(capsys, "--table1", "--json")
    assert code == 0
    records = json.loads(out)
    assert len(records) == len(CELLS)
    keys = {"method", "sparsity", "dataset", "quantity", "printed", "ours", "rule"}
    assert all(keys <= set(record) and record["agrees"] for record in records)
    code, text, _ = run(capsys, "--table1")
    assert code == 0
    for name in (*paper.READINGS, "SparCL-DER++", "Split Tiny-ImageNet", "247", "22.2"):
        assert name in text
    assert " NO " not in text


def test_a_cell_that_disagrees_fails_the_command(capsys, monkeypatch):
    monkeypatch.setattr(METHODS["derpp"], "paper_forwards", 4)
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = run(capsys, "--table1")
    assert code == 1
    assert " NO " in out


def test_conventions(capsys, monkeypatch):
    code, out, _ = run(capsys, "--model", "resnet18", *DATA, "--conventions", "--sparsity", "0.9")
    assert code == 0
    for figure in ("555,422,720", "1,110,845,440", "3,332,536,320", "3,328,997,376"):
        assert figure in out
    code, out, _ = run(capsys, "--conventions", "--json")
    assert code == 0
    assert all(row["holds"] for row in json.loads(out))
    monkeypatch.setattr("sparcl_ref.cost.conventions.FLOPS_PER_MAC", 3)
    code, out, _ = run(capsys, "--conventions")
    assert code == 1
    assert "NOT TRUE" in out


def test_figure(capsys, tmp_path):
    where = tmp_path / "new" / "folder"
    code, out, _ = run(capsys, "--sparsity", "0.9", "--no-time", "--out", str(where))
    assert code == 0
    assert (where / "cost_waterfall.png").read_bytes().startswith(b"\x89PNG")
    assert str(where / "cost_waterfall.png") in out


BAD = {
    "--sparsity 1.2": "--sparsity must be in 0..1, below 1",
    "--epochs 0": "--epochs must be at least 1, got 0",
    "--layer conv9 --no-time": "convnet has no layer 'conv9'; it has conv1, conv2, conv3, linear",
    "--model vgg": "invalid choice: 'vgg'",
    "--shape 3,32": "expected three sizes of at least 1 such as 3,32,32, got '3,32'",
    "--shape 3,32,0": "got '3,32,0'",
    "--shape a,b,c": "got 'a,b,c'",
    "--shape 3,32,32 --classes 4": "needs --tasks, --task-size too",
    "--shape 3,32,32 --classes 4 --tasks 0 --task-size 9": "--tasks must be at least 1, got 0",
    "--shape 3,32,32 --classes 4 --tasks 2 --task-size 9": "--batch-size must not exceed a task's 9 samples, got 32",
    "--shape 1,2,2 --classes 4 --tasks 2 --task-size 99": "images must be at least 4x4",
    "--shape 1,2,2 --classes 4 --tasks 2 --task-size 99 --conventions": "images must be at least 4x4",
    "--dataset missing.npz": "missing.npz",
    "--table1 --conventions": "not allowed with",
    "--no-time --out /dev/null/figures": "cannot write to /dev/null/figures",
}


@pytest.mark.parametrize("arguments", BAD)
def test_wrong_requests_end_with_2_and_one_line(capsys, arguments):
    try:
        code = flops.main(arguments.split())
    except SystemExit as error:  # argparse's own errors
        code = error.code
    captured = capsys.readouterr()
    assert code == 2
    assert BAD[arguments] in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_help_has_an_example_and_nothing_heavy_is_imported():
    script = (
        "import sys; from sparcl_ref import flops\n"
        "try: flops.main(['--help'])\n"
        "except SystemExit: pass\n"
        "flops.main(['--no-time', '--sparsity', '0.9'])\n"
        "heavy = {'torch', 'matplotlib', 'numba', 'scipy'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "python -m sparcl_ref.flops --table1" in result.stdout
    assert result.stdout.strip().endswith("heavy: []")


def test_a_pass_and_an_update_are_measured_by_their_medians():
    model = MODELS["mlp"](input_shape=(1, 2, 2), classes=2, width=3)
    ticks = iter([0, 7, 10, 11, 20, 24, 100, 102, 110, 113, 120, 121])
    assert pass_and_update_seconds(model, batch=10, clock=lambda: next(ticks)) == (4, 2)


def test_measuring_leaves_weights_alone(capsys):
    code, out, err = run(capsys, "--model", "mlp", "--width", "4", "--json")
    assert code == 0
    assert json.loads(out)["estimated_seconds"] > 0
    assert "measuring this machine" in err


def test_a_reader_who_has_seen_enough_gets_no_complaint():
    """Standard output closed early, as ``| head -1`` does."""
    program = [sys.executable, "-m", "sparcl_ref.flops", "--table1"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        complaint = process.stderr.read()
    assert (process.returncode, complaint) == (1, b"")
