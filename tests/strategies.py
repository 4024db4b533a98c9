"""The suite's shared Hypothesis strategies.

Large arrays come from a drawn seed and shape: Hypothesis chooses and shrinks those, NumPy fills in the numbers. That is
far faster than drawing entries one by one. Small structured things (orders, counts, geometries) are drawn entry by
entry and shrink well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from sparcl_ref.config import Config
from sparcl_ref.masks import exact
from sparcl_ref.sparcl.rules import RELEASED, mixed_rules

Pair = tuple[int, int]
Shape = tuple[int, ...]


def _as_strategy(value):
    return value if isinstance(value, st.SearchStrategy) else st.just(value)


# --- numbers, shapes and plain arrays ---------------------------------------------------------------------------------


def seeds() -> st.SearchStrategy[int]:
    """Seed of a NumPy generator."""
    return st.integers(0, 2**32 - 1)


def generators() -> st.SearchStrategy[np.random.Generator]:
    """A seeded `numpy.random.Generator`; failing examples print its seed."""
    return st.builds(np.random.default_rng, seeds())


def dtypes() -> st.SearchStrategy[type]:
    """float64 (the simpler example) or float32."""
    return st.sampled_from([np.float64, np.float32])


def shapes(
    *, min_dims: int = 1, max_dims: int = 4, min_side: int = 1, max_side: int = 6
) -> st.SearchStrategy[tuple[int, ...]]:
    """Array shape with the given bounds (inclusive)."""
    return st.lists(st.integers(min_side, max_side), min_size=min_dims, max_size=max_dims).map(tuple)


@st.composite
def normal_arrays(draw, shape: Shape | st.SearchStrategy[Shape], *, dtype=np.float64, scale=1.0) -> np.ndarray:
    """Independent normal entries with standard deviation ``scale``; each argument may itself be a strategy."""
    shape, dtype, scale = draw(_as_strategy(shape)), draw(_as_strategy(dtype)), draw(_as_strategy(scale))
    rng = np.random.default_rng(draw(seeds()))
    return np.asarray(rng.standard_normal(shape) * scale).astype(dtype)


# --- convolution and pooling ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ConvGeometry:
    """Sizes of a convolution that has at least one output position; field names are `Conv2d`'s argument names."""

    batch: int
    in_channels: int
    out_channels: int
    height: int
    width: int
    kernel_size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @property
    def input_shape(self) -> Shape:
        return self.batch, self.in_channels, self.height, self.width

    @property
    def weight_shape(self) -> Shape:
        return self.out_channels, self.in_channels // self.groups, *self.kernel_size

    @property
    def output_shape(self) -> Shape:
        spatial = (
            (size + 2 * pad - (dil * (k - 1) + 1)) // step + 1
            for size, pad, dil, k, step in zip(
                (self.height, self.width), self.padding, self.dilation, self.kernel_size, self.stride, strict=True
            )
        )
        return self.batch, self.out_channels, *spatial


@st.composite
def conv_geometries(draw, *, max_groups: int = 3) -> ConvGeometry:
    """Kernels up to 3x3, strides up to 3, paddings up to 2, dilations up to 2; rows and columns drawn apart."""
    groups = draw(st.integers(1, max_groups))
    axes = []
    for _ in "hw":
        kernel, stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        padding, dilation = draw(st.integers(0, 2)), draw(st.integers(1, 2))
        smallest = max(1, dilation * (kernel - 1) + 1 - 2 * padding)
        axes.append((draw(st.integers(smallest, smallest + 4)), kernel, stride, padding, dilation))
    (height, width), kernels, strides, paddings, dilations = zip(*axes, strict=True)
    return ConvGeometry(
        batch=draw(st.integers(1, 3)),
        in_channels=groups * draw(st.integers(1, 3)),
        out_channels=groups * draw(st.integers(1, 3)),
        height=height,
        width=width,
        kernel_size=kernels,
        stride=strides,
        padding=paddings,
        dilation=dilations,
        groups=groups,
    )


@dataclass(frozen=True)
class PoolGeometry:
    """Sizes of a pooling layer that has at least one output position; padding is at most half the kernel."""

    batch: int
    channels: int
    height: int
    width: int
    kernel_size: Pair
    stride: Pair
    padding: Pair

    @property
    def input_shape(self) -> Shape:
        return self.batch, self.channels, self.height, self.width

    @property
    def output_shape(self) -> Shape:
        spatial = (
            (size + 2 * pad - k) // step + 1
            for size, pad, k, step in zip(
                (self.height, self.width), self.padding, self.kernel_size, self.stride, strict=True
            )
        )
        return self.batch, self.channels, *spatial


