"""A grid becomes the runs it says, and refuses what it cannot mean."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.comparison import labels
from sparcl_ref.config import Config
from sparcl_ref.presets import PRESETS, configurations
from sparcl_ref.sweep.grid import digest, grid_from, key, load_grid

RATES = st.lists(st.sampled_from([0.01, 0.03, 0.1, 0.3]), min_size=1, max_size=3, unique=True)
SPARSITIES = st.lists(st.sampled_from(["none", 0.75, 0.9, 0.95]), min_size=1, max_size=3, unique=True)


@given(rates=RATES, sparsities=SPARSITIES, seeds=st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True))
def test_lists_are_every_combination_and_whole_tables_come_first(rates, sparsities, seeds) -> None:
    entry = {"method": "derpp", "lr": rates, "sparsity": sparsities}
    grid = grid_from({"seeds": seeds, "settings": {"epochs": 10, "delta_k": 2}, "entries": [entry]}, "g")
    expected = [
        Config(method="derpp", epochs=10, delta_k=2, lr=lr, sparsity=None if s == "none" else s, seed=seed)
        for seed in seeds
        for lr, s in itertools.product(rates, sparsities)
    ]
    assert list(grid.configs) == expected
    assert len({key(config) for config in grid.configs}) == len(expected)
    named = labels((config.title, config) for config in grid.configs)
    assert len(set(named.values())) == len(rates) * len(sparsities)


def test_entries_that_are_the_same_appear_once() -> None:
    grid = grid_from({"entries": [{"method": "er"}, {"method": ["er", "sgd"]}]}, "g")
    assert [config.method for config in grid.configs] == ["er", "sgd"]


def test_a_preset_stands_for_its_entries() -> None:
    grid = grid_from({"entries": [{"preset": "tiny", "epochs": 6}]}, "g")
    assert list(grid.configs) == configurations(PRESETS["tiny"], {"epochs": 6})


def test_the_digest_knows_every_setting_but_the_seed() -> None:
    config = Config(method="er")
    assert digest(config) == digest(dataclasses.replace(config, seed=7))
    assert digest(config) != digest(dataclasses.replace(config, lr=config.lr * 2))
    assert key(config) == f"er-{digest(config)}-s0"


def test_labels_say_what_tells_entries_of_one_title_apart() -> None:
    configs = [Config(method="er", lr=0.1), Config(method="er", lr=0.3), Config(method="sgd", lr=0.1)]
    assert list(labels((c.title, c) for c in configs).values()) == ["ER, lr 0.1", "ER, lr 0.3", "SGD"]


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"seed": 3}, "unknown key 'seed'.*did you mean 'seeds'"),
        ({"seeds": "three"}, "seeds must be int or list, got 'three'"),
        ({"seeds": 0}, "seeds must be how many"),
        ({"seeds": [1, 1]}, "seeds must differ"),
        ({"seeds": [-1]}, "whole numbers, 0 or more"),
        ({"seeds": True}, "seeds must be int or list"),
        ({"seeds": 10**9}, "seeds must be how many"),
        ({"threads": 0}, "threads must be in 1"),
        ({"plugins": [3]}, "plugins must be names"),
        ({"plugins": ["no_such_module"]}, "no_such_module"),
        ({"entries": []}, r"write \[\[entries\]\]"),
        ({"entries": ["er"]}, r"write \[\[entries\]\]"),
        ({"entries": [{"preset": "huge"}]}, "unknown preset 'huge'"),
        ({"entries": [{"preset": ["tiny"]}]}, "unknown preset"),
        ({"entries": [{"method": "err"}]}, "err"),
        ({"entries": [{"seed": 3}]}, "seed is no setting of an entry"),
        ({"entries": [{"lrr": 3}]}, "did you mean 'lr'"),
        ({"entries": [{"lr": []}]}, "lr is an empty list"),
        ({"entries": [{"method": "er", "sparsity": 2}]}, "sparsity"),
        ({"seeds": 1000, "entries": [{"lr": [i / 1000 for i in range(1, 102)]}]}, "more than 100,000 runs"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(values, line) -> None:
    with pytest.raises(ValueError, match=line):
        grid_from(values, "g")


@pytest.mark.parametrize("content", [b"seeds = ", b"\xff\xfe", b"[settings]\nlr = nope"])
def test_a_file_that_is_none_is_named(tmp_path, content) -> None:
    path = tmp_path / "grid.toml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"grid\.toml"):
        load_grid(path)
    with pytest.raises(ValueError, match="No such file"):
        load_grid(tmp_path / "missing.toml")


def test_a_grid_is_called_as_its_file_unless_it_says_otherwise(tmp_path) -> None:
    path = tmp_path / "field.toml"
    path.write_text('[[entries]]\nmethod = "er"\n')
    assert load_grid(path).name == "field"
    path.write_text('name = "other"\nthreads = 2\n')
    assert (load_grid(path).name, load_grid(path).threads) == ("other", 2)
