"""A run whose numbers grow out of all bounds says so in one line, as a divergence, whoever comes upon them first."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest

from sparcl_ref import train
from sparcl_ref.finite import check_scores, told_once
from tests.methods.twin import BASE, small_dataset

DATASET = small_dataset()


def test_scores_that_cannot_be_ranked_are_a_divergence_that_names_them() -> None:
    good, bad = np.arange(3.0), np.array([1.0, np.nan, -np.inf])
    check_scores({"a": good}, "scores")
    with pytest.raises(FloatingPointError, match=r"^b: 2 of 3 scores are NaN or infinite; the training diverged: "):
        check_scores({"a": good, "b": bad}, "scores")


def test_what_numpy_remarks_is_told_once_and_afterwards() -> None:
    large = np.full(3, 1e308)
    with pytest.warns(RuntimeWarning, match="^overflow encountered in a run") as told, told_once():
        np.multiply(large, [large, large])
    assert len(told) == 1
    with warnings.catch_warnings(), np.errstate(over="warn"):
        warnings.simplefilter("error")
        with pytest.raises(FloatingPointError, match="overflow"), told_once():
            check_scores({"a": np.multiply(large, large)}, "overflow")
    with np.errstate(over="raise"), pytest.raises(FloatingPointError, match="overflow"), told_once():
        np.multiply(large, large)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "sgd", "lr": 1e200},
        {"method": "wsn", "lr": 1e200},
        {"method": "wsn", "lr": 1e250, "momentum": 0.0, "epochs": 1},
        {"method": "derpp", "sparsity": 0.5, "lr": 1e160},
        {"method": "sgd", "sparsity": 0.5, "policy": "set", "delta_t": 1, "lr": 1e200},
        {"method": "sgd", "sparsity": 0.5, "policy": "rigl", "delta_t": 1, "lr": 1e200},
    ],
    ids=str,
)
def test_a_run_that_diverges_says_only_that(settings) -> None:
    config = dataclasses.replace(BASE, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FloatingPointError, match=r"^task \d, epoch \d, step \d: ") as told:
            train(config, dataset=DATASET)
    assert "shrink" not in str(told.value)
