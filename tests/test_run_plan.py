"""What a folder says of the run in it, and in which words a resumed run differs from the one that was begun."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from sparcl_ref import run
from sparcl_ref.config import Config
from sparcl_ref.run_plan import PLAN, Plan, begun_with, differences, made_with, read_plan, resume_command
from sparcl_ref.streams import Dataset
from tests.streams.conftest import EXCERPT

CONFIGS = (Config(method="er"), Config(method="derpp", sparsity=0.9, seed=3))
PLANNED = Plan("python -m ...", "pair", 2, (), None, CONFIGS, {"numpy": "2.3.1", "machine": "x86_64"})


def test_a_plan_is_read_back(tmp_path):
    PLANNED.write(tmp_path)
    assert read_plan(tmp_path) == PLANNED
    assert json.loads((tmp_path / PLAN).read_text())["configs"][1]["sparsity"] == 0.9


def test_plugins_are_imported_again_from_wherever_they_were(tmp_path, monkeypatch):
    (tmp_path / "mine_survives.py").write_text(
        "from sparcl_ref.methods import ER, METHODS\nclass Mine(ER): title='M'\n"
        "METHODS.register('mine_survives', Mine)\n"
    )
    monkeypatch.chdir(tmp_path)
    dataclasses.replace(PLANNED, plugins=("mine_survives.py",)).write(tmp_path)
    text = (tmp_path / PLAN).read_text().replace('"method": "er"', '"method": "mine_survives"')
    (tmp_path / PLAN).write_text(text)
    monkeypatch.chdir("/")
    from sparcl_ref.methods import METHODS

    monkeypatch.setattr(METHODS, "added", dict(METHODS.added))
    assert read_plan(tmp_path).configs[0].method == "mine_survives"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "nothing to resume, it holds no run.json"),
        ("{", "run.json is not a plan of this command"),
        ("[]", "run.json is not a plan of this command"),
        ('{"schema_version": 1}', "KeyError: 'plugins'"),
        ('{"schema_version": 2, "plugins": []}', "schema_version is 2, and this version reads 1"),
        ('{"schema_version": 1, "plugins": ["/none.py"], "configs": []}', "there is no such file"),
        ('{"schema_version": 1, "plugins": [], "configs": [{"lr": "x"}]}', "--lr must be a number"),
    ],
)
def test_what_is_no_plan_is_refused_in_one_line(tmp_path, text, says):
    if text is not None:
        (tmp_path / PLAN).write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        read_plan(tmp_path)
    assert str(caught.value).startswith(f"--resume {tmp_path}: ")
    assert "\n" not in str(caught.value)


def test_a_run_that_has_ended_is_not_resumed(tmp_path):
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(ValueError, match="nothing to resume, the run in it has ended"):
        read_plan(tmp_path)


def test_each_difference_is_named_and_only_of_what_is_left(tmp_path):
    PLANNED.write(tmp_path)
    here = dataclasses.replace(
        begun_with(tmp_path, {"lr": 0.5, "weight_decay": 0.5}), threads=1, made_with={"numpy": "2.4.0"}
    )
    # The first was dense, but every configuration has the setting.
    common = ["threads 2 there, 1 here", "numpy 2.3.1 there, 2.4.0 here", "machine x86_64 there, unknown here"]
    assert differences(PLANNED, here, []) == common
    assert differences(PLANNED, here, [1]) == [*common, "lr 0.03 there, 0.5 here", "weight_decay 0.0 there, 0.5 here"]
    assert differences(PLANNED, PLANNED, [0, 1]) == []


def test_data_and_processor_are_part_of_what_a_run_is_made_with(monkeypatch):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(2), 10)
    images = rng.random((20, 1, 8, 8))
    other = images.copy()
    other[7, 0, 3, 3] += 0.25
    one, same, changed = (
        made_with({"mine": Dataset.from_arrays("mine", train_x=x, train_y=labels, test_x=images, test_y=labels)})
        for x in (images, images.copy(), other)
    )
    assert one == same
    assert {key for key in one if one[key] != changed[key]} == {"data mine"}
    assert {"sparcl_ref", "numpy", "scipy", "numba", "machine", "processor"} <= one.keys()
    libraries = [{"user_api": "blas", "filepath": "/numpy.libs/x.so", "architecture": "Abacus"}]
    monkeypatch.setattr("sparcl_ref.run_plan.threadpool_info", lambda: libraries)
    assert made_with({})["processor"] == "Abacus"


def test_the_command_that_resumes_can_be_pasted(tmp_path):
    assert resume_command(tmp_path / "my run").endswith(f"--resume '{tmp_path}/my run'")


def test_data_is_found_again_where_it_was(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SPARCL_REF_DATA", "")  # restored afterwards, whatever is set here
    settings = {"model": "mlp", "width": 4, "epochs": 1, "engine": "numpy"}
    config = Config(dataset="fashion-mnist", method="sgd", **settings)
    monkeypatch.chdir(EXCERPT)
    dataclasses.replace(PLANNED, data_dir=".", configs=(config,)).write(tmp_path)
    assert read_plan(tmp_path).data_dir == str(EXCERPT)
    monkeypatch.chdir("/")
    assert run.main(["--resume", str(tmp_path), "--estimate"]) == 0
    assert "SGD" in capsys.readouterr().out


def test_what_a_state_depends_on_cannot_change_on_the_way(tmp_path):
    PLANNED.write(tmp_path)
    with pytest.raises(ValueError, match=r"--stream, --width cannot change on the way"):
        begun_with(tmp_path, {"width": 3, "stream": "rotated", "lr": 0.1})
    assert begun_with(tmp_path, {"lr": 0.1}).configs[0].lr == 0.1


def test_a_relative_data_set_is_looked_for_where_the_run_was_begun(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    dataclasses.replace(PLANNED, configs=(Config(dataset="rows.npz"),), cwd=str(tmp_path)).write(tmp_path)
    assert begun_with(tmp_path, {}).configs[0].dataset == "rows.npz"
    monkeypatch.chdir(tmp_path / "sub")
    with pytest.raises(ValueError, match=f"'rows.npz' is named from {tmp_path}; go there first"):
        begun_with(tmp_path, {})


@pytest.mark.parametrize(
    "change", [{"configs": []}, {"data_dir": 3}, {"threads": "2"}, {"made_with": ["numpy"]}, {"name": None}, {"cwd": 1}]
)
def test_a_plan_of_wrong_kinds_is_no_plan(change, tmp_path):
    PLANNED.write(tmp_path)
    values = json.loads((tmp_path / PLAN).read_text())
    (tmp_path / PLAN).write_text(json.dumps(values | change))
    with pytest.raises(ValueError, match="is not a plan of this command"):
        read_plan(tmp_path)
