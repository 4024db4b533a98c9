"""What is known of a published data set before it is read: whose it is, where it lies, which numbers normalise it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparcl_ref.streams.dataset import Dataset, mean_and_std
from sparcl_ref.streams.files import DATA_VARIABLE, data_folders, user_path, why_unreadable

#: From so many images on, an excerpt's mean and deviation tell whose images they are.
TELLING = 1000
#: How far they may be from those of the whole. Excerpts of 500 images differ by 0.005, MNIST and KMNIST by 0.06.
TOLERANCE = 0.03


@dataclass(frozen=True)
class KnownDataset:
    """A published data set, loaded by a call. Images that are evidently not those of its name are refused.

    Attributes
    ----------
    name : str
        As `load_dataset` takes it.
    title, origin, licence : str
        For people: what it is called, where it comes from, on what terms.
    train, test : int
        Images in the whole; a part of them is read as well.
    input_shape : tuple of int
        (C, H, W).
    classes : int
    scale : float
    mean, std : tuple of float
        As in `Dataset`, of the whole training set: an excerpt is normalised like the whole.
    files : callable
        The files to read at a place, whether they are there or not.
    read : callable
        From these files the arrays ``train_x``, ``train_y``, ``test_x`` and ``test_y``, labels of any integer dtype;
        ValueError names a bad file.
    places : tuple of str
        Glob patterns of folders or files below a data folder, most wanted first.
    home : Path, optional
        Where it lies if it comes with the package.
    """

    name: str
    title: str
    origin: str
    licence: str
    train: int
    test: int
    input_shape: tuple[int, int, int]
    classes: int
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    files: Callable[[Path], Sequence[Path]]
    read: Callable[[Sequence[Path]], dict[str, np.ndarray]]
    places: tuple[str, ...] = ()
    home: Path | None = None

    def __call__(self, place: str | os.PathLike[str] | None = None) -> Dataset:
        """Load the data set, or any excerpt of it.

        Parameters
        ----------
        place : str or path, optional
            Folder of its files, or its one file. Default: ``home``, or what `find` finds.

        Raises
        ------
        ValueError
            If it is not found, a file is missing or damaged, or these are evidently the images of another data set.
        """
        found = self.find() if place is None else user_path(place)
        arrays = self.read(self.files(found))
        arrays |= {key: arrays[key].astype(np.int64) for key in ("train_y", "test_y")}
        try:
            dataset = Dataset(self.name, **arrays, classes=self.classes, scale=self.scale, mean=self.mean, std=self.std)
            self._check_identity(dataset)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{found}: {error}") from error
        return dataset

    def find(self) -> Path:
        """Its home, or the place with the most of its files in the first data folder that has any of them.

        Raises
        ------
        ValueError
            If there is none in the folders that `data_folders` names.
        """
        if self.home is not None:
            return self.home
        roots, empty = data_folders(), []
        for root in roots:
            found = [place for pattern in self.places for place in sorted(root.glob(pattern))]
            # The first of the best: an interrupted or stray download does not hide a good one.
            best = max(found, key=self._wholeness, default=None)
            if best is not None and self._wholeness(best):
                return best
            empty += found
        if empty:
            return empty[0]
        wanted = " or ".join(self.places)
        if os.environ.get(DATA_VARIABLE):
            raise ValueError(
                f"{self.name}: no {wanted} in {' or '.join(map(str, roots))}; "
                f"let {DATA_VARIABLE} name the folder that contains it"
            )
        raise ValueError(
            f"{self.name}: set the environment variable {DATA_VARIABLE} to the folder that contains {wanted}"
        )

    def _wholeness(self, place: Path) -> float:
        return float(np.mean([not why_unreadable(path) for path in self.files(place)]))

    def _check_identity(self, dataset: Dataset) -> None:
        if dataset.input_shape != self.input_shape:
            raise ValueError(f"{self.title} has images of shape {self.input_shape}, these have {dataset.input_shape}")
        for part, images, whole in (("training", dataset.train_x, self.train), ("test", dataset.test_x, self.test)):
            if len(images) > whole:
                raise ValueError(f"{self.title} has {whole:,} {part} images, these are {len(images):,}")
        count = len(dataset.train_x)
        if count < TELLING:
            return
        # An odd step: in MNIST two sources take turns, and one writes bolder.
        mean, std = mean_and_std(dataset.train_x[:: count // TELLING | 1], scale=self.scale)
        if np.abs(np.subtract((*mean, *std), (*self.mean, *self.std))).max() > TOLERANCE:
            shown = "; ".join(" ".join(f"{value:.3f}" for value in values) for values in (mean, std))
            raise ValueError(
                f"these are not the images of {self.title}: their mean and standard deviation are {shown}, not those "
                f"of {self.name}; other data sets have files of the same names: give it the folder of its own name"
            )
