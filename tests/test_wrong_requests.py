"""Requests that are wrong, of every kind and to every command: each ends with 2 and one line that says what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparcl_ref import Config, flops, run
from sparcl_ref import __main__ as door
from sparcl_ref.bench import __main__ as bench
from sparcl_ref.presets import idle
from sparcl_ref.verify import __main__ as verify

COMMANDS = {"run": run, "flops": flops, "bench": bench, "verify": verify, "": door}
DATA = "--shape 3,32,32 --classes 4 --tasks 2 --task-size 99"

#: Command and arguments to what the line says.
REQUESTS = {
    # words that are nearly right
    "run --buffer_size 5": "did you mean '--buffer-size'?",
    "run --epoch 5": "did you mean '--epochs'?",
    "run --BATCH-SIZE 5": "did you mean '--batch-size'?",
    "run --sparcity 0.9": "did you mean '--sparsity'?",
    "run -seeds 3": "did you mean '--seeds'?",
    "run tiny": "did you mean '--tiny'?",
    "run --no-sparsity": "did you mean '--sparsity'?",
    "run --no-nesterof": "did you mean '--no-nesterov'?",
    "run --preset ablatoin": "did you mean 'ablation'?",
    "run --method DER": "did you mean 'der'?",
    "run --method der_pp": "did you mean 'derpp'?",
    "run --model resnet-18": "did you mean 'resnet18'?",
    "run --model convnett": "did you mean 'convnet'?",
    "run --dataset fashion_mnist": "did you mean 'fashion-mnist'?",
    "run --dataset Digits": "did you mean 'digits'?",
    "run --mix schrink=released": "did you mean 'shrink'?",
    "run --engine Numpy": "did you mean 'numpy'?",
    "run --structure pattern-": "did you mean 'pattern'?",
    "run --dtype float": "did you mean 'float",
    "run --lr-schedule cosin": "did you mean 'cosine'?",
    "flops --no_time": "did you mean '--no-time'?",
    "flops --table": "did you mean '--table1'?",
    "bench --round 3": "did you mean '--rounds'?",
    "bench --only kernel": "did you mean 'kernels'?",
    "verify numpy --dtype float65": "did you mean 'float64'?",
    " rnu": "did you mean 'run'?",
    " benhc --quick": "did you mean 'bench'?",
    " Verify numpy": "did you mean 'verify'?",
    # numbers
    "run --epochs 1e3": "invalid int value: '1e3'",
    "run --epochs 3.0": "invalid int value",
    "run --epochs": "expected one argument",
    "run --lr -0.1": "--lr must be above 0, got -0.1",
    "run --lr nan": "--lr must be a finite number, got nan",
    "run --lr 1e400": "--lr must be a finite number, got inf",
    "run --lr none": "invalid float value",
    "run --lr 0,03": "invalid float value: '0,03'",
    "run --sparsity 90%": "invalid float value: '90%'",
    "run --sparsity 90": "--sparsity must be in 0..1, below 1",
    "run --epochs 100000000000000000000": "--epochs must be at most 100,000",
    "run --width 10000000000000000000000": "--width must be at most 9,223,372,036,854,775,807",
    "run --width 100000000": "choose a smaller --width",
    "run --width 300000": "--width",
    "run --buffer-size 1000000000000000": "lower --buffer-size",
    "run --method sgd --buffer-size -1": "--buffer-size must be at least 0",
    "run --threads 100000000000000000000": "--threads must be at most 4,096",
    "run --threads 0": "--threads must be at least 1, got 0",
    "run --jobs 1000000": "--jobs must be at most 4,096",
    "run --seeds 1000000": "--seeds must be at most 1,000",
    "run --sparsity 0.9 --ddr-cutoff 1000000": "--ddr-cutoff must be at most 1,000",
    f"run --seed 1{'0' * 4000}": "got a number of 13288 bits",
    f"run --width {'9' * 5000}": "invalid int value: '9999",
    f"run --method {'x' * 5000}": "invalid choice: 'xxxx",
    "run --batch-size 100000000000000000000": "--batch-size must be at most",
    "run --classes-per-task 11": "do not divide",
    "run --class-order 0,0,1,2,3,4,5,6,7,8": "class order must contain each of 0..9",
    "run --class-order 99999999999999999999,1": "class order must contain each of 0..9",
    "run --class-order ,": "--class-order must be",
    # what would be ignored, or contradicts
    "run --overwrite": "--overwrite goes with --out",
    "run --tiny --preset ablation": "not allowed with",
    "run --mix shrink=paper,shrink=released": "takes rule shrink twice",
    "run --mix shrink=paper,shrink=paper": "takes rule shrink twice",
    "run --nesterov": "--nesterov needs a --momentum above 0",
    "run --method er --alpha 0.1": "--alpha is a setting of the method der, derpp and fdr",
    "run --tiny --er-weight 1 --method sgd": "--er-weight is a setting of the method er",
    "flops --table1 --method er": "--table1 would ignore --method; leave it out",
    "flops --table1 --layer conv1 --no-time": "--table1 would ignore --layer, --no-time; leave them out",
    "flops --table1 --out there": "--table1 would ignore --out",
    f"flops --table1 {DATA}": "--table1 would ignore --shape, --classes, --tasks, --task-size",
    "flops --conventions --layer conv1": "--conventions would ignore --layer",
    "flops --conventions --out there": "--conventions would ignore --out",
    f"flops {DATA} --dataset digits": "--dataset does not go with --shape",
    f"flops {DATA} --classes-per-task 2": "--classes-per-task does not go with --shape",
    f"flops {DATA} --class-order random": "--class-order does not go with --shape",
    "bench --batch 0": "--batch must be at least 1, got 0",
    "bench --table there --quick": "--table would ignore --quick",
    "bench --table there --json": "--table would ignore --json",
    "bench --table there --out here": "--table would ignore --out",
    # sizes to be priced
    "flops --shape 100000,100000,100000 --classes 4 --tasks 2 --task-size 99": "at most 100,000,000 numbers together",
    "flops --shape 3,32,32 --classes 10000000000 --tasks 2 --task-size 99": "--classes must be at most 1,000,000",
    "flops --shape 3,32,32 --classes 4 --tasks 10000000 --task-size 99": "--tasks must be at most 1,000",
    f"flops --shape 3,32,32 --classes 4 --tasks 2 --task-size {10**30}": "--task-size must be at most",
    "flops --width 100000000 --no-time": "choose a smaller --width",
    "flops --shape 3;32;32": "got '3;32;32'",
    "flops --shape 3,32,32,1": "got '3,32,32,1'",
    "flops --layer conv1.weight --no-time": "has no layer 'conv1.weight'",
    # files and folders
    "run --out a-file": "a-file is not a folder",
    "run --out a-file/below": "a-file is not a folder",
    f"run --out {'x' * 300}": "File name too long",
    "run --config a-folder": "cannot be read (Is a directory)",
    "run --config missing.json": "cannot be read (No such file or directory)",
    f"run --config {'x' * 300}": "File name too long",
    "run --config binary": "not a text file in UTF-8",
    "run --config empty": "not valid JSON, line 1 column 1",
    "run --config deep.json": "not valid JSON",
    "run --config digits.json": "not valid JSON",
    "run --config bench.json": "not a summary of a run",
    "run --dataset a-folder": "it is a folder",
    "run --dataset empty": "it is empty",
    "run --dataset binary": "not an .npz file",
    "run --plugin missing.py": "there is no such file",
    "run --plugin a-folder": "ModuleNotFoundError",
    "run --plugin raising.py": "ZeroDivisionError",
    "run --plugin leaving.py": "SystemExit",
    "run --plugin broken.py": "SyntaxError",
    "run --plugin ..": "--plugin ..:",
    "run --plugin nothing.here": "ModuleNotFoundError",
    "run --plugin json.py": "there is no such file",
    "flops --plugin missing.py": "there is no such file",
    "bench --table missing.json": "cannot be read (No such file or directory)",
    "bench --table a-folder": "cannot be read (Is a directory)",
    "bench --table binary": "is not a bench.json",
    "bench --table empty": "is not a bench.json",
    "bench --table deep.json": "is not a bench.json",
    "bench --table list.json": "is not a bench.json",
    "bench --table bench.json": "is not a bench.json",
    "bench --out a-file": "a-file",
    "bench --threads 100000000000000000000": "--threads must be at most 10,000",
    "bench --batch 100000000000000000000": "--batch must be at most",
    "bench --width 100000000": "--width must be at most",
    "bench --rounds 100000000000": "--rounds must be at most",
    "verify missing.py": "no such file",
    "verify a-folder": "a-folder",
    "verify binary": "binary",
    "verify --outputs a-file": "no such folder",
    "verify --export a-file": "cannot write to a-file",
    "verify --record a-folder": "a-folder: cannot be written",
    "verify --trace binary": "binary",
    "verify --trace empty": "empty",
    "verify --trace a-folder": "no such file",
    "verify numpy --xfail binary": "cannot be read as text",
    "verify numpy --xfail a-folder": "cannot be read as text",
    "verify numpy --only nothing": "'nothing' is no area",
    "verify numpy --list": "give one thing to check",
    "verify --against empty numpy": "--against does not go with adapter",
    " ": "no command given",
    " --tiny": "unknown command '--tiny'",
}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working folder of things that are not what they are taken for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-folder").mkdir()
    for name, content in {
        "a-file": b"text",
        "empty": b"",
        "binary": bytes(range(256)),
        "deep.json": b"[" * 100_000 + b"]" * 100_000,
        "digits.json": b'{"schema_version": ' + b"1" * 10_000 + b"}",
        "list.json": b"[1, 2]",
        "bench.json": b'{"schema_version": 1}',
        "raising.py": b"1 / 0",
        "leaving.py": b"raise SystemExit(0)",
        "broken.py": b"def f(:",
    }.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def refused(capsys, command: str, arguments: list[str]) -> str:
    """The one line with which a command refuses; nothing else may be said or raised."""
    try:
        code = COMMANDS[command].main(arguments)
    except SystemExit as stop:  # argparse's own errors
        code = stop.code
    said = capsys.readouterr()
    assert code == 2, said
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    assert len(said.err) < 1200
    return said.err


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request[:60])
def test_a_wrong_request_ends_with_2_and_one_line(request_, folder, capsys):
    command, *arguments = request_.split(" ")
    before = sorted(folder.iterdir())
    assert REQUESTS[request_] in refused(capsys, command, list(filter(None, arguments)))
    assert [path for path in sorted(folder.iterdir()) if path.name != "__pycache__"] == before


#: What a summary.json has for its config, or for one run of it, and what the line says.
GOOD: dict[str, Any] = {"name": "tiny", "threads": 1, "runs": [{"method": "sgd"}]}
CONFIGS: list[tuple[Any, str]] = [
    ({"name": "../.."}, "has the name '../..'; expected one word"),
    ({"name": "/etc"}, "has the name '/etc'"),
    ({"name": ""}, "has the name ''"),
    ({"name": "."}, "has the name '.'"),
    ({"name": "a\\b"}, "expected one word"),
    ({"name": "a\0b"}, "expected one word"),
    ({"name": "a b"}, "expected one word"),
    ({"name": "-x"}, "expected one word"),
    ({"name": "x" * 101}, "expected one word"),
    ({"name": "\ud800"}, "expected one word"),
    ({"name": 5}, "has the name 5"),
    ({"name": None}, "has the name None"),
    ({"name": ["tiny"]}, "has the name ['tiny']"),
    ({"threads": "2"}, "has threads '2'; expected a whole number in 1..4096"),
    ({"threads": 0}, "has threads 0"),
    ({"threads": None}, "has threads None"),
    ({"threads": True}, "has threads True"),
    ({"threads": 1.0}, "has threads 1.0"),
    ({"threads": 10**20}, "has threads 1000"),
    ({"runs": []}, "has runs []; expected a list of at least one"),
    ({"runs": {}}, "has runs {}"),
    ({"runs": None}, "has runs None"),
    ({"runs": "sgd"}, "has runs 'sgd'"),
    ({"runs": [None]}, "has runs[0] None; expected an object"),
    ({"runs": [{}, []]}, "has runs[1] []"),
    ({"runs": [{"method": "sgd"}, {"method": 5}]}, "runs[1]: --method must be text, got 5"),
    ({"runs": [{"method": "sdg"}]}, "did you mean 'sgd'?"),
    ({"runs": [{"policy": None}]}, "--policy must be text, got None"),
    ({"runs": [{"epoch": 3}]}, "did you mean 'epochs'?"),
    ({"runs": [{"epochs": 1e20}]}, "--epochs must be a whole number, got 1e+20"),
    ({"runs": [{"lr": [0.1]}]}, "--lr must be a number, got [0.1]"),
    ({"runs": [{"method": "sgd", "dataset": "a\0b"}]}, "null byte"),
    ({"runs": [{"method": "sgd", "dataset": "\ud800.npz"}]}, "surrogates not allowed"),
    ({"runs": [{"method": "sgd", "tdm": "no", "policy": {}}]}, "--tdm must be true or false, got 'no'"),
    ({"seed": 3}, "has 'seed', and only name, threads, runs are known"),
]


@pytest.mark.parametrize(("change", "says"), CONFIGS, ids=lambda value: repr(value)[:50])
def test_a_wrong_config_is_refused_with_its_place(change, says, folder, capsys):
    summary = {"schema_version": 1, "command": "", "methods": [], "config": {**GOOD, **change}}
    (folder / "c.json").write_text(json.dumps(summary))
    line = refused(capsys, "run", ["--config", "c.json"])
    assert says in line


@pytest.mark.parametrize("whole", [[], None, 5, "text", {}, {"schema_version": "1"}, {"schema_version": 2}], ids=repr)
def test_what_is_no_summary_is_refused(whole, folder, capsys):
    (folder / "c.json").write_text(json.dumps(whole))
    assert "c.json: not a summary of a run: " in refused(capsys, "run", ["--config", "c.json"])


def test_a_byte_order_mark_is_read_over(folder, capsys):
    summary = {"schema_version": 1, "command": "", "methods": [], "config": GOOD}
    (folder / "c.json").write_bytes(json.dumps(summary).encode("utf-8-sig"))
    assert run.main(["--config", "c.json", "--estimate", "--epochs", "1", "--width", "2"]) == 0
    assert "SGD" in capsys.readouterr().out


def four(**changes: Any) -> dict[str, Any]:
    """Arrays of a data set of 4 classes, with changes."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 10)
    good = {"train_x": rng.random((40, 1, 8, 8), np.float32), "train_y": labels}
    return good | {"test_x": good["train_x"], "test_y": labels} | changes


