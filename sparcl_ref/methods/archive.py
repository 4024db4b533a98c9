"""What each task keeps of a network that tasks share: which weights it uses, and what is its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from sparcl_ref.layers import Parameter
from sparcl_ref.methods.classifier import classifier_of
from sparcl_ref.models import Network

#: Parts of a `TaskNetwork` that are arrays by name.
NAMED = ("masks", "values", "rows", "factors")


@dataclass(frozen=True, eq=False)
class TaskNetwork:
    """A task's network, as far as it is not in the weights that tasks share.

    Attributes
    ----------
    classes : ndarray of int
        The task's classes, in the order of ``rows``.
    masks : dict of str to ndarray of uint8
        By parameter, which entries the task uses, packed bits: their values are those of the shared network.
    values : dict of str to ndarray
        Whole parameters that are the task's own, and running statistics.
    rows : dict of str to ndarray
        Of the classifier's weight and bias, those of the task's classes.
    factors : dict of str to ndarray, shape (entries used,)
        By parameter, what the shared values are multiplied by, in the order of the mask; empty where by nothing.
    """

    classes: np.ndarray
    masks: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    rows: dict[str, np.ndarray]
    factors: dict[str, np.ndarray] = field(default_factory=dict)


class Archive:
    """The networks of tasks learned so far, within one network.

    Entries that a task uses are the method's to freeze: what is kept of them here is where they are, not their values.
    A task's network has zeros for weights that it does not use, and in the classifier's rows of other classes.
    """

    def __init__(self) -> None:
        #: By task, from 1.
        self.tasks: dict[int, TaskNetwork] = {}

    def keep(
        self,
        model: Network,
        task: int,
        classes: Sequence[int],
        masks: Mapping[str, np.ndarray],
        factors: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Keep the model as it is as a task's network.

        Parameters
        ----------
        model : Network
            Its last layer is the classifier.
        task : int
            From 1.
        classes : sequence of int
            Rows of the classifier that are the task's.
        masks : mapping of str to ndarray of bool
            By parameter, the entries that the task uses. What has no mask is kept whole.
        factors : mapping of str to ndarray of the parameter's shape, optional
            By parameter with a mask, what its values are multiplied by.

        Raises
        ------
        ValueError
            If the last layer is no classifier, or a name or shape is not the model's.
        """
        head = {parameter.name: parameter for parameter in classifier_of(model).own_parameters().values()}
        shared = {parameter.name: parameter for parameter in model.parameters() if parameter.name not in head}
        if strangers := sorted(masks.keys() - shared.keys() | (factors or {}).keys() - masks.keys()):
            raise ValueError(
                f"{model.name}: masks must be of what is before the classifier, and factors of what has a mask, got "
                f"{', '.join(strangers)}"
            )
        for name, array in [*masks.items(), *(factors or {}).items()]:
            _fitting(array, shared[name].value.shape, name)
        own = {name: parameter.value for name, parameter in shared.items() if name not in masks}
        rows = np.array(classes, dtype=np.int64)
        self.tasks[task] = TaskNetwork(
            classes=rows,
            masks={name: np.packbits(mask) for name, mask in masks.items()},
            values={name: array.copy() for name, array in (own | dict(model.named_buffers())).items()},
            rows={name: parameter.value[rows] for name, parameter in head.items()},
            factors={name: array[masks[name]] for name, array in (factors or {}).items()},
        )

    def mask(self, task: int, parameter: Parameter) -> np.ndarray:
        """Which entries of a parameter a task uses; all of one that is its own.

        Raises
        ------
        ValueError
            If the parameter has another size than the one whose mask was kept.
        """
        bits, shape = self.tasks[task].masks.get(parameter.name), parameter.value.shape
        if bits is None:
            return np.ones(shape, dtype=bool)
        size = parameter.value.size
        if bits.dtype != np.uint8 or bits.shape != (-(-size // 8),):
            raise ValueError(
                f"task {task}: the mask of {parameter.name} must be {-(-size // 8)} bytes, got {bits.shape}"
            )
        return np.unpackbits(bits, count=size).astype(bool).reshape(shape)

    def owners(self, parameter: Parameter) -> np.ndarray:
        """The first task that uses each entry, 0 where none does; int64, of the parameter's shape."""
        found = np.zeros(parameter.value.shape, dtype=np.int64)
        for task in sorted(self.tasks, reverse=True):
            found[self.mask(task, parameter)] = task
        return found

    def put(self, model: Network, task: int) -> None:
        """Make the model the task's network, with nothing frozen; what it was is lost, see `in_place`.

        The masks are set, too, so that an engine computes what it computed when the task was learned.

        Raises
        ------
        ValueError
            If what was kept does not fit the model.
        """
        kept = self.tasks[task]
        head = {parameter.name for parameter in classifier_of(model).own_parameters().values()}
        targets = dict(model.named_buffers())
        if kept.rows.keys() != head:
            raise ValueError(f"task {task}: the rows must be those of {', '.join(sorted(head))}, got {[*kept.rows]}")
        for parameter in model.parameters():
            parameter.freeze(None)
            mask = self.mask(task, parameter)
            parameter.set_mask(mask if parameter.name in kept.masks else None)
            if (factors := kept.factors.get(parameter.name)) is not None:
                parameter.value[mask] *= _fitting(factors, (int(mask.sum()),), parameter.name)
            if parameter.name in head:
                parameter.value[...] = 0.0
                shape = len(kept.classes), *parameter.value.shape[1:]
                parameter.value[kept.classes] = _fitting(kept.rows[parameter.name], shape, parameter.name)
            elif parameter.name not in kept.masks:
                targets[parameter.name] = parameter.value
            parameter.changed()
        if kept.values.keys() != targets.keys():
            raise ValueError(f"task {task}: expected values of {', '.join(targets)}, got {', '.join(kept.values)}")
        for name, target in targets.items():
            target[...] = _fitting(kept.values[name], target.shape, name)

    @contextmanager
    def in_place(self, model: Network, task: int) -> Iterator[None]:
        """Meanwhile the model is the task's network; then it is again what it was, to the bit, with masks and state."""
        before = model.state()
        try:
            self.put(model, task)
            yield
        finally:
            model.load_state(before)

    def state(self) -> dict[str, Any]:
        """By task as text, its `TaskNetwork` as plain values; arrays are copies."""
        return {str(task): asdict(kept) for task, kept in self.tasks.items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        self.tasks = {}
        for task, parts in state.items():
            if lacking := {"classes", *NAMED} - parts.keys():
                raise ValueError(f"the network of task {task} lacks its {min(lacking)}")
            classes = np.array(parts["classes"])
            named = {part: {key: np.array(array) for key, array in parts[part].items()} for part in NAMED}
            self.tasks[int(task)] = TaskNetwork(classes, **named)

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by names such as ``1/masks/conv1.weight``, and ``1/classes``; shared with the archive."""
        found = {}
        for task, kept in self.tasks.items():
            found[f"{task}/classes"] = kept.classes
            for part in NAMED:
                found |= {f"{task}/{part}/{name}": array for name, array in getattr(kept, part).items()}
        return found

    def load_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `arrays` returned; a ValueError for names that it does not give."""
        state: dict[str, Any] = {}
        for key, array in arrays.items():
            task, part, *name = key.split("/", 2) if "/" in key else (key, "")
            if part not in ("classes", *NAMED) or bool(name) != (part in NAMED):
                raise ValueError(f"a task's network has no array {key}")
            parts = state.setdefault(task, {part: {} for part in NAMED})
            if name:
                parts[part][name[0]] = array
            else:
                parts[part] = array
        self.load_state(state)


def _fitting(array: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """The array, which must not be broadcast."""
    if array.shape != shape:
        raise ValueError(f"{name}: what a task has of it must have shape {shape}, got {array.shape}")
    return array
