"""Calls from Python that are wrong: each raises in one line of our own words, not of another library's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sparcl_ref import Config, build, fast, load_dataset, train
from sparcl_ref.layers import BatchNorm2d, Dropout, Flatten, Layer, Linear, MaxPool2d, Parameter, Sequential
from sparcl_ref.models import Network
from sparcl_ref.optimizers import SGD
from sparcl_ref.replay import ReservoirBuffer
from sparcl_ref.report import load_masks, write_run
from sparcl_ref.streams import Dataset, split


def network(layers: dict[str, Layer]) -> Network:
    return Network("t", Sequential(layers), input_shape=(1, 2, 2), classes=1)


#: Calls from Python that are wrong: what they raise, in words of ours.
CALLS: dict[str, tuple[Callable[[], Any], str]] = {
    "momentum none": (lambda: BatchNorm2d(3, momentum=None), "BatchNorm2d.*: momentum must be a number, got None"),
    "momentum text": (lambda: BatchNorm2d(3, momentum="0.1"), "momentum must be a number, got '0.1'"),
    "momentum true": (lambda: BatchNorm2d(3, momentum=True), "momentum must be a number, got True"),
    "momentum nan": (lambda: BatchNorm2d(3, momentum=float("nan")), "momentum must lie in 0..1"),
    "eps none": (lambda: BatchNorm2d(3, eps=None), "eps must be a number"),
    "dropout none": (lambda: Dropout(None, rng=None), "Dropout: p must be a number, got None"),
    "sgd momentum": (
        lambda: SGD([Parameter("w", np.zeros(2))], momentum="0.9"),
        "momentum must be a number, got '0.9'",
    ),
    "sgd step": (lambda: SGD([Parameter("w", np.zeros(2))]).step(None), "learning rate must be a number, got None"),
    "compile nothing": (
        lambda: fast.compile(network({"p": MaxPool2d(2), "f": Flatten()})),
        "without parameters has nothing to",
    ),
    "compile none": (lambda: fast.compile(None), "takes a Network, got NoneType"),
    "train none": (lambda: train(None), "config must be a Config, .* got NoneType"),
    "train dict": (lambda: train({"method": "sgd"}), "config must be a Config, .* got dict"),
    "build none": (lambda: build(None), "config must be a Config"),
    "from_json list": (lambda: Config.from_json([1]), "settings by name, got list"),
    "from_json none": (lambda: Config.from_json(None), "settings by name, got NoneType"),
    "misspelt setting": (lambda: Config(epoch=3), r"there is no setting 'epoch'; .*did you mean 'epochs'\?"),
    "misspelt choice": (lambda: Config(method="derp"), r"--method must be one of .*did you mean 'derpp'\?"),
    "misspelt data": (lambda: load_dataset("cifar-10"), r"did you mean 'cifar10'\?"),
    "huge seed": (lambda: Config(seed=10**5000), "--seed must be at most .*, got a number of 16610 bits"),
    "huge width": (lambda: train(Config(width=10**12)), "choose a smaller --width"),
    "buffer none": (
        lambda: ReservoirBuffer(None, image_shape=(1,), image_dtype="f4", classes=2, logits_dtype="f4"),
        "at least 1 sample, got a size of None",
    ),
    "split": (
        lambda: split(load_dataset("digits"), classes_per_task=None, class_order=range(10)),
        "do not divide into tasks",
    ),
    "classes text": (lambda: digits_with(classes="ten"), "classes must be a whole number, got 'ten'"),
    "scale text": (lambda: digits_with(scale="1"), "scale must be a number, got '1'"),
    "state list": (lambda: network({"f": Flatten(), "l": Linear(4, 1)}).load_state_dict([1]), "a state is a mapping"),
    "no records": (lambda: write_run("nowhere", {}, [], {}), "there is nothing to write"),
    "masks": (lambda: load_masks(__file__), "not an .npz file"),
}


def digits_with(**changes: Any) -> Dataset:
    return dataclasses.replace(load_dataset("digits"), **changes)


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_call_is_refused_in_words_of_ours(name):
    call, says = CALLS[name]
    with pytest.raises((TypeError, ValueError), match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_other_masks_than_those_of_a_run_are_refused(tmp_path):
    np.savez(tmp_path / "masks.npz", **{"a#0/layer": np.array("conv")})
    with pytest.raises(ValueError, match=r"masks\.npz: not the masks of a run"):
        load_masks(tmp_path / "masks.npz")