@st.composite
def pool_geometries(draw, *, max_padding: int = 1) -> PoolGeometry:
    """Windows up to 3x3, overlapping, touching or apart."""
    axes = []
    for _ in "hw":
        kernel, stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        padding = draw(st.integers(0, min(max_padding, kernel // 2)))
        smallest = max(1, kernel - 2 * padding)
        axes.append((draw(st.integers(smallest, smallest + 4)), kernel, stride, padding))
    (height, width), kernels, strides, paddings = zip(*axes, strict=True)
    batch, channels = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return PoolGeometry(batch, channels, height, width, kernels, strides, paddings)


# --- masks, importance, sparsity --------------------------------------------------------------------------------------


@st.composite
def masks(draw, shape: Shape | st.SearchStrategy[Shape], *, count: int | st.SearchStrategy[int] | None = None):
    """Boolean array with exactly ``count`` entries set (any number, none and all included, when not given)."""
    shape = draw(_as_strategy(shape))
    size = int(np.prod(shape))
    chosen = draw(st.integers(0, size) if count is None else _as_strategy(count))
    mask = np.zeros(size, dtype=bool)
    mask[np.random.default_rng(draw(seeds())).permutation(size)[:chosen]] = True
    return mask.reshape(shape)


@st.composite
def nested_masks(draw, shape: Shape | st.SearchStrategy[Shape]) -> tuple[np.ndarray, np.ndarray]:
    """A mask and a gradient mask that is a subset of it, not necessarily a proper one."""
    mask = draw(masks(shape))
    return mask, mask & draw(masks(mask.shape))


@st.composite
def importances(draw, shape: Shape | st.SearchStrategy[Shape], *, dtype=np.float64) -> np.ndarray:
    """Non-negative scores, anything from all distinct to all equal, so that ties are the rule and not the exception."""
    shape, dtype = draw(_as_strategy(shape)), draw(_as_strategy(dtype))
    rng = np.random.default_rng(draw(seeds()))
    levels = draw(st.sampled_from([1, 2, 3, 5, None]))
    scores = np.abs(rng.standard_normal(shape)) if levels is None else rng.integers(0, levels, shape) / 4
    return np.asarray(scores).astype(dtype)


def sparsities(*, min_value: float = 0.0, max_value: float = 0.999) -> st.SearchStrategy[float]:
    """Floats that print as decimals of at most three places, 0 and the values of the paper among them."""
    usual = [s for s in (0.0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999) if min_value <= s <= max_value]
    first, last = (round(bound * 1000) for bound in (min_value, max_value))
    # k / 1000 is the float nearest to that decimal, so str() gives back the decimal itself.
    any_decimal = st.integers(first, last).map(lambda thousandths: thousandths / 1000)
    return st.sampled_from(usual) | any_decimal if usual else any_decimal


# --- classes, labels, accuracies --------------------------------------------------------------------------------------


@st.composite
def labels(draw, n: int | st.SearchStrategy[int], classes: int | Sequence[int]) -> np.ndarray:
    """int64 vector of ``n`` labels out of 0..classes-1, or out of the classes given."""
    pool = np.arange(classes) if isinstance(classes, int) else np.asarray(classes)
    rng = np.random.default_rng(draw(seeds()))
    return rng.choice(pool, size=draw(_as_strategy(n))).astype(np.int64)


def class_orders(classes: int) -> st.SearchStrategy[tuple[int, ...]]:
    """A permutation of 0..classes-1."""
    return st.permutations(range(classes)).map(tuple)


@st.composite
def class_subsets(draw, classes: int) -> tuple[int, ...]:
    """Between one and all of 0..classes-1, in any order."""
    order = draw(class_orders(classes))
    return order[: draw(st.integers(1, classes))]


@st.composite
def accuracy_matrices(draw, *, tasks: int | st.SearchStrategy[int] | None = None) -> np.ndarray:
    """Shape (T + 1, T), row 0 untrained: fractions of a common test size; 0, 1 and repeated values are frequent."""
    number = draw(st.integers(1, 7) if tasks is None else _as_strategy(tasks))
    tested = draw(st.sampled_from([1, 2, 3, 10, 72, 1000]))
    rng = np.random.default_rng(draw(seeds()))
    return rng.integers(0, tested, (number + 1, number), endpoint=True) / tested


# --- streams ----------------------------------------------------------------------------------------------------------


@st.composite
def labelled_images(draw, *, classes: int | st.SearchStrategy[int], dtype=np.uint8) -> dict[str, np.ndarray]:
    """The arrays of a small data set, by name: each class once or more in both parts, labels in any order.

    Images are (N, C, H, W) of 1 to 3 channels and 1 to 5 rows and columns; no channel of ``train_x`` is constant.
    """
    classes, dtype = draw(_as_strategy(classes)), np.dtype(draw(_as_strategy(dtype)))
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)))
    arrays = {}
    # Two images at least, so that a channel of one pixel can have two values.
    for part, fewest in (("train", max(2, classes)), ("test", classes)):
        extra = draw(labels(draw(st.integers(fewest - classes, fewest + 8)), classes))
        every = np.concatenate([np.arange(classes), extra])
        rng = np.random.default_rng(draw(seeds()))
        values = (
            rng.integers(0, 256, (len(every), *shape)) if dtype == np.uint8 else rng.normal(size=(len(every), *shape))
        )
        arrays[f"{part}_x"] = values.astype(dtype)
        arrays[f"{part}_y"] = rng.permutation(every)
    arrays["train_x"][0], arrays["train_x"][1] = 0, 1
    return arrays


