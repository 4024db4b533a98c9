"""A rule-based state machine that drives TDM, DDR and DGM through tasks, epochs, steps, saves and restores in any
order, and checks after every action what must hold of masks, gradients, removed samples, counts and buffer."""

from __future__ import annotations

import copy
from collections import Counter
from typing import ClassVar

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.helpers import assert_positive_zero
from tests.regime_world import Expectation, World
from tests.strategies import seeds
from tests.test_trainer import flattened
from tests.torch_twin.masks import active_count, clamp, exact

#: What the machine counts under ``happened``.
KINDS = {"task", "step", "shrink", "expand", "redrawn", "refresh", "silent", "removal", "restore", "same", "stored"}
KINDS |= {"dead", "budget"}


class RegimeMachine(RuleBasedStateMachine):
    """One world that acts, and sometimes a second one that took over its state and has to do the same."""

    configs: ClassVar[st.SearchStrategy]
    happened: ClassVar[Counter[str]]

    @initialize(data=st.data())
    def start(self, data):
        self.begin_with(data.draw(self.configs))

    def begin_with(self, config):
        self.config = config
        self.worlds = [World(self.config, seed=self.config.seed)]
        self.expected = Expectation(self.config)
        self.saved = None
        self.refreshed: dict[str, np.ndarray | None] = {p.name: None for p in self.sparse}

    @property
    def world(self) -> World:
        return self.worlds[0]

    @property
    def sparse(self):
        return self.world.regime.parameters

    @property
    def between_epochs(self) -> bool:
        return self.expected.iteration is None

    # --- actions

    @precondition(lambda self: self.between_epochs)
    @rule(samples=st.integers(1, 14), seed=seeds())
    def begin_task(self, samples, seed):
        for world in self.worlds:
            world.begin_task(samples, seed)
        self.expected.begin_task(self.world.remaining)
        self.happened["task"] += 1

    @precondition(lambda self: self.between_epochs and self.expected.task > 0)
    @precondition(lambda self: self.expected.epoch < self.config.epochs)
    @rule(seed=seeds())
    def begin_epoch(self, seed):
        before = {p.name: (p.mask, p.value.copy(), _momentum(p)) for p in self.sparse}
        left = len(self.world.remaining)
        self.expected.begin_epoch()
        for world in self.worlds:
            changes = world.begin_epoch(self.expected.task, self.expected.epoch, seed)
        self.refreshed = dict.fromkeys(self.refreshed)
        self._check_changes(before, changes)
        self.happened["removal"] += len(self.world.remaining) < left

    @precondition(lambda self: not self.between_epochs and len(self.world.remaining))
    @rule(seed=seeds())
    def step(self, seed):
        iteration = self.expected.iteration
        for world in self.worlds:
            batch, correct = world.step(iteration, self.expected.task, seed)
        self.expected.step(batch, correct)
        self.happened["step"] += 1
        if self.config.dgm and iteration % self.config.dgm_interval == 0:
            self.refreshed = {p.name: p.grad_mask for p in self.sparse}
            self._check_refresh()
        for parameter in self.sparse:
            # What the step was taken with: no gradient outside the gradient mask, whatever the pass left there.
            silent = ~parameter.effective_grad_mask
            self.happened["silent"] += assert_positive_zero(parameter.grad, call="silent gradients", where=silent)

    @precondition(lambda self: not self.between_epochs)
    @rule()
    def end_epoch(self):
        left = len(self.world.remaining)
        for world in self.worlds:
            world.end_epoch(self.expected.epoch)
        self.expected.end_epoch()
        self.happened["removal"] += len(self.world.remaining) < left

    @precondition(lambda self: self.between_epochs)
    @rule(epochs=st.integers(2, 6), steps=st.integers(1, 3), samples=st.integers(4, 14), seed=seeds())
    def whole_epochs(self, epochs, steps, samples, seed):
        """Deep histories, which single actions seldom make."""
        for _ in range(epochs):
            if self.expected.task == 0 or self.expected.epoch == self.config.epochs:
                self.begin_task(samples, seed)
            self.begin_epoch(seed)
            for number in range(steps if len(self.world.remaining) else 0):
                self.step(seed + number)
            self.end_epoch()

    @rule()
    def save(self):
        self.saved = (self.world.state(), copy.deepcopy(self.expected), dict(self.refreshed))

    @precondition(lambda self: self.saved is not None)
    @rule()
    def restore(self):
        state, self.expected, self.refreshed = self.saved[0], copy.deepcopy(self.saved[1]), dict(self.saved[2])
        self.worlds = [self.world.resumed(copy.deepcopy(state))]
        assert dict(flattened(self.world.state())) == dict(flattened(state))
        self.happened["restore"] += 1

    @rule()
    def fork(self):
        self.worlds = [self.world, self.world.resumed(self.world.state())]

    # --- what the actions themselves must have done

    @property
    def names_what_joined(self) -> bool:
        """Where growth goes by value and no shrink comes before it, zeros that lived leave in the same action."""
        config = self.config
        return not config.mix and (config.profile == "released" or config.structure == "irregular")

    def _check_changes(self, before, changes):
        left, joined = ({name: np.zeros(0, dtype=np.int64) for name in before} for _ in range(2))
        for change in changes:
            self.happened[change.kind] += change.count > 0
            target = left if change.kind == "shrink" else joined
            target |= change.indices
        for parameter in self.sparse:
            mask, value, momentum = before[parameter.name]
            assert parameter.grad_mask is None
            assert mask.reshape(-1)[left[parameter.name]].all()  # only what lives can leave
            flat = np.zeros(value.size, dtype=bool)
            flat[joined[parameter.name]] = True
            new = flat.reshape(value.shape) & parameter.mask
            if self.names_what_joined:
                # Everything that joined is named: a weight that left and was drawn again too.
                assert not (parameter.mask & ~mask & ~new).any()
                again = np.intersect1d(left[parameter.name], joined[parameter.name])
                assert new.reshape(-1)[again].all()
                self.happened["redrawn"] += len(again)
                assert_positive_zero(parameter.value, call="joined weights", where=new)
                assert_positive_zero(_momentum(parameter), call="momentum of joined weights", where=new)
            stayed = parameter.mask & mask & ~new
            np.testing.assert_array_equal(parameter.value[stayed], value[stayed])
            np.testing.assert_array_equal(_momentum(parameter)[stayed], momentum[stayed])

    def _check_refresh(self):
        s = exact(self.config.sparsity)
        q = (1 - s) / 5 if self.config.dgm_q is None else exact(self.config.dgm_q)
        for parameter in self.sparse:
            self.happened["refresh"] += 1
            if self.config.rules.gradient_mask.counts:
                assert parameter.grad_active == min(parameter.active, active_count(parameter.value.size, clamp(s + q)))
            else:
                # The smallest gradient kept is at the percentile or above, so at most that many are kept.
                assert parameter.grad_active <= parameter.value.size - int(float(s + q) * (parameter.value.size - 1))
                assert parameter.grad[parameter.grad_mask].all()

    # --- what must hold after every action

    @invariant()
    def everything_that_must_hold(self):
        self.the_dead_are_positive_zero()
        self.budgets_are_exact_where_masks_are_counted()
        self.gradient_masks_are_subsets_and_stay_until_the_next_refresh()
        self.samples_and_their_counts_are_those_of_the_stage()
        self.the_buffer_holds_what_was_presented()
        self.a_resumed_world_does_the_same_to_the_bit()

    def the_dead_are_positive_zero(self):
        for parameter in self.world.model.parameters():
            if parameter.mask is not None:
                for what in (parameter.value, parameter.grad, *parameter.slots.values()):
                    found = assert_positive_zero(what, call=f"dead of {parameter.name}", where=~parameter.mask)
                    self.happened["dead"] += found

    def budgets_are_exact_where_masks_are_counted(self):
        if not self.config.rules.counts_budgets or self.config.structure != "irregular" or self.config.mix:
            return
        active = {p.name: p.active for p in self.sparse}
        for group, count in self.expected.budgets({p.name: p.value.shape for p in self.sparse}).items():
            assert sum(active[name] for name in group) == count
            self.happened["budget"] += 1

    def gradient_masks_are_subsets_and_stay_until_the_next_refresh(self):
        for parameter in self.sparse:
            chosen, grad_mask = self.refreshed[parameter.name], parameter.grad_mask
            assert (grad_mask is None) == (chosen is None)
            if chosen is not None:
                np.testing.assert_array_equal(grad_mask, chosen)
                assert not (grad_mask & ~parameter.mask).any()

    def samples_and_their_counts_are_those_of_the_stage(self):
        statistics, counts = self.world.regime.statistics, self.expected.counts
        assert self.world.remaining.tolist() == sorted(counts)
        found = (statistics.wrong, statistics.flips, statistics.ever_correct, statistics.last_correct)
        for position, array in enumerate(found):
            assert array.tolist() == [counts[index][position] for index in sorted(counts)]

    def the_buffer_holds_what_was_presented(self):
        buffer, task_of = self.world.buffer, self.expected.task_of
        assert buffer.presented == len(task_of)
        assert len(buffer) == min(len(task_of), self.config.buffer_size)
        content = buffer.content()
        numbers = content.images.reshape(-1).tolist()
        assert len(set(numbers)) == len(numbers)
        assert content.tasks.tolist() == [task_of[number] for number in numbers]
        if len(task_of) <= self.config.buffer_size:
            assert numbers == list(range(len(task_of)))
        self.happened["stored"] += len(numbers)

    def a_resumed_world_does_the_same_to_the_bit(self):
        if len(self.worlds) == 2:
            one, other = (dict(flattened(world.state())) for world in self.worlds)
            assert one == other
            assert len(one) > 30
            self.happened["same"] += 1


def _momentum(parameter) -> np.ndarray:
    return parameter.slots.get("momentum", np.zeros_like(parameter.value)).copy()
