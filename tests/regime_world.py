"""What a run consists of, without its data: a tiny network under SparCL, its optimiser and a buffer, fed with gradients
and outcomes drawn from seeds; and the bookkeeping that says, from the method alone, what must hold of it."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

from sparcl_ref.config import Config
from sparcl_ref.methods import Observation
from sparcl_ref.models import build_model
from sparcl_ref.optimizers import SGD
from sparcl_ref.randomness import named_streams
from sparcl_ref.regime import MaskChange, SparCL
from sparcl_ref.replay import ReservoirBuffer
from tests.torch_twin import ddr, masks, released
from tests.torch_twin.masks import clamp, exact

CLASSES = 4


class World:
    """The things that have a state, and the order in which a trainer calls them. All randomness comes from seeds."""

    def __init__(self, config: Config, *, seed: int):
        streams = named_streams(seed)
        self.config = config
        shape = (1, 4, 4) if config.model == "convnet" else (1, 1, 3)
        self.model = build_model(
            config.model,
            input_shape=shape,
            classes=CLASSES,
            width=config.width,
            dtype=np.float64,
            rng=streams["init"],
            draw=config.rules.initialise,
        )
        self.optimizer = SGD(self.model.parameters(), momentum=config.momentum, weight_decay=config.weight_decay)
        self.regime = SparCL(self.model, config, rng=streams["mask"])
        self.buffer = ReservoirBuffer(
            config.buffer_size, image_shape=(1, 1, 1), image_dtype=np.int64, classes=CLASSES, logits_dtype=np.float64
        )
        self.streams = streams
        self.remaining = np.zeros(0, dtype=np.int64)
        self.samples = 0

    def begin_task(self, samples: int, seed: int) -> None:
        self.samples = samples
        self.remaining = np.sort(np.random.default_rng(seed).choice(100, size=samples, replace=False))
        self.regime.begin_task(samples)

    def begin_epoch(self, task: int, epoch: int, seed: int) -> list[MaskChange]:
        rng = np.random.default_rng(seed)

        def probe(parameters, samples):
            # Few different sizes, so that ties are common.
            return tuple([rng.integers(-2, 3, p.value.shape) / 4 for p in parameters] for _ in range(2))

        changes = self.regime.before_epoch(task, epoch, probe)
        if self.config.rules.remove_after_mask_update and epoch > 1:
            self._end_stage(epoch - 1)
        return changes

    def step(self, iteration: int, task: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the batch and whether each of its samples was correct."""
        rng = np.random.default_rng(seed)
        batch = rng.permutation(self.remaining)[: self.config.batch_size]
        step = Observation(correct=rng.random(len(batch)) < 0.6, logits=rng.standard_normal((len(batch), CLASSES)))
        self.regime.before_step(task, 1, iteration, _no_probe)
        parts = [self._gradients(rng) for _ in range(rng.integers(1, 3))]
        step.current_grads, step.replay_grads = parts[0], parts[1] if len(parts) == 2 else None
        for parameter, *grads in zip(self.model.parameters(), *parts, strict=True):
            parameter.grad[...] = sum(grads)
        self.regime.after_backward(iteration, step)
        self.optimizer.step(0.05)
        numbers = self.buffer.presented + np.arange(len(batch))
        self.buffer.add(
            numbers.reshape(-1, 1, 1, 1), batch % CLASSES, step.logits, task=task, rng=self.streams["reservoir"]
        )
        self.regime.count(self.remaining, batch, step.correct)
        return batch, step.correct

    def _gradients(self, rng: np.random.Generator) -> list[np.ndarray]:
        """What a backward pass leaves: anything where no gradient is formed, NaN included, must not get through."""
        self.model.zero_grads()
        for parameter in self.model.parameters():
            dw = rng.integers(-3, 4, parameter.value.shape) / 8 + rng.standard_normal(parameter.value.shape) * 1e-3
            dw[rng.random(dw.shape) < 0.1] = 0.0
            if parameter.effective_grad_mask is not None:
                dw[~parameter.effective_grad_mask] = rng.choice([np.nan, -0.0, 1.0])
            parameter.add_grad(dw)
        return self.model.take_grads()

    def end_epoch(self, epoch: int) -> None:
        if not self.config.rules.remove_after_mask_update:
            self._end_stage(epoch)

    def _end_stage(self, epoch: int) -> None:
        numbers = np.array([chance_of(index) for index in self.remaining.tolist()])
        chance = {"chance": lambda count: numbers} if self.regime.removal.draws else {}
        self.remaining = self.regime.end_stage(epoch, self.remaining, self.samples, **chance)

    def state(self) -> dict[str, Any]:
        """Through pickle, so that nothing is shared with the world that goes on."""
        whole = {
            "model": self.model.state(),
            "optimizer": self.optimizer.state(),
            "regime": self.regime.state(),
            "buffer": self.buffer.state(),
            "generators": {name: rng.bit_generator.state for name, rng in self.streams.items()},
            "remaining": self.remaining,
            "samples": self.samples,
        }
        return pickle.loads(pickle.dumps(whole))

    def resumed(self, state: dict[str, Any]) -> World:
        """A new world, of another seed, that takes over a state."""
        world = World(self.config, seed=self.config.seed + 1)
        for name in ("model", "optimizer", "regime", "buffer"):
            getattr(world, name).load_state(state[name])
        for name, rng in world.streams.items():
            rng.bit_generator.state = state["generators"][name]
        world.remaining, world.samples = state["remaining"], state["samples"]
        return world