@dataclass(frozen=True)
class TaskSplit:
    """The arrays of a data set, and how its classes become tasks: ``classes_per_task`` divides ``len(class_order)``."""

    arrays: dict[str, np.ndarray]
    classes_per_task: int
    class_order: tuple[int, ...]


@st.composite
def task_splits(draw, *, max_classes: int = 6) -> TaskSplit:
    """A small data set cut in any order into tasks of equal size, from one class each to one task in all."""
    classes = draw(st.integers(1, max_classes))
    per_task = draw(st.sampled_from([k for k in range(1, classes + 1) if classes % k == 0]))
    return TaskSplit(draw(labelled_images(classes=classes)), per_task, draw(class_orders(classes)))


@st.composite
def image_batches(draw) -> np.ndarray:
    """(N, C, H, W) of up to 4 images of uint8, float32 or float64, none of whose values is 0: padding shows."""
    shape = draw(st.tuples(st.integers(0, 4), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)))
    values = np.random.default_rng(draw(seeds())).integers(1, 256, shape)
    return values.astype(draw(st.sampled_from([np.uint8, np.float32, np.float64])))


# --- cost -------------------------------------------------------------------------------------------------------------


def task_sizes(*, max_tasks: int = 3, max_samples: int = 60) -> st.SearchStrategy[list[int]]:
    """Training samples of each task."""
    return st.lists(st.integers(1, max_samples), min_size=1, max_size=max_tasks)


def rule_mixes(rules: Sequence[str]) -> st.SearchStrategy[str]:
    """Any of the rules taken from the published code, as the setting ``mix`` writes it; often none."""
    chosen = st.lists(st.sampled_from(list(rules)), unique=True)
    return st.just("") | chosen.map(lambda names: ",".join(f"{name}=released" for name in names))


@st.composite
def run_configs(draw, **fixed: Any) -> Config:
    """Valid settings of a small run: any method, dense or under SparCL with any of its parts off; few epochs.

    Batches of all sizes against tasks, buffers and intervals, so that partial batches, a buffer that fills slowly and
    refreshes at a last step occur. Rules of the published code are mixed in where masks keep their exact budgets.
    ``fixed`` overrides what is drawn.
    """
    mixed = ["schedule", "importance", "drop_last", "replay_from_task", "remove_after_mask_update"]
    mixed += ["ddr_score", "ddr_sizes", "ddr_keep"]
    method = draw(st.sampled_from(["derpp", "er", "der", "sgd", "joint"]))
    epochs = draw(st.integers(1, 6))
    values: dict[str, Any] = {
        "method": method,
        "epochs": epochs,
        "batch_size": draw(st.integers(1, 12)),
        "replay_batch_size": draw(st.none() | st.integers(1, 12)),
        "buffer_size": draw(st.integers(1, 40)),
        "delta_k": draw(st.integers(2, max(2, epochs))),
        "p_inter": draw(st.sampled_from([0, 0.01, 0.15])) if epochs > 1 else 0,
        "p_intra": draw(st.sampled_from([0, 0.005, 0.1])),
        "sparsity": None if method == "joint" else draw(st.none() | sparsities(max_value=0.99)),
        "budgets": draw(st.sampled_from(["uniform", "erk"])),
        "importance": draw(st.sampled_from(["cwi", "negated_cwi", "magnitude", "random"])),
        "importance_samples": draw(st.integers(1, 30)),
        "ddr_by": draw(st.sampled_from(["mistakes", "all_stages", "random"])),
        "ddr_rho": draw(st.sampled_from([0.3, 0, 0.8])),
        "ddr_cutoff": draw(st.integers(1, 3)),
        "dgm_q": None,
        "dgm_interval": draw(st.integers(1, 7)),
        "momentum": draw(st.sampled_from([0, 0.9])),
        "weight_decay": draw(st.sampled_from([0, 1e-4])),
        "mix": draw(rule_mixes(mixed)),
    }
    values |= {part: draw(st.booleans()) for part in ("ddr", "dgm")}
    values["policy"] = draw(st.sampled_from(["tdm", "static"]))
    values |= fixed
    published = mixed_rules(values.get("profile", "paper"), values["mix"]).schedule is RELEASED.schedule
    if published and exact(values["sparsity"] or 0) + exact(values["p_intra"]) > 1:
        values["p_intra"] = 0  # the published schedule has no target above 1
    return Config.from_json(values)  # leaves out the settings of the policy that was not drawn
