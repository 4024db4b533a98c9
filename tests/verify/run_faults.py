"""Faults that need what the further canonical runs have: several stages, Nesterov, changing rates, the whole head."""

from __future__ import annotations

import dataclasses

import pytest

from tests.torch_twin import Twin, ddr
from tests.verify.faults import Fault
from tests.verify.twin_trace import Spoil


def removal_of_what_remains(twin: Twin) -> None:
    """A stage of data removal takes its share of the samples that remain, not of the task's."""
    removal, close, gone = twin.removal, twin.removal.close, ddr.gone

    def closed(epoch):
        def gone_of_rest(total, rho, stage, cutoff):
            left = len(removal.remaining)
            return total - left + gone(left, rho, 1, cutoff)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ddr, "gone", gone_of_rest)
            return close(epoch)

    removal.close = closed


def gradients_clipped(twin: Twin) -> None:
    """The gradient of all parameters together has a norm of at most 1."""
    take = twin._take_gradients

    def taken(current, replay):
        take(current, replay)
        total = twin.gradients["total"]
        norm = float(sum((gradient**2).sum() for gradient in total.values())) ** 0.5
        for gradient in total.values():
            gradient.mul_(min(1.0, 1.0 / norm))

    twin._take_gradients = taken


def settings_of_its_own(**changed) -> Spoil:
    """Some settings are others than those recorded, in every epoch."""

    def spoil(twin: Twin) -> None:
        begin, told = twin.begin_epoch, {name: value for name, value in changed.items() if name != "lr"}

        def begun(*args):
            twin.config = dataclasses.replace(twin.config, **changed)
            return begin(*args)

        twin.config = dataclasses.replace(twin.config, **told)
        twin.begin_epoch = begun

    return spoil


RUN_FAULTS = (
    Fault(
        "removal of what remains",
        "task1.epoch6.end/ddr/-/remaining",
        "floor(rho |D_t| i / cutoff + 1/2) are gone",
        removal_of_what_remains,
        run="er",
    ),
    Fault(
        "removal of what remains, of two stages",
        "task1.epoch4.end/ddr/-/remaining",
        "floor(rho |D_t| i / cutoff + 1/2) are gone",
        removal_of_what_remains,
        run="der",
    ),
    Fault("clipped", "task1.epoch1.step2/update/conv1.weight/gradient", "what the optimiser is", gradients_clipped),
    Fault(
        "clipped in er",
        "task1.epoch1.step0/update/conv1.weight/gradient",
        "what the optimiser is given",
        gradients_clipped,
        run="er",
    ),
    Fault(
        "nesterov ignored",
        "task1.epoch1.step0/update/conv1.weight/value",
        "Nesterov: g + momentum v",
        settings_of_its_own(nesterov=False),
        run="er",
    ),
    Fault(
        "rate of the first epoch kept",
        "task1.epoch5.step0/update/conv1.weight/value",
        "w = w - lr v",
        settings_of_its_own(lr=0.03),
        run="er",
    ),
    Fault(
        "rate of the first epoch kept, instead of a cosine",
        "task1.epoch2.step0/update/conv1.weight/value",
        "w = w - lr v",
        settings_of_its_own(lr=0.03),
        run="der",
    ),
    Fault(
        "single head",
        "task1.epoch1.step0/current/-/loss",
        "mean cross-entropy of the new batch",
        settings_of_its_own(head="single"),
        run="er",
    ),
    Fault(
        "weight of the replayed loss ignored",
        "task1.epoch1.step1/replay_ce/-/loss",
        "Coefficient times the mean cross-entropy",
        settings_of_its_own(er_weight=1.0),
        run="er",
    ),
)
