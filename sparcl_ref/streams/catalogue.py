"""The data sets by name, open to others, and files of a user's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from sparcl_ref.registry import Registry
from sparcl_ref.streams.cifar import CIFAR10
from sparcl_ref.streams.cifar100 import CIFAR100, CIFAR100_COARSE
from sparcl_ref.streams.dataset import Dataset
from sparcl_ref.streams.digits import DIGITS
from sparcl_ref.streams.fashion_mnist import FASHION_MNIST
from sparcl_ref.streams.files import user_path, why_unreadable
from sparcl_ref.streams.known import KnownDataset
from sparcl_ref.streams.mnist import MNIST
from sparcl_ref.streams.npz import ARRAYS, read_data_set
from sparcl_ref.text import columns, did_you_mean

Loader = Callable[[], Dataset]

DATASETS: Registry[Loader] = Registry(
    "data set", {known.name: known for known in (DIGITS, MNIST, FASHION_MNIST, CIFAR10, CIFAR100, CIFAR100_COARSE)}
)


def register(name: str, loader: Loader) -> Loader:
    """Let `load_dataset`, and with it every command, know a data set by name; returns the loader.

    The loader is called without arguments and returns a `Dataset`. It is a function of a module, so that worker
    processes can be told of it.

    Raises
    ------
    TypeError
        If the loader cannot be called.
    ValueError
        If the name is empty or taken.
    """
    if not callable(loader):
        raise TypeError(f"data set {name!r}: register a function that returns a Dataset, got {type(loader).__name__}")
    return DATASETS.register(name, loader)


def catalogue_text() -> str:
    """All data sets as a table: of published ones where they lie here, or how to get them."""
    rows = [
        known.row if isinstance(known, KnownDataset) else (name, "", "", "", "registered")
        for name, known in DATASETS.items()
    ]
    return columns(("data set", "images", "classes", "licence", "where, or how to get it"), rows, left=5)


def remark(name: str, dataset: Dataset) -> str:
    """What a reader of results on a data set has to know, loaded by that name; mostly nothing."""
    known = DATASETS.get(name)
    return known.remark(dataset) if isinstance(known, KnownDataset) else ""


def download_missing(names: Iterable[str]) -> None:
    """Fetch those published data sets among the names that are not found; raises as `KnownDataset.download`."""
    for name in names:
        known = DATASETS.get(name)
        if isinstance(known, KnownDataset):
            known.download()


def load_dataset(name_or_path: str | os.PathLike[str]) -> Dataset:
    """Load a data set by name, or a user's own from a file.

    Parameters
    ----------
    name_or_path : str or path
        A name in `DATASETS`: "digits" is in the package, the others of it are found in the folders that the environment
        variable ``SPARCL_REF_DATA`` names or in the system's. Or the path of an ``.npz`` file with the arrays
        ``train_x``, ``train_y``, ``test_x`` and ``test_y`` as `Dataset` takes them.

    Raises
    ------
    TypeError
        If it is neither.
    ValueError
        If there is no such name or file, or its contents are not a data set; one line that names the file.
    """
    if not isinstance(name_or_path, str | os.PathLike):
        raise TypeError(f"a data set is loaded by its name or path, got {type(name_or_path).__name__}")
    if isinstance(name_or_path, str) and name_or_path in DATASETS:
        dataset = DATASETS[name_or_path]()
        if not isinstance(dataset, Dataset):
            raise ValueError(f"data set {name_or_path!r}: its loader returned {type(dataset).__name__}, not a Dataset")
        return dataset
    path, given = user_path(name_or_path), os.fspath(name_or_path)
    reason = why_unreadable(path) if given else "this name is empty"
    if reason:
        raise ValueError(
            f"data set {given!r}: give one of {', '.join(DATASETS)}, or the path of an .npz file; {reason}"
            f"{did_you_mean(given, DATASETS)}"
        )
    arrays = read_data_set(path)
    try:
        # A known name stands for known images and their normalisation; this file is normalised by what is in it.
        name = path.name if path.stem in DATASETS else path.stem
        return Dataset(*(arrays[key] for key in ARRAYS), name=name)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
