"""Single faults of a PyTorch implementation, each planted in the twin while it replays a recording.

A fault changes one object or, through pytest's monkeypatch, one function of the twin's modules, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from tests.torch_twin import Twin, ddr, masks, models, network, optim
from tests.verify.twin_trace import Spoil


def gradient_off(task: int, epoch: int, step: int, parameter: str, by: float) -> Spoil:
    """One entry of one parameter's gradient on the new batch is off, at one step."""

    def spoil(twin: Twin) -> None:
        take = twin._take_gradients

        def taken(current, replay):
            if (twin.task, twin.epoch, twin.iteration) == (task, epoch, step):
                current = {**current, parameter: current[parameter].clone()}
                formed = twin.gradient_masks.get(parameter, torch.tensor(True))
                current[parameter].view(-1)[(current[parameter].abs() * formed).argmax()] += by
            take(current, replay)

        twin._take_gradients = taken

    return spoil


def ties_to_the_higher_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among equally important weights a shrink keeps the higher flat index."""

    def shrink(importance, mask, count):
        kept, margin = masks.top(importance.flip(0), mask.flip(0), count)
        return kept.flip(0), margin

    monkeypatch.setattr(network.masks, "shrink", shrink)


def velocity_of_the_dead_stays(twin: Twin) -> None:
    """A mask action clears values and gradients, not velocities."""
    set_masks = twin._set_masks

    def changed(new):
        before = {name: velocity.clone() for name, velocity in twin.momentum.items()}
        set_masks(new)
        for name, velocity in twin.momentum.items():
            velocity.copy_(before[name])

    twin._set_masks = changed


def velocity_without_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """The update masks the weights and lets the velocity collect the gradients of dead ones too."""

    def step(value, gradient, velocity, living, *, lr, momentum, nesterov, weight_decay):
        with torch.no_grad():
            velocity.mul_(momentum).add_(gradient + weight_decay * value)
            if living is not None:
                velocity[~living] += 1e-3
            value.sub_(lr * velocity)
        optim.clear(value, living)

    monkeypatch.setattr(optim, "sgd_step", step)


def redrawn_weight_keeps_its_value(twin: Twin) -> None:
    """Weights are cut after both halves of an exchange, so one that left and joined again keeps its value."""
    set_masks = twin._set_masks

    def changed(new):
        shrinks = all(bool((mask <= twin.masks[name]).all()) for name, mask in new.items())
        if shrinks and twin.epoch:
            for name, mask in new.items():
                twin.masks[name] = mask
                twin.gradient_masks[name] = mask.clone()
        else:
            set_masks(new)

    twin._set_masks = changed


def logits_of_a_later_pass_are_stored(twin: Twin) -> None:
    """The buffer gets the logits that the updated network gives."""
    add, stem = twin.buffer.add, twin.model.conv1.out_channels
    width, classes = twin.model.linear.in_features, twin.model.linear.out_features
    later = models.ConvNet(1, stem, width, classes, (True, True)).double()

    def added(images, labels, logits, task, draws):
        later.load_state_dict(twin.model.state_dict())
        with torch.no_grad():
            add(images, labels, later(twin._inputs(images)).numpy(), task, draws)

    twin.buffer.add = added


def the_hardest_samples_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data removal takes the samples misclassified most often."""
    remove = ddr.remove
    monkeypatch.setattr(ddr, "remove", lambda remaining, scores, number: remove(remaining, -scores, number))


def running_variance_biased(twin: Twin) -> None:
    """The running variance of the second batch-norm collects variances divided by m."""
    layer = twin.model.bn2
    before = {}

    def remember(module, inputs):
        before["var"] = module.running_var.clone()

    def correct(module, inputs, output):
        if module.training:
            x = inputs[0]
            m = x.numel() / x.shape[1]
            old = 0.9 * before["var"]
            module.running_var = old + (module.running_var - old) * (m - 1) / m

    layer.register_forward_pre_hook(remember)
    layer.register_forward_hook(correct)


