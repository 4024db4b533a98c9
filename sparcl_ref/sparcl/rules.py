"""The decisions on which the paper and the published code differ: one documented field each, two instances.

Code that has to decide asks a field; nothing asks which profile it runs under, and a rule says itself what it needs.
Fields can be mixed: a configuration names a profile and the fields it takes from the other one.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sparcl_ref.models import he_normal, pytorch_default
from sparcl_ref.registry import Registry
from sparcl_ref.sparcl import ddr, decisions, released, structured, tdm
from sparcl_ref.sparcl.rule import Rule
from sparcl_ref.text import did_you_mean


def _rule(number: int, paper: str, code: str, changes: str, *, dense: bool = False) -> Any:
    return field(metadata={"number": number, "paper": paper, "code": code, "changes": changes, "dense": dense})


@dataclass(frozen=True)
class Rules:
    """One field per decision; each names a pure function or a value.

    The field's metadata says, under "paper", "code" and "changes", what either side does and what the difference does;
    under "dense", whether it decides anything where no weight is dead and no sample is removed.

    Raises
    ------
    TypeError
        If a plain function stands where a `Rule` belongs, which says what it needs.
    """

    initial_mask: Rule = _rule(
        1,
        "uniformly random, exact budget",
        "dense initial weights above a percentile of their magnitude; all at s = 0, none from s = .999 on",
        "the start favours weights that happen to be large",
    )
    schedule: Callable[..., tuple[tdm.Action, ...]] = _rule(
        2,
        "expansion from the second task on, adjustment at every multiple of delta_k",
        "expansion in every task; adjustments from delta_k to K - delta_k, then a last shrink without growth; nothing "
        "grows where p_inter or p_intra is 0 either; s + p_intra above 1 is refused",
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
    ddr_sizes: Callable[..., list[int]] = _rule(
        7,
        "after stage i floor(rho n i / cutoff + 1/2) of n samples are gone in all",
        "each stage removes int(N / cutoff), N = floor(rho n + 1/2)",
        "up to cutoff - 1 samples fewer are removed",
    )
    ddr_keep: Callable[[np.ndarray, ddr.StageStatistics, int], np.ndarray] = _rule(
        7,
        "any remaining sample can go",
        "only one that was presented in the stage",
        "what partial batches have skipped all through a stage stays",
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
        "any parameter whose initial value has more than 10 % zeros is masked by its nonzeros, and its gradients too",
        "every batch-norm bias stays frozen at 0",
    )
    drop_last: bool = _rule(
        9,
        "partial last batches are trained on",
        "they are skipped",
        "a few samples of each epoch are not seen",
        dense=True,
    )
    replay_from_task: int = _rule(
        10,
        "replay as soon as the buffer holds something",
        "replay from the second task on",
        "task 1 is plain SGD",
        dense=True,
    )
    augment_replay: bool = _rule(
        10,
        "replayed samples are shown as stored",
        "they are augmented again",
        "the buffer looks larger than it is",
        dense=True,
    )
    initialise: Callable[..., np.ndarray] = _rule(
        11,
        "He normal, biases 0",
        "PyTorch's default, U(-1, 1) / sqrt(fan-in)",
        "initial weights are sqrt(6) times smaller",
        dense=True,
    )

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            given = getattr(self, item.name)
            if item.type == Rule.__name__ and not isinstance(given, Rule):
                what = f"{type(given).__name__} {getattr(given, '__name__', given)}"
                raise TypeError(f"{item.name} must be a rule, made by @rule() of sparcl_ref.sparcl.rule; got {what}")

    @property
    def counts_budgets(self) -> bool:
        """Whether masks have exact budgets, which may then differ between layers or be shared by them."""
        return self.initial_mask.counts and self.shrink.counts and self.grow.counts

    @property
    def counts(self) -> bool:
        """Whether every number of living weights and gradients is known before a run."""
        return self.counts_budgets and self.gradient_mask.counts and self.freeze.counts


PAPER = Rules(
    initial_mask=decisions.initial_mask_random,
    schedule=decisions.schedule_paper,
    p_intra=0.005,
    shrink=decisions.shrink_budget,
    importance=decisions.importance_probe,
    grow=decisions.grow_budget,
    gradient_mask=decisions.gradient_mask_cgi,
    ddr_score=decisions.score_misclassified,
    ddr_sizes=ddr.ddr_sizes,
    ddr_keep=decisions.keep_by_score,
    remove_after_mask_update=False,
    freeze=decisions.freeze_nothing,
    drop_last=False,
    replay_from_task=1,
    augment_replay=False,
    initialise=he_normal,
)

RELEASED = Rules(
    initial_mask=decisions.initial_mask_magnitude,
    schedule=decisions.schedule_released,
    p_intra=0.01,
    shrink=decisions.shrink_percentile,
    importance=decisions.importance_last_gradient,
    grow=decisions.grow_value,
    gradient_mask=decisions.gradient_mask_percentile,
    ddr_score=decisions.score_flips,
    ddr_sizes=released.truncated_ddr_sizes,
    ddr_keep=decisions.keep_unpresented,
    remove_after_mask_update=True,
    freeze=decisions.freeze_zeros,
    drop_last=True,
    replay_from_task=2,
    augment_replay=True,
    initialise=pytorch_default,
)

PROFILES: Registry[Rules] = Registry("profile", {"paper": PAPER, "released": RELEASED}, base=Rules)
#: Add rules of one's own: ``register("mine", dataclasses.replace(PAPER, shrink=my_rule))``.
register = PROFILES.register


def mixed_rules(profile: str, mix: str = "") -> Rules:
    """The rules of a profile, with single fields taken from another by a mix such as "shrink=released,freeze=paper".

    Raises
    ------
    ValueError
        If a profile or field is unknown, or a field taken twice.
    """
    chosen = {name: getattr(PROFILES[source], name) for name, source in sources(mix).items()}
    return dataclasses.replace(PROFILES.find(profile), **chosen)


def sources(mix: str) -> dict[str, str]:
    """The profile that each rule of a mix is taken from. Raises as `mixed_rules`."""
    names = [item.name for item in dataclasses.fields(Rules)]
    taken: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in mix.split(","))):
        name, _, source = part.partition("=")
        if name not in names:
            raise ValueError(f"unknown rule {name!r}; choose among {', '.join(names)}{did_you_mean(name, names)}")
        if source not in PROFILES:
            raise ValueError(
                f"rule {name} must come from {' or '.join(PROFILES)}, as in {name}=released; got {source!r}"
            )
        if name in taken:
            raise ValueError(f"the mix takes rule {name} twice; choose one source for it")
        taken[name] = source
    return taken


@functools.cache
def rules_of(profile: str, mix: str = "", *, structure: str = "irregular") -> Rules:
    """`mixed_rules`; but a structure of `structured.STRUCTURES` has rules that choose masks by norms alone."""
    kind = structured.STRUCTURES.get(structure)
    changes: dict[str, Any] = {} if kind is None else decisions.by_norms(kind)
    return dataclasses.replace(mixed_rules(profile, mix), **changes)


def rules_table() -> str:
    """The fields of `Rules` as a Markdown table, for the documentation."""
    lines = ["| | rule | paper | published code | what it changes |", "| --- | --- | --- | --- | --- |"]
    for item in dataclasses.fields(Rules):
        said = [item.metadata[key] for key in ("paper", "code", "changes")]
        cells = [item.metadata["number"], f"`{item.name}`", *said]
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
