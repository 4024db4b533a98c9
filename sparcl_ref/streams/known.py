"""What is known of a published data set before it is read: whose it is, where it lies, which numbers normalise it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparcl_ref.streams.dataset import Dataset, mean_and_std
from sparcl_ref.streams.download import Remote, fetch
from sparcl_ref.streams.files import DATA_VARIABLE, data_folders, user_path, why_unreadable

#: From so many images on, an excerpt's mean and deviation tell whose images they are.
TELLING = 100
#: So many are looked at.
SAMPLE = 1000
#: How far the two may be from those of the whole, for that many images; for fewer in inverse proportion to the square
#: root of their number. Runs of 50 to 1,000 images of MNIST, Fashion-MNIST and CIFAR-10 stay within 0.018 of that kind.
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
    source : str
        How to get it where it is not found: a command, or an address.
    places : tuple of str
        Glob patterns of folders or files below a data folder, most wanted first. A data folder that is itself called
        so is such a place too.
    home : Path, optional
        Where it lies if it comes with the package.
    remotes : tuple of Remote
        What `download` fetches; nothing if it cannot be downloaded from here.
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
    source: str
    places: tuple[str, ...] = ()
    home: Path | None = None
    remotes: tuple[Remote, ...] = ()

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
        try:
            dataset = Dataset(
                **arrays, name=self.name, classes=self.classes, scale=self.scale, mean=self.mean, std=self.std
            )
            self._check_identity(dataset)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{found}: {error}") from error
        return dataset

    def remark(self, dataset: Dataset) -> str:
        """What a reader of the results has to know: that these are not all the images; nothing if they are."""
        counts = ((len(dataset.train_y), self.train), (len(dataset.test_y), self.test))
        if all(here == whole for here, whole in counts):
            return ""
        train, test = (f"{here:,} of {whole:,}" for here, whole in counts)
        return f"{self.name} is an excerpt here, {train} training and {test} test images: no accuracy on the benchmark"

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
            found = [
                place
                for pattern in self.places
                for place in (*sorted(root.glob(pattern)), *([root] if root.absolute().match(pattern) else []))
            ]
            # The first of the best: an interrupted or stray download does not hide a good one.
            best = max(found, key=self._wholeness, default=None)
            if best is not None and self._wholeness(best):
                return best
            empty += found
        if empty:
            return empty[0]
        wanted = " or ".join(self.places)
        raise ValueError(
            f"{self.name}: no {wanted} in {' or '.join(map(str, roots))}; let --data-dir or the environment variable "
            f"{DATA_VARIABLE} name the folder that contains it, or get it: {self._how}"
        )

    @property
    def row(self) -> tuple[str, str, str, str, str]:
        """For a table of data sets: name, images for training and testing, classes, licence, where it is."""
        return self.name, f"{self.train:,} + {self.test:,}", str(self.classes), self.licence, self._whereabouts()

    def _whereabouts(self) -> str:
        """Where it was found, or how to get it; only looked for, not read."""
        if self.home is not None:
            return "in the package"
        try:
            place = self.find()
        except ValueError:
            return f"not found; {self._how}"
        return f"{place}{'' if self._wholeness(place) == 1 else ' (files are missing)'}"

    @property
    def _how(self) -> str:
        """How to get it, in words."""
        return f"{self.source}{', or --download' if self.remotes else ''}"

    def download(self) -> None:
        """Fetch it into the first data folder that a user named, unless all its files are found already.

        Raises
        ------
        ValueError
            If it is not found and cannot be fetched, or no folder is named.
        """
        with contextlib.suppress(ValueError):
            if self._wholeness(self.find()) == 1:
                return
        if not self.remotes:
            raise ValueError(f"{self.name} cannot be downloaded from here; get it: {self.source}")
        named = data_folders()[:-1]
        if not named:
            raise ValueError(f"--download needs --data-dir DIR (or {DATA_VARIABLE}), the folder to download into")
        fetch(self.remotes, named[0])

    def _wholeness(self, place: Path) -> float:
        return float(np.mean([not why_unreadable(path) for path in self.files(place)]))

    def _check_identity(self, dataset: Dataset) -> None:
        if dataset.input_shape != self.input_shape:
            raise ValueError(f"{self.title} has images of shape {self.input_shape}, these have {dataset.input_shape}")
        for part, images, whole in (("training", dataset.train_x, self.train), ("test", dataset.test_x, self.test)):
            if len(images) > whole:
                raise ValueError(f"{self.title} has {whole:,} {part} images, these are {len(images):,}")
        if len(dataset.train_x) < TELLING:
            return
        # An odd step: in MNIST two sources take turns, and one writes bolder.
        sample = dataset.train_x[:: len(dataset.train_x) // SAMPLE | 1]
        mean, std = mean_and_std(sample, scale=self.scale)
        apart = np.abs(np.subtract((*mean, *std), (*self.mean, *self.std))).max()
        if apart > TOLERANCE * max(1.0, SAMPLE / len(sample)) ** 0.5:
            shown = "; ".join(" ".join(f"{value:.3f}" for value in values) for values in (mean, std))
            raise ValueError(
                f"these are not the images of {self.title}: their mean and standard deviation are {shown}, not those "
                f"of {self.name}; other data sets have files of the same names: give it the folder of its own name"
            )