def one_layer_in_float32(twin: Twin) -> None:
    """The second convolution's output goes through float32."""
    twin.model.conv2.register_forward_hook(lambda module, inputs, output: output.float().double())


def dead_weight_is_nearly_zero(twin: Twin) -> None:
    """At one step, after the update, a dead weight is left at a number far below any tolerance."""
    step = twin.step

    def stepped(*args):
        losses = step(*args)
        if (twin.task, twin.epoch, twin.iteration) == (2, 1, 2):
            dead = tuple(torch.nonzero(~twin.masks["conv3.weight"])[0].tolist())
            with torch.no_grad():
                twin.parameters["conv3.weight"][dead] = 1e-300
        return losses

    twin.step = stepped


def not_a_number(twin: Twin) -> None:
    """One stored logit is NaN."""
    add = twin.buffer.add

    def added(images, labels, logits, task, draws):
        spoilt = np.array(logits)
        if twin.epoch == 3:
            spoilt[:, 1] = np.nan
        add(images, labels, spoilt, task, draws)

    twin.buffer.add = added


@dataclass
class Fault:
    """What is planted, in the replay of which canonical run, and where the comparison has to find it first."""

    name: str
    first: str
    rule: str
    spoil: Spoil | None = None
    patch: Callable[[pytest.MonkeyPatch], None] | None = None
    #: What the twin says when the fault makes it stop half way.
    ends: str = ""
    run: str = "derpp"


FAULTS = (
    Fault(
        "gradient off by 1e-6",
        "task2.epoch1.step1/current/conv3.weight/gradient",
        "Gradient of the loss on the new batch alone",
        gradient_off(2, 1, 1, "conv3.weight", 1e-6),
    ),
    Fault(
        "classifier gradient off by 1e-9",
        "task3.epoch4.step1/current/linear.weight/gradient",
        "Gradient of the loss on the new batch alone",
        gradient_off(3, 4, 1, "linear.weight", 1e-9),
    ),
    Fault("ties", "task1.epoch2.begin/shrink/conv3.weight/mask", "lower flat index", patch=ties_to_the_higher_index),
    Fault(
        "velocity of the dead stays",
        "task1.epoch2.begin/masked/conv2.weight/velocity",
        "exactly 0 in value and velocity",
        velocity_of_the_dead_stays,
    ),
    Fault(
        "velocity without mask",
        "task1.epoch1.step0/update/conv2.weight/velocity",
        "exactly 0 at dead weights",
        patch=velocity_without_mask,
    ),
    Fault(
        "redrawn weight keeps its value",
        "task2.epoch2.begin/masked/conv3.weight/value",
        "one removed and redrawn in the same action",
        redrawn_weight_keeps_its_value,
    ),
    Fault(
        "stored logits of a later pass",
        "task1.epoch1.step0/buffer/-/logits",
        "of the training pass that presented the sample",
        logits_of_a_later_pass_are_stored,
    ),
    Fault(
        "hardest leave",
        "task1.epoch2.end/ddr/-/remaining",
        "fewest-misclassified go",
        patch=the_hardest_samples_leave,
        ends="distinct remaining samples",
    ),
    Fault(
        "running variance biased",
        "task1.epoch1.step0/update/bn2.running_var/value",
        "unbiased",
        running_variance_biased,
    ),
    Fault("float32", "task1.epoch1.step0/current/conv2/output", "sum over c,i,j", one_layer_in_float32),
    Fault(
        "nearly zero",
        "task2.epoch1.step1/update/conv3.weight/value",
        "exactly 0 at dead weights",
        dead_weight_is_nearly_zero,
    ),
    Fault(
        "nan",
        "task1.epoch3.step0/buffer/-/logits",
        "of the training pass",
        not_a_number,
        ends="importance contains NaN",
    ),
)