def chance_of(index: int) -> float:
    """What a sample, one of 100, is ranked by where chance decides; no two have the same."""
    return index * 37 % 101 / 101


def _no_probe(parameters, samples):
    raise AssertionError("no action falls between the steps of an epoch")


class Expectation:
    """What the method says about a world after the actions so far; shares no rule with the package.

    Attributes
    ----------
    sparsity : Fraction
        What the masks have exactly, where masks are counted.
    counts : dict of int to list of int or bool
        Sample to its [misclassifications, flips, ever correct, last correct] of the stage.
    earlier : dict of int to int
        Sample to the sum of its scores over the task's earlier stages.
    task_of : list of int
        Task of each presented sample.
    """

    def __init__(self, config: Config):
        self.config = config
        self.sparsity = exact(config.sparsity)
        self.counts: dict[int, list] = {}
        self.earlier: dict[int, int] = {}
        self.task_of: list[int] = []
        self.task = self.epoch = self.samples = 0
        self.iteration: int | None = None

    def begin_task(self, remaining: np.ndarray) -> None:
        self.task, self.epoch, self.samples = self.task + 1, 0, len(remaining)
        self._count_anew(remaining.tolist())
        self.earlier = dict.fromkeys(self.counts, 0)

    def _count_anew(self, remaining: list[int]) -> None:
        self.counts = {index: [0, 0, False, False] for index in remaining}

    def begin_epoch(self) -> None:
        config, s = self.config, exact(self.config.sparsity)
        self.epoch, self.iteration = self.epoch + 1, 0
        if config.policy == "tdm" and self.epoch % config.delta_k == 0:
            self.sparsity = s
        elif config.policy == "tdm" and self.task > 1 and self.epoch == 1:
            self.sparsity = clamp(s - exact(config.policy_settings.p_inter))
        if config.rules.remove_after_mask_update and self.epoch > 1:
            self._close(self.epoch - 1)

    def step(self, batch: np.ndarray, correct: np.ndarray) -> None:
        for index, right in zip(batch.tolist(), correct.tolist(), strict=True):
            count = self.counts[index]
            count[0] += not right
            count[1] += count[3] and not right
            count[2] |= right
            count[3] = right
        self.task_of += [self.task] * len(batch)
        self.iteration += 1

    def end_epoch(self) -> None:
        self.iteration = None
        if not self.config.rules.remove_after_mask_update:
            self._close(self.epoch)

    def _close(self, epoch: int) -> None:
        """After a stage the samples of the lowest rank leave, and counting starts anew."""
        config = self.config
        stage = ddr.finished_stage(epoch, delta_k=config.delta_k, epochs=config.epochs)
        able = sorted(self.counts, key=self._rank)
        if config.rules.ddr_keep.__name__ == "keep_unpresented":
            able = [index for index in able if any(self.counts[index])]  # right or wrong at least once
        gone: list[int] = []
        if config.ddr and stage is not None and stage <= config.ddr_cutoff:
            gone = able[: self._number_to_go(stage)]
        if epoch % config.delta_k == 0:
            left = sorted(set(self.counts) - set(gone))
            self.earlier = {index: self.earlier[index] + self._score(*self.counts[index]) for index in left}
            self._count_anew(left)

    def _rank(self, index: int) -> tuple:
        score, chance = self._score(*self.counts[index]), chance_of(index)
        earlier = self.earlier[index]
        ranks = {"mistakes": (score, index), "all_stages": (score + earlier, chance), "random": (chance,)}
        return ranks[self.config.ddr_by]

    def _number_to_go(self, stage: int) -> int:
        config = self.config
        if config.rules.ddr_sizes.__name__ == "truncated_ddr_sizes":
            return released.removed_per_stage(self.samples, config.ddr_rho, config.ddr_cutoff)
        now, before = (ddr.gone(self.samples, config.ddr_rho, i, config.ddr_cutoff) for i in (stage, stage - 1))
        return now - before

    def _score(self, wrong: int, flips: int, ever_correct: bool, last_correct: bool) -> int:
        if self.config.rules.ddr_score.__name__ == "score_misclassified":
            return wrong
        return flips if ever_correct else self.config.epochs

    def budgets(self, shapes: dict[str, tuple[int, ...]]) -> dict[tuple[str, ...], int]:
        """Living weights per group of names that share a budget."""
        return masks.budgets(shapes, self.sparsity, self.config.budgets)
