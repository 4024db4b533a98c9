"""What a run has trained, to predict with and to keep, and what an image becomes before the network sees it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sparcl_ref import durable
from sparcl_ref.evaluation import EVALUATION_BATCH
from sparcl_ref.methods import Method
from sparcl_ref.methods.archive import Archive
from sparcl_ref.models import Network
from sparcl_ref.streams.dataset import normalised
from sparcl_ref.streams.files import user_path
from sparcl_ref.text import one_line
from sparcl_ref.weights_file import decoded, encoded

if TYPE_CHECKING:
    from sparcl_ref.trainer import Trainer

#: Characters of a file's name that are kept, its end: some systems take 255 bytes.
LONGEST = 60


@dataclass(frozen=True, eq=False)
class Learner:
    """A trained network that takes images as their data set stores them.

    Attributes
    ----------
    about : mapping
        JSON values: ``name``, ``seed``, ``method``, ``sparsity``, ``head`` (of the loss: "full", "single", or "own"
        where the method says itself over which classes it goes); ``model``, ``width``, ``dtype``, ``input_shape``,
        ``classes``; ``class_order``, and ``tasks``, the labels of each; ``dataset`` with ``image_dtype``, ``scale``,
        ``mean`` and ``std``; ``own_predict``, whether the method answers otherwise than by the logits; ``config``, all
        settings of the run.
    network : Network
        With its masks.
    archive : Archive or None
        The networks of tasks, where the method has one for each.
    """

    about: Mapping[str, Any]
    network: Network
    archive: Archive | None = None

    def logits(self, images: np.ndarray, *, task: int | None = None) -> np.ndarray:
        """The network's logits, shape (N, classes); column k belongs to label k, whatever the class order.

        With a ``task``, from 1, they are those of that task's own network, where the method has one for each: its
        classes' columns say something. Without, and where all tasks have one network, those of the network.

        Parameters
        ----------
        images : ndarray, shape (N, C, H, W), or (N, H, W) where C is 1
            As the data set stores them: of uint8 if it does, else of float32 or float64. They are normalised here.

        Raises
        ------
        TypeError, ValueError
            If they are no such images, or a number in them is not finite.
        FloatingPointError
            If a logit is NaN.
        """
        images, dtype = self._checked(images), np.dtype(self.about["dtype"])
        if task is not None and self.archive is not None:
            self._choice(task, None)
            if task not in self.archive.tasks:
                learned = ", ".join(map(str, self.archive.tasks)) or "none"
                raise ValueError(f"task {task} has not been learned yet; choose one of those that have: {learned}")
            with self.archive.in_place(self.network, task):
                return replace(self, archive=None).logits(images)
        constants = {key: self.about[key] for key in ("scale", "mean", "std")}
        parts = [
            self.network.forward(
                normalised(images[start : start + EVALUATION_BATCH], dtype=dtype, **constants), mode="eval"
            )
            for start in range(0, len(images), EVALUATION_BATCH)
        ]
        logits = np.concatenate([np.zeros((0, self.about["classes"]), dtype), *parts])
        if np.isnan(logits).any():
            index = int(np.isnan(logits).any(axis=1).argmax())
            raise FloatingPointError(f"image {index} has NaN among its logits; are its values those of the data set?")
        return logits

    def predict(
        self, images: np.ndarray, *, task: int | None = None, classes: Sequence[int] | None = None
    ) -> np.ndarray:
        """The label of each image, shape (N,), int64: the largest logit's, and the lowest among equal ones.

        Parameters
        ----------
        images : ndarray
            As `logits` takes them.
        task : int, optional
            From 1: choose among that task's classes (Task-IL). By default among all (Class-IL).
        classes : sequence of int, optional
            Choose among these labels.

        Raises
        ------
        ValueError
            If there is no such task or label, both are given, the method has a network for each task and none is named,
            or it has a `predict` of its own, of which these weights know nothing.
        """
        if self.archive is not None:
            if task is None:
                raise ValueError(
                    f"{self.about['name']} has a network for each task, and nothing that guesses the task; say which: "
                    "predict(images, task=1)"
                )
        elif self.about["own_predict"]:
            raise ValueError(
                f"{self.about['name']} was evaluated by its method's own predict, which is not in the weights; "
                "logits(images) gives what its network says"
            )
        columns = self._choice(task, classes)
        return columns[self.logits(images, task=task)[:, columns].argmax(axis=1)]

    def content(self) -> bytes:
        """What `save` writes, see `sparcl_ref.weights_file`."""
        return encoded(self.about, self.network, self.archive)

    def save(self, path: str | Path) -> None:
        """Write an .npz file that `load` reads; it appears whole or not at all. OSError if it cannot be written."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.put(path, self.content())

    def __str__(self) -> str:
        about = self.about
        tasks = " | ".join(" ".join(map(str, classes)) for classes in about["tasks"])
        return f"{about['name']}, {about['model']} for {about['input_shape']} images of labels {tasks}"

    def _checked(self, images: np.ndarray) -> np.ndarray:
        shape, stored = tuple(self.about["input_shape"]), self.about["image_dtype"]
        if not isinstance(images, np.ndarray):
            raise TypeError(f"images must be a NumPy array, got {type(images).__name__}")
        fits = images.dtype == np.uint8 if stored == "uint8" else images.dtype in (np.float32, np.float64)
        if not fits:
            wanted = "uint8, 0..255" if stored == "uint8" else f"{stored}, scaled as those of the data set"
            raise TypeError(f"images must be of {wanted}; got {images.dtype}")
        if images.ndim == 3 and shape[0] == 1:
            images = images[:, None]
        if images.shape[1:] != shape:
            expected = ", ".join(map(str, shape))
            raise ValueError(f"images must have shape (N, {expected}), got {images.shape}; one image is images[None]")
        if images.dtype != np.uint8 and not np.isfinite(images).all():
            raise ValueError("images have a NaN or an infinity; replace or remove what is not finite")
        return images

    def _choice(self, task: int | None, classes: Sequence[int] | None) -> np.ndarray:
        """Labels to choose among, ascending."""
        everyone, tasks = range(self.about["classes"]), self.about["tasks"]
        if task is not None and classes is not None:
            raise ValueError("give task or classes, not both")
        if task is not None:
            if type(task) is bool or not isinstance(task, int | np.integer) or task not in range(1, len(tasks) + 1):
                raise ValueError(f"task must lie in 1..{len(tasks)}, got {task!r}")
            classes = tasks[task - 1]
        if classes is None:
            return np.array(everyone)
        if not len(classes) or len(set(classes)) < len(classes) or not set(classes) <= set(everyone):
            raise ValueError(f"classes must be distinct labels of {everyone[0]}..{everyone[-1]}, got {list(classes)}")
        return np.sort(np.array(classes, dtype=np.int64))