FILES: dict[str, tuple[dict[str, Any], str]] = {
    "complex": ({"train_x": np.zeros((40, 1, 8, 8), complex)}, "must be an array of uint8, float32 or float64"),
    "half": ({"train_x": np.zeros((40, 1, 8, 8), np.float16)}, "got dtype float16"),
    "dates": ({"train_x": np.zeros((40, 1, 8, 8), "datetime64[s]")}, "got dtype datetime64"),
    "words": ({"train_y": np.array(["cat"] * 40)}, "must be an array of integers"),
    "float labels": ({"train_y": np.zeros(40)}, "must be an array of integers, got dtype float64"),
    "one-hot": ({"train_y": np.eye(4, dtype=int)[np.repeat(np.arange(4), 10)]}, "must have shape (40,)"),
    "negative": ({"train_y": np.repeat(np.arange(4), 10) - 1}, "must be in 0..2"),
    "from one": ({"train_y": np.repeat(np.arange(4), 10) + 1}, "renumber the 4 classes"),
    "objects": ({"train_x": np.array([None] * 40)}, "pickled objects"),
    "records": ({"train_x": np.zeros(40, [("a", "f4")])}, "must be an array of"),
    "no images": ({"train_x": np.zeros((0, 1, 8, 8), np.float32), "train_y": np.zeros(0, int)}, "at least one of each"),
    "scalar": ({"train_x": np.float32(3)}, "must have shape (N, C, H, W)"),
    "flat": ({"train_x": np.zeros((40, 64), np.float32)}, "images.reshape(-1, C, H, W)"),
    "big-endian": ({"train_x": np.zeros((40, 1, 8, 8), ">f4")}, "train_x"),
    "infinite": ({"train_x": np.full((40, 1, 8, 8), np.inf, np.float32)}, "has the value inf"),
    "constant": ({"train_x": np.ones((40, 1, 8, 8), np.float32)}, "channel 0 of train_x is 1.0 everywhere"),
    "other test": ({"test_x": np.zeros((40, 1, 9, 9), np.float32)}, "images of one shape"),
    "other dtype": ({"test_x": np.zeros((40, 1, 8, 8), np.uint8)}, "must have one dtype"),
    "too few labels": ({"test_y": np.arange(3)}, "must have shape (40,)"),
    "huge label": ({"train_y": np.full(40, 10**15)}, "train_y must contain each of the classes"),
    "mask": ({"train_y": np.zeros(40, bool)}, "must be an array of integers, got dtype bool"),
    "tiny": (
        dict.fromkeys(("train_x", "test_x"), np.linspace(0, 1, 40 * 4).reshape(40, 1, 2, 2)),
        "images must be at least",
    ),
    "huge values": (
        dict.fromkeys(("train_x", "test_x"), np.linspace(0, 1e308, 40 * 64).reshape(40, 1, 8, 8)),
        "finite",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_wrong_arrays_is_refused_by_name(name, folder, capsys):
    changes, says = FILES[name]
    np.savez(folder / "mine.npz", **four(**changes), allow_pickle=True)
    line = refused(capsys, "run", ["--dataset", "mine.npz", "--batch-size", "8", "--width", "4", "--epochs", "1"])
    assert says in line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--delta-k 3", "--delta-k has no effect without --sparsity"),
        ("--no-dgm --p-inter 0.02", "--p-inter has no effect without --sparsity"),
        (
            "--method sgd --replay-batch-size 3",
            "--replay-batch-size has no effect for a method without a rehearsal buffer",
        ),
        ("--sparsity 0.9 --no-ddr --ddr-rho 0.5", "--ddr-rho has no effect with --no-ddr"),
        ("--sparsity 0.9 --no-dgm --dgm-interval 9", "--dgm-interval has no effect with --no-dgm"),
        ("--epochs 9 --epochs 8", "--epochs is given 2 times; the last one counts"),
        ("--ddr --no-ddr --sparsity 0.9", "--ddr is given 2 times; the last one counts"),
    ],
)
def test_what_only_another_setting_makes_idle_is_warned_of(arguments, says, capsys):
    assert flops.main([*arguments.split(), "--no-time"]) == 0
    assert f"warning: {says}\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", ["--sparsity 0.9 --delta-k 3", "--buffer-size 9 --replay-batch-size 3", "--lr 0.1"]
)
def test_what_matters_is_not_warned_of(arguments, capsys):
    assert flops.main([*arguments.split(), "--no-time"]) == 0
    assert "warning" not in capsys.readouterr().err


def test_an_override_matters_if_it_does_in_one_of_the_runs():
    dense, sparse = Config(), Config(sparsity=0.9)
    assert idle([dense, sparse], ["delta_k", "p_inter"]) == []
    assert idle([dense], ["lr", "alpha", "delta_k"]) == ["--delta-k has no effect without --sparsity"]
    assert idle([Config(method="sgd"), Config(method="joint")], ["buffer_size"])
