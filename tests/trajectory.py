"""What it takes to compare a run of the package with the PyTorch twin: counted assertions, a twin with the settings and
weights of the run, and our state in the twin's layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
from torch import nn

from sparcl_ref.config import Config
from sparcl_ref.layers import Parameter
from sparcl_ref.models import Network, build_model
from sparcl_ref.randomness import named_streams
from sparcl_ref.trainer import Trainer
from tests import torch_twin
from tests.torch_twin import Twin, buffer, masks, models

#: Largest max|a - b| / max|b| of a tensor. Both sides compute in float64 and round differently: 1e-16 at first, grown
#: by some decades over a run. What is computed wrongly differs in the first digits.
TOLERANCE = 1e-9

#: Statistics of data removal: our name, and the twin's.
COUNTS = {"wrong": "misclassified", "flips": "flips", "ever_correct": "ever_correct", "last_correct": "previous"}


class Comparison:
    """Assertions that count the entries they have looked at, by the first word of what was compared."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.worst = 0.0
        self.where = ""

    def exact(self, what: str, ours, theirs) -> None:
        """Fail unless both are equal entry by entry, shapes included."""
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        assert ours.shape == theirs.shape, f"{self.where}: {what} has shape {ours.shape}, expected {theirs.shape}"
        unlike = np.count_nonzero(ours != theirs)
        assert unlike == 0, f"{self.where}: {what} differs in {unlike} of {ours.size} entries"
        self.counts[what.split(" ")[0]] += ours.size

    def close(self, what: str, ours, theirs) -> None:
        """Fail unless max|a - b| <= TOLERANCE * max|b|; beside nothing but zeros only zeros pass."""
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        assert ours.shape == theirs.shape, f"{self.where}: {what} has shape {ours.shape}, expected {theirs.shape}"
        assert ours.dtype == theirs.dtype == np.float64, f"{what}: {ours.dtype} against {theirs.dtype}"
        assert ours.size, f"{self.where}: {what} is empty"
        assert np.isfinite(theirs).all(), f"{self.where}: the twin's {what} is not finite"
        difference, scale = float(np.max(np.abs(ours - theirs))), float(np.max(np.abs(theirs)))
        relative = difference / scale if scale else difference
        # Not "if difference > ...": a NaN of ours must fail.
        assert difference <= TOLERANCE * scale, f"{self.where}: {what} is off by {relative:.2g} of its largest entry"
        self.worst = max(self.worst, relative)
        self.counts[what.split(" ")[0]] += ours.size


def twin_model(network: Network, *, width: int) -> nn.Module:
    """The twin's network of the same kind and sizes, with weights of its own."""
    channels, classes = network.input_shape[0], network.classes
    makers: dict[str, Callable[[], nn.Module]] = {
        "mlp": lambda: models.mlp(int(np.prod(network.input_shape)), width, classes),
        "convnet": lambda: models.convnet(classes, width=width, pools=(True, True), in_channels=channels),
        "resnet18": lambda: models.resnet18(classes, width=width, in_channels=channels),
        "resnet20": lambda: models.resnet20(classes, width=width, in_channels=channels),
    }
    return makers[network.name]()


def twin_config(config: Config) -> torch_twin.Config:
    """The twin's settings: every field of ours that it knows by the same name."""
    told = config.to_json() | {"tdm": config.policy == "tdm"}
    names = (set(torch_twin.Config.__dataclass_fields__) - {"dtype", "sparsifiable"}) & told.keys()
    return torch_twin.Config(**{name: told[name] for name in names})


def twin_of(trainer: Trainer, weights: dict[str, np.ndarray] | None = None) -> Twin:
    """A twin of a trainer that has not begun: its dense initial weights, or those given, and its initial masks."""
    config, dataset = trainer.config, trainer.dataset
    dense = build_model(
        config.model,
        input_shape=dataset.input_shape,
        classes=dataset.classes,
        width=config.width,
        dtype=np.float64,
        rng=named_streams(config.seed)["init"],
        draw=config.rules.initialise,
    )
    if weights is not None:
        dense.load_state_dict(weights)
    mean, std = (np.reshape(values, (1, -1, 1, 1)) for values in (dataset.mean, dataset.std))

    def normalise(raw: np.ndarray) -> np.ndarray:
        return (raw * dataset.scale - mean) / std

    twin = Twin(twin_model(dense, width=config.width), twin_config(config), normalise=normalise)
    twin.initialise(dense.state_dict(), {p.name: p.mask for p in trainer.model.sparsifiable() if config.sparse})
    return twin


def percentile_clearance(twin: Twin) -> float:
    """How far the released profile's percentiles keep from the two scores they lie between, as a part of their gap.

    A percentile that falls on a score is one rounding away from deciding the other way.
    """
    config = twin.config
    s = masks.exact(config.sparsity)
    targets = {s, masks.clamp(s + masks.exact(config.p_intra)), config.gradient_sparsity}
    positions = [float(target * (mask.numel() - 1)) for target in targets for mask in twin.masks.values()]
    return min(min(position % 1, 1 - position % 1) for position in positions)


def momentum_of(parameter: Parameter) -> np.ndarray:
    """The velocity, which is zero before the first step."""
    return parameter.slots.get("momentum", np.zeros_like(parameter.value))


def within_task(trainer: Trainer, indices: np.ndarray) -> np.ndarray:
    """Indices into the data set as indices into the current task."""
    index = trainer.stream.training[trainer.cursor.task - 1].train_index
    found = np.searchsorted(index, indices)
    assert np.array_equal(index[found], indices), "samples of another task"
    return found


def our_counts(trainer: Trainer) -> dict[str, np.ndarray]:
    """Counts of the stage for every sample of the task, under the twin's names; 0 for those removed."""
    size = len(trainer.stream.training[trainer.cursor.task - 1].train_index)
    at = within_task(trainer, trainer.cursor.remaining)
    counts = {}
    for ours, theirs in COUNTS.items():
        counts[theirs] = np.zeros(size, dtype=np.int64)
        counts[theirs][at] = getattr(trainer.regime.statistics, ours)
    return counts


def our_state(trainer: Trainer) -> dict:
    """Our complete state in the twin's layout."""
    model, cursor, memory = trainer.model, trainer.cursor, trainer.buffer.content()
    filled = {name: getattr(memory, name) for name in buffer.Buffer.FIELDS} if len(trainer.buffer) else {}
    return {
        "model": model.state_dict(),
        "masks": {p.name: p.mask for p in model.sparsifiable()},
        "gradient_masks": {p.name: p.effective_grad_mask for p in model.parameters() if p.mask is not None},
        "momentum": {p.name: momentum_of(p) for p in model.parameters()},
        "gradients": {"total": {p.name: p.grad for p in model.parameters()}},
        "buffer": {**filled, "seen": trainer.buffer.presented},
        "ddr": {"remaining": within_task(trainer, cursor.remaining), **our_counts(trainer)},
        "cursor": {"task": cursor.task, "epoch": cursor.epoch, "iteration": cursor.step},
    }