def learner_of(trainer: Trainer) -> Learner:
    """What a trainer has trained so far; it shares the trainer's network."""
    config, dataset = trainer.config, trainer.dataset
    about = {
        "name": config.title,
        "seed": config.seed,
        "method": config.method,
        "sparsity": config.sparsity,
        "head": "own" if config.method_class.own_head else config.effective_head,
        "model": config.model,
        "width": config.width,
        "dtype": config.dtype,
        "input_shape": list(dataset.input_shape),
        "classes": dataset.classes,
        "class_order": list(trainer.stream.class_order),
        "tasks": [list(task.classes) for task in trainer.stream.tasks],
        "dataset": dataset.name,
        "image_dtype": str(dataset.train_x.dtype),
        "scale": float(dataset.scale),
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "own_predict": type(trainer.method).predict is not Method.predict,
        "config": config.to_json(),
    }
    return Learner(about, trainer.model, trainer.method.archive)


def save_weights(path: str | Path, trainer: Trainer) -> None:
    """Write what a trainer has trained so far, see `Learner.save`."""
    learner_of(trainer).save(path)


def file_names(entries: Iterable[tuple[str, int]]) -> list[str]:
    """A file name for the weights of each (name, seed): distinct, and without blanks or separators.

    Examples
    --------
    >>> file_names([("SparCL-DER++ .90 (static)", 0), ("SGD", 0), ("SGD", 0)])
    ['sparcl-der++-.90-static-seed-0.npz', 'sgd-seed-0.npz', 'sgd-seed-0-2.npz']
    """
    given: list[str] = []
    for name, seed in entries:
        stem = re.sub(r"[^\w.+]+", "-", f"{name} seed {seed}".lower())[-LONGEST:].strip("-.")
        number, chosen = 2, f"{stem}.npz"
        while chosen in given:
            number, chosen = number + 1, f"{stem}-{number}.npz"
        given.append(chosen)
    return given


def load(path: str | Path, *, engine: str = "numpy") -> Learner:
    """Read the weights of a run, such as ``DIR/weights/NAME.npz``.

    Parameters
    ----------
    path : str or Path
    engine : {"numpy", "numba"}
        What computes the logits; they agree up to rounding.

    Raises
    ------
    ValueError
        In one line with the file's name, as `sparcl_ref.weights_file.decoded`.
    """
    from sparcl_ref.assembly import with_engine

    if engine not in ("numpy", "numba"):
        raise ValueError(f"engine must be numpy or numba, got {engine!r}")
    about, network, archive = decoded(user_path(path))
    learner = Learner(about, network, archive)
    try:
        # Whatever else in the file does not fit together fails on a first image.
        for task in (None, *(() if archive is None else archive.tasks)):
            learner.logits(np.zeros((1, *about["input_shape"]), about["image_dtype"]), task=task)
    except Exception as error:
        raise ValueError(f"{path}: cannot be loaded ({one_line(error)})") from error
    return Learner(about, with_engine(engine, network)[0], archive)
