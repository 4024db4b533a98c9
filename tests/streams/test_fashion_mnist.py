"""Fashion-MNIST: the same format under its own name, with constants of its own."""

from __future__ import annotations

import numpy as np
import pytest

from sparcl_ref.streams import load_dataset
from sparcl_ref.streams.dataset import mean_and_std
from sparcl_ref.streams.fashion_mnist import FASHION_MNIST, load_fashion_mnist
from tests.streams.idx_files import write_mnist


@pytest.mark.parametrize("folder", ["fashion-mnist", "FashionMNIST/raw"])
def test_load_fashion_mnist_finds_the_folders_that_people_have(tmp_path, monkeypatch, folder):
    train_x, *_ = write_mnist(tmp_path / folder)
    write_mnist(tmp_path / "mnist", train=30)
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    for fashion in (load_dataset("fashion-mnist"), load_fashion_mnist(tmp_path / folder)):
        assert (fashion.name, fashion.mean, fashion.std) == ("fashion-mnist", (0.28604,), (0.35302,))
        np.testing.assert_array_equal(fashion.train_x[:, 0], train_x, strict=True)


def test_real_fashion_mnist_is_whole(real_data):
    fashion = load_dataset("fashion-mnist")
    assert (len(fashion.train_x), len(fashion.test_x)) == (FASHION_MNIST.train, FASHION_MNIST.test) == (60_000, 10_000)
    assert np.bincount(fashion.train_y).tolist() == [6000] * 10
    # Ankle boot, T-shirt, T-shirt, dress, T-shirt; ankle boot, pullover, trousers, trousers, shirt.
    assert fashion.train_y[:5].tolist() == [9, 0, 0, 3, 0]
    assert fashion.test_y[:5].tolist() == [9, 2, 1, 1, 6]
    mean, std = mean_and_std(fashion.train_x, scale=fashion.scale)
    assert fashion.mean == (round(mean[0], 5),)
    assert fashion.std == (round(std[0], 5),)


def test_real_digits_in_a_folder_of_clothes_are_noticed(real_data):
    with pytest.raises(ValueError, match=r"mnist: these are not the images of Fashion-MNIST: their mean .* 0\.13\d; "):
        load_fashion_mnist(real_data / "mnist")
