"""The decisions on which the paper and the published code differ: one documented field each, two instances.

Code that has to decide asks a field; nothing asks which profile it runs under, and a rule says itself what it needs.
Fields can be mixed: a configuration names a profile and the fields it takes from the other one.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from sparcl_ref import masks
from sparcl_ref.layers import Parameter
from sparcl_ref.models import he_normal, pytorch_default
from sparcl_ref.registry import Registry
from sparcl_ref.sparcl import ddr, dgm, released, structured, tdm
from sparcl_ref.sparcl.importance import cgi, cwi

Rng = np.random.Generator
Scores = list[np.ndarray]
#: Gives, for some parameters, the probe gradients on the current task and on the buffer.
Probe = Callable[[Sequence[Parameter]], tuple[Scores, Scores]]
#: The same, of as many samples of the current task as it is told.
SizedProbe = Callable[[Sequence[Parameter], int], tuple[Scores, Scores]]


@dataclass(frozen=True)
class Rule:
    """A decision as a pure function, and what whoever applies it has to know.

    Attributes
    ----------
    apply : callable
    probes : bool
        Whether it asks for the probe gradients of equation 1.
    counts : bool
        Whether it leaves exactly the number alive that it is told. Others compare with a threshold, so that costs
        predicted before a run are nominal, and layers cannot have budgets of their own.
    """

    apply: Callable[..., Any]
    probes: bool = False
    counts: bool = True

    def __call__(self, *args: Any, **settings: Any) -> Any:
        return self.apply(*args, **settings)

    def __reduce__(self) -> tuple[Any, ...]:
        # `rule` has put the rule where its function was: by that name the rule can be found, the function cannot.
        module = sys.modules.get(getattr(self.apply, "__module__", ""))
        name = getattr(self.apply, "__qualname__", "")
        if module is not None and getattr(module, name, None) is self:
            return _named_rule, (module.__name__, name)
        return Rule, (self.apply, self.probes, self.counts)


def _named_rule(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def rule(*, probes: bool = False, counts: bool = True) -> Callable[[Callable[..., Any]], Rule]:
    """Make a `Rule` of the function below."""
    return functools.partial(Rule, probes=probes, counts=counts)


# --- the paper's side of each rule, in the shape the fields ask for (the published side is in released.py)


@rule()
def initial_mask_random(weight: np.ndarray, rng: Rng, *, active: int, sparsity: Fraction) -> np.ndarray:
    """A uniformly random mask with an exact budget."""
    return masks.random_mask(weight.shape, active, rng)


@rule(counts=False)
def initial_mask_magnitude(weight: np.ndarray, rng: Rng, *, active: int, sparsity: Fraction) -> np.ndarray:
    """The initial weights above a percentile of their magnitude."""
    return released.magnitude_initial_mask(weight, sparsity)


def schedule_paper(task: int, epoch: int, *, epochs: int, **settings: Any) -> tuple[tdm.Action, ...]:
    """Algorithm 1."""
    return tdm.tdm_actions(task, epoch, **settings)


@rule()
def shrink_budget(
    mask: np.ndarray, weight: np.ndarray, importance: np.ndarray, *, active: int, sparsity: Fraction
) -> np.ndarray:
    """Exactly the budget stays alive."""
    return masks.shrink(mask, importance, active)


@rule(counts=False)
def shrink_percentile(
    mask: np.ndarray, weight: np.ndarray, importance: np.ndarray, *, active: int, sparsity: Fraction
) -> np.ndarray:
    """What is above a percentile of all entries stays alive."""
    return released.shrink_above_percentile(weight, importance, sparsity)


@rule()
def grow_budget(mask: np.ndarray, weight: np.ndarray, rng: Rng, *, active: int, sparsity: Fraction) -> np.ndarray:
    """Dead weights join until exactly the budget lives."""
    return masks.grow(mask, active, rng)


@rule(counts=False)
def grow_value(mask: np.ndarray, weight: np.ndarray, rng: Rng, *, active: int, sparsity: Fraction) -> np.ndarray:
    """Zeros join, counted by value."""
    return released.grow_by_value(weight, sparsity, rng)


@rule(probes=True)
def importance_probe(parameters: Sequence[Parameter], probe: Probe, rng: Rng, *, alpha: float, beta: float) -> Scores:
    """Equation 1 on probe gradients."""
    return [
        cwi(parameter.value, current, memory, alpha=alpha, beta=beta)
        for parameter, current, memory in zip(parameters, *probe(parameters), strict=True)
    ]


@rule()
def importance_last_gradient(
    parameters: Sequence[Parameter], probe: Probe, rng: Rng, *, alpha: float, beta: float
) -> Scores:
    """Magnitude and the gradient left by the last step; alpha and beta are not used."""
    return [released.last_gradient_importance(parameter.value, parameter.grad) for parameter in parameters]


@rule()
def importance_magnitude(
    parameters: Sequence[Parameter], probe: Probe, rng: Rng, *, alpha: float, beta: float
) -> Scores:
    """|w| alone."""
    return [np.abs(parameter.value) for parameter in parameters]


@rule()
def importance_random(parameters: Sequence[Parameter], probe: Probe, rng: Rng, *, alpha: float, beta: float) -> Scores:
    """Chance."""
    return [rng.random(parameter.value.shape) for parameter in parameters]


def negated(importance: Rule) -> Rule:
    """The least important first to stay: what choosing badly costs."""
    return dataclasses.replace(importance, apply=functools.partial(_negative, importance.apply))


def _negative(importance: Callable[..., Scores], *args: Any, **settings: Any) -> Scores:
    return [-score for score in importance(*args, **settings)]


#: What ranks the weights when a mask shrinks, made from the profile's rule: "cwi" is that rule itself, the others are
#: there to find out what it is worth.
IMPORTANCES: dict[str, Callable[[Rule], Rule]] = {
    "cwi": lambda profile: profile,
    "negated_cwi": negated,
    "magnitude": lambda profile: importance_magnitude,
    "random": lambda profile: importance_random,
}


@rule()
def gradient_mask_cgi(
    mask: np.ndarray, current: np.ndarray, replay: np.ndarray, *, sparsity: Fraction, alpha: float, beta: float
) -> np.ndarray:
    """The most important living weights by equation 3."""
    return dgm.gradient_mask(mask, cgi(current, replay, alpha=alpha, beta=beta), sparsity)


@rule(counts=False)
def gradient_mask_percentile(
    mask: np.ndarray, current: np.ndarray, replay: np.ndarray, *, sparsity: Fraction, alpha: float, beta: float
) -> np.ndarray:
    """Gradients at or above a percentile of the whole gradient."""
    return released.percentile_gradient_mask(current + replay, sparsity) & mask


def score_misclassified(statistics: ddr.StageStatistics, epochs: int) -> np.ndarray:
    """How often a sample was misclassified."""
    return statistics.wrong


def score_flips(statistics: ddr.StageStatistics, epochs: int) -> np.ndarray:
    """How often a sample was forgotten."""
    return released.flip_score(statistics.flips, statistics.ever_correct, epochs)


@rule()
def freeze_nothing(value: np.ndarray) -> np.ndarray | None:
    """No parameter is frozen."""
    return None


@rule(counts=False)
def freeze_zeros(value: np.ndarray) -> np.ndarray | None:
    """Parameters that start with many zeros stay zero there."""
    return released.frozen_zeros(value)


def _rule(number: int, paper: str, code: str, changes: str) -> Any:
    return field(metadata={"number": number, "paper": paper, "code": code, "changes": changes})


@dataclass(frozen=True)
class Rules:
    """One field per decision; each names a pure function or a value.

    The field's metadata says, under "paper", "code" and "changes", what either side does and what the difference does.
    """

    initial_mask: Rule = _rule(
        1,
        "uniformly random, exact budget",
        "dense initial weights above a percentile of their magnitude",
        "the start favours weights that happen to be large",
    )
    schedule: Callable[..., tuple[tdm.Action, ...]] = _rule(
        2,
        "expansion from the second task on, adjustment at every multiple of delta_k",
        "expansion in every task; adjustments from delta_k to K - delta_k, then a last shrink without growth",
        "the last delta_k epochs train fewer or equally many weights, and the first task is denser at its start",
    )
    p_intra: float = _rule(
        2,
        "0.005 (remembered from the text)",
        "0.01",
        "twice as many weights change places; a default, --p-intra decides",
    )
    shrink: Rule = _rule(
        3,
        "exactly the budget, ties to the lower index",
        "strictly above an interpolated percentile of all entries",
        "budgets are met only nearly; ties at the threshold die together",
    )
    importance: Rule = _rule(
        4,
        "equation 1 on probe gradients of the task and of the whole buffer",
        "|w| + 0.5 |g| with the gradient the last minibatch left, already gradient-masked",
        "no extra passes, but one noisy gradient, and none for the weights the gradient mask silenced",
    )
    grow: Rule = _rule(
        5,
        "dead entries of the mask join until the exact budget lives",
        "zeros by value join, int(zeros - target n) of them",
        "a weight that joined and never got a gradient is dead again at the next update",
    )
    gradient_mask: Rule = _rule(
        6,
        "equation 3 ranks the living weights, exact count",
        "percentile of the whole |g| over all entries of the layer",
        "replay and current gradients can cancel before they are ranked",
    )
    ddr_score: Callable[[ddr.StageStatistics, int], np.ndarray] = _rule(
        7,
        "misclassifications in the stage",
        "correct-to-wrong flips in the stage, K if never correct",
        "a sample that is always wrong counts as hard either way; one that is wrong once and then right counts as easy",
    )
    remove_after_mask_update: bool = _rule(
        7,
        "data leave before the mask actions of the next epoch",
        "the mask is updated first",
        "a probe of equation 1 would still see the samples that are about to leave",
    )
    freeze: Rule = _rule(
        8,
        "only convolution and linear weights are masked",
        "any parameter whose initial value has >= 10 % zeros is masked by its nonzeros",
        "every batch-norm bias stays frozen at 0",
    )
    drop_last: bool = _rule(
        9, "partial last batches are trained on", "they are skipped", "a few samples of each epoch are not seen"
    )
    replay_from_task: int = _rule(
        10, "replay as soon as the buffer holds something", "replay from the second task on", "task 1 is plain SGD"
    )
    augment_replay: bool = _rule(
        10, "replayed samples are shown as stored", "they are augmented again", "the buffer looks larger than it is"
    )
    initialise: Callable[..., np.ndarray] = _rule(
        11,
        "He normal, biases 0",
        "PyTorch's default, U(-1, 1) / sqrt(fan-in)",
        "initial weights are sqrt(6) times smaller",
    )

    @property
    def counts_budgets(self) -> bool:
        """Whether masks have exact budgets, which may then differ between layers or be shared by them."""
        return self.initial_mask.counts and self.shrink.counts and self.grow.counts

    @property
    def counts(self) -> bool:
        """Whether every number of living weights and gradients is known before a run."""
        return self.counts_budgets and self.gradient_mask.counts and self.freeze.counts


PAPER = Rules(
    initial_mask=initial_mask_random,
    schedule=schedule_paper,
    p_intra=0.005,
    shrink=shrink_budget,
    importance=importance_probe,
    grow=grow_budget,
    gradient_mask=gradient_mask_cgi,
    ddr_score=score_misclassified,
    remove_after_mask_update=False,
    freeze=freeze_nothing,
    drop_last=False,
    replay_from_task=1,
    augment_replay=False,
    initialise=he_normal,
)

RELEASED = Rules(
    initial_mask=initial_mask_magnitude,
    schedule=released.released_tdm_actions,
    p_intra=0.01,
    shrink=shrink_percentile,
    importance=importance_last_gradient,
    grow=grow_value,
    gradient_mask=gradient_mask_percentile,
    ddr_score=score_flips,
    remove_after_mask_update=True,
    freeze=freeze_zeros,
    drop_last=True,
    replay_from_task=2,
    augment_replay=True,
    initialise=pytorch_default,
)

PROFILES: Registry[Rules] = Registry("profile", {"paper": PAPER, "released": RELEASED})
#: Add rules of one's own: ``register("mine", dataclasses.replace(PAPER, shrink=my_rule))``.
register = PROFILES.register


def mixed_rules(profile: str, mix: str = "") -> Rules:
    """The rules of a profile, with single fields taken from another.

    Parameters
    ----------
    profile : {"paper", "released"}
    mix : str
        Such as "shrink=released,freeze=paper"; empty for none.

    Raises
    ------
    ValueError
        If a profile or field is unknown.
    """
    names = [item.name for item in dataclasses.fields(Rules)]
    chosen = {}
    for part in filter(None, (part.strip() for part in mix.split(","))):
        name, _, source = part.partition("=")
        if name not in names:
            raise ValueError(f"unknown rule {name!r}; choose among {', '.join(names)}")
        if source not in PROFILES:
            raise ValueError(
                f"rule {name} must come from {' or '.join(PROFILES)}, as in {name}=released; got {source!r}"
            )
        chosen[name] = getattr(PROFILES[source], name)
    return dataclasses.replace(PROFILES.find(profile), **chosen)


@functools.cache
def rules_of(profile: str, mix: str = "", *, structure: str = "irregular") -> Rules:
    """The rules of a run.

    Parameters
    ----------
    profile, mix
        As for `mixed_rules`.
    structure : str
        "irregular", or a key of `structured.STRUCTURES`, whose rules then choose masks by norms alone.

    Raises
    ------
    ValueError
        If a profile or a field is unknown.
    """
    rules = mixed_rules(profile, mix)
    if structure in structured.STRUCTURES:
        changes: dict[str, Any] = by_norms(structured.STRUCTURES[structure])
        rules = dataclasses.replace(rules, **changes)
    return rules


def by_norms(kind: structured.Structure) -> dict[str, Rule]:
    """The rules of a structured kind, which read life from values and rank by norms: no probe is taken for them."""
    grow = keep_mask if kind.grow is None else functools.partial(_grow_units, kind.grow)
    return {
        "initial_mask": Rule(functools.partial(_best_units, kind.shrink), counts=False),
        "importance": importance_magnitude,
        "shrink": Rule(functools.partial(_best_living_units, kind.shrink), counts=False),
        "grow": Rule(grow, counts=False),
    }


def _best_units(shrink: Callable[..., np.ndarray], weight: np.ndarray, rng: Rng, **target: Any) -> np.ndarray:
    return shrink(weight, target["sparsity"])


def _best_living_units(
    shrink: Callable[..., np.ndarray], mask: np.ndarray, weight: np.ndarray, scores: np.ndarray, **target: Any
) -> np.ndarray:
    return shrink(weight, target["sparsity"])


def _grow_units(
    grow: Callable[..., np.ndarray], mask: np.ndarray, weight: np.ndarray, rng: Rng, **target: Any
) -> np.ndarray:
    return grow(weight, target["sparsity"], rng)


def keep_mask(mask: np.ndarray, weight: np.ndarray, rng: Rng, **target: Any) -> np.ndarray:
    """Nothing joins."""
    return mask


def rules_table() -> str:
    """The fields of `Rules` as a Markdown table, for the documentation."""
    lines = ["| | rule | paper | published code | what it changes |", "| --- | --- | --- | --- | --- |"]
    for item in dataclasses.fields(Rules):
        cells = [
            item.metadata["number"],
            f"`{item.name}`",
            *(item.metadata[key] for key in ("paper", "code", "changes")),
        ]
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
