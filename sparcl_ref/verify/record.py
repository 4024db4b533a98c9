"""Log a run step by step into one .npz file: the reference that another implementation's trace is held against."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from sparcl_ref.config import Config
from sparcl_ref.draws import Draws
from sparcl_ref.experiment import build
from sparcl_ref.streams import Dataset, load_dataset
from sparcl_ref.trainer import Trainer
from sparcl_ref.verify.traces.archive import TraceWriter
from sparcl_ref.verify.traces.canonical import RUNS, canonical_dataset, canonical_initial, dense_initial
from sparcl_ref.verify.traces.rules import RuleBook, rule_book
from sparcl_ref.verify.traces.tensors import Tensor, event_tensors


def record(
    path: str | os.PathLike[str],
    config: Config | None = None,
    *,
    run: str = "derpp",
    dataset: Dataset | None = None,
    initial: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """Run a configuration and write all that happens, with the rule and the tolerance of every tensor.

    Beside the run goes a second one whose initial weights differ by one rounding each. How far the two have come apart,
    relative to the largest entry of a tensor and in units of that rounding, is the run's ``growth`` at a step: the
    largest so far, at least 1. A tensor's tolerance is ``4 sqrt(terms + 2) eps growth`` times its largest entry, where
    ``terms`` is the longest sum behind an entry of this network. Should the two runs ever select differently, an exact
    comparison with another implementation would be unfair, and the run is refused.

    Parameters
    ----------
    path : path-like
        Overwritten if it exists.
    config : Config, optional
        A sparse run of the NumPy engine under the paper's rules; by default a canonical run on its own data.
    run : str
        Which of the canonical runs, by its name in `RUNS`.
    dataset : Dataset, optional
        Instead of the one ``config.dataset`` names.
    initial : mapping of str to ndarray, optional
        Dense initial state (the names of ``state_dict``) instead of the drawn one.

    Raises
    ------
    ValueError
        If the configuration cannot be recorded, its selections hang on rounding, or there is no such canonical run.
    """
    if run not in RUNS:
        raise ValueError(f"there is no canonical run {run!r}, only {', '.join(RUNS)}; name one of them")
    if config is None:
        config, dataset, initial = RUNS[run], canonical_dataset(), canonical_initial(RUNS[run])
    _check_recordable(config)
    dataset = load_dataset(config.dataset) if dataset is None else dataset
    initial = dense_initial(config, dataset) if initial is None else initial
    trainer, beside = (build(config, dataset, draws=Draws(weights=initial)) for _ in range(2))
    path, eps = Path(path), float(np.finfo(config.dtype).eps)
    _move_by_one_rounding(beside, eps)
    terms, growth, listed = _longest_sum(trainer), 1.0, []
    growth_of_step: dict[str, float] = {}
    rules, used = rule_book(), {}
    try:
        with TraceWriter(path) as writer:
            runs = event_tensors(trainer, initial), event_tensors(beside, initial)
            for tensors, moved in zip(*runs, strict=True):
                growth = max([growth, *_differences(tensors, moved, rules, eps)])
                for tensor in tensors:
                    writer.write(*tensor.name, tensor.array)
                    tolerance = None if rules[tensor.rule].exact else tolerance_of(tensor.array, terms, eps, growth)
                    listed.append({"name": str(tensor.name), "rule": tensor.rule, "tolerance": tolerance})
                    used[tensor.rule] = rules[tensor.rule]
                    growth_of_step[tensor.name.step] = growth
            writer.close(
                kind="sparcl_ref reference trace",
                config=config.to_json(),
                terms=terms,
                eps=eps,
                growth=growth_of_step,
                rules={name: rule._asdict() for name, rule in used.items()},
                tensors=listed,
            )
    except BaseException:
        if path.is_file():  # not a device, such as /dev/stdout
            path.unlink()
        raise
    return path


def tolerance_of(array: np.ndarray, terms: int, eps: float, growth: float) -> float:
    """4 sqrt(terms + 2) eps, relative to the largest entry, times what the run has made of one rounding so far.

    Roundings of a sum add up like the steps of a random walk, to the square root of their number, and ``growth`` is the
    worst of a whole run's tensors; so a single sum's guaranteed bound, with ``terms`` itself, need not come on top.
    """
    largest = float(np.max(np.abs(array), initial=0.0))
    return 4 * math.sqrt(terms + 2) * eps * growth * largest


def _differences(tensors: list[Tensor], moved: list[Tensor], rules: RuleBook, eps: float) -> Iterator[float]:
    """How many roundings the tensors of an event have come apart, relative to the largest entry of each."""
    for tensor, other in zip(tensors, moved, strict=True):
        if rules[tensor.rule].exact:
            if not np.array_equal(tensor.array, other.array):
                raise ValueError(
                    f"{tensor.name} hangs on rounding: it changed when the initial weights were moved by one rounding "
                    "each; record another seed or a shorter run"
                )
        elif largest := float(np.max(np.abs(tensor.array), initial=0.0)):
            yield float(np.max(np.abs(tensor.array - other.array))) / largest / eps


def _move_by_one_rounding(trainer: Trainer, eps: float) -> None:
    rng = np.random.default_rng(0)
    for parameter in trainer.model.parameters():
        parameter.value *= 1 + eps * rng.choice([-1.0, 1.0], size=parameter.value.shape)


def _longest_sum(trainer: Trainer) -> int:
    """Terms of the longest sum in the network: over a batch's positions, or over the weights of one output."""
    config, (_, height, width) = trainer.config, trainer.dataset.input_shape
    batch = max(config.batch_size, config.effective_replay_batch_size)
    fan_in = max(p.value[0].size for p in trainer.model.parameters())
    return max(batch * height * width, fan_in)


#: Methods whose losses and passes the rule book explains.
DESCRIBED = ("sgd", "er", "der", "derpp")


def _check_recordable(config: Config) -> None:
    if config.method not in DESCRIBED or config.align != "none":
        raise ValueError(
            f"record: a trace describes the passes of {', '.join(DESCRIBED)}, without --align; got {config.method} "
            f"with --align {config.align}"
        )
    taken = {"profile": "paper", "mix": "", "structure": "irregular", "importance": "cwi", "augmentation": "none"}
    plain = Config.from_json(config.to_json() | taken)
    if not config.sparse or config != plain or config.engine == "numba":
        raise ValueError(
            "record: expected a sparse run with the NumPy engine, profile paper, no mix, irregular structure, "
            "importance cwi and no augmentation; change the configuration, or call record() without one for the "
            "canonical run"
        )
