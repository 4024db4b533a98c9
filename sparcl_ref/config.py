"""Every setting of a run in one frozen, validated place. The command line is made from these fields.

A run's settings are those below, those that its method declares, and those that its policy declares; all are given,
stored and echoed side by side.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sparcl_ref.alignment import ALIGNMENTS
from sparcl_ref.compatibility import check_together, why_idle
from sparcl_ref.masks import BUDGETS
from sparcl_ref.methods import METHODS, Method
from sparcl_ref.models import MODELS
from sparcl_ref.optimizers import SCHEDULES
from sparcl_ref.policies import POLICIES, Policy, Schedule
from sparcl_ref.settings import OwnSettings, check, flag, is_setting, plain, setting
from sparcl_ref.sparcl.ddr import stages_reached
from sparcl_ref.sparcl.mixes import mix_remarks
from sparcl_ref.sparcl.removal import REMOVALS
from sparcl_ref.sparcl.rules import PROFILES, Rules, rules_of
from sparcl_ref.sparcl.structured import STRUCTURES
from sparcl_ref.streams import AUGMENTATIONS, SCENARIOS, Scenario
from sparcl_ref.text import did_you_mean

__all__ = ["Config", "flag", "own_settings"]

#: What settings need to matter: attributes of `Config`.
_SPARSE, _DDR, _DGM, _BUFFER = ("sparse",), ("sparse", "ddr"), ("sparse", "dgm"), ("rehearses",)
#: Epochs of a task, and stages of data removal: what a run does in each is counted one by one before it starts.
_MOST_EPOCHS, _MOST_STAGES = 100_000, 1000


@dataclass(frozen=True, init=False)
class Config:
    """Settings of one run, by name: the fields below, the method's, and the policy's. Defaults are the published ones.

    Attributes
    ----------
    method_settings, policy_settings : OwnSettings
        What the method and the policy declare as their own; both are taken over by `dataclasses.replace`, as far as
        the new method and policy know them.

    Raises
    ------
    ValueError
        On construction, naming the setting, the value given and what is accepted.
    """

    dataset: str = setting("digits", "a data set's name (--list), or the path of an .npz file")
    stream: str = setting("split", "how the data set becomes tasks", choices=SCENARIOS)
    domains: int | None = setting(None, "tasks of a stream in which each has all classes; unset: 5", at_least=1)
    validation: float | None = setting(
        None, "fraction of each class's training images to measure on instead of the test images", above=0, below=1
    )
    classes_per_task: int = setting(2, "classes that arrive with each task", at_least=1)
    class_order: str = setting("natural", "natural, random, or label ids joined by commas")
    augmentation: str = setting("none", "augmentation of new samples", choices=AUGMENTATIONS)
    model: str = setting("convnet", "network", choices=MODELS)
    width: int | None = setting(None, "channels of the first stage; unset: the model's own", at_least=1)
    method: str = setting("derpp", "continual-learning method", choices=METHODS)
    head: str = setting(
        "auto",
        "softmax of the loss on new samples: over all logits (full), over the task's own (single), "
        "or single for SparCL on tasks with classes of their own, and full otherwise (auto)",
        choices=("auto", "full", "single"),
    )
    align: str = setting(
        "none", "what is done to the classifier after each task: wa is weight aligning", choices=ALIGNMENTS
    )
    buffer_size: int = setting(200, "samples in the rehearsal buffer", at_least=0, needs=_BUFFER)
    replay_batch_size: int | None = setting(
        None, "samples per draw from the buffer; unset: batch-size", at_least=1, needs=_BUFFER
    )
    epochs: int = setting(50, "epochs per task", at_least=1, most=_MOST_EPOCHS)
    batch_size: int = setting(32, "new samples per step", at_least=1)
    lr: float = setting(0.03, "learning rate", above=0)
    lr_schedule: str = setting("constant", "learning rate over the epochs of a task", choices=SCHEDULES)
    momentum: float = setting(0.0, "momentum of SGD", at_least=0, below=1)
    nesterov: bool = setting(False, "Nesterov's momentum")
    weight_decay: float = setting(0.0, "weight decay", at_least=0)
    sparsity: float | None = setting(
        None,
        "fraction of dead weights; turns SparCL on (unset: the plain dense method)",
        at_least=0,
        below=1,
        about="the fraction of dead weights",
    )
    budgets: str = setting("uniform", "how the sparsity is shared among layers", choices=BUDGETS, needs=_SPARSE)
    policy: str = setting("tdm", "how living weights are chosen", choices=POLICIES, needs=_SPARSE)
    ddr: bool = setting(True, "dynamic data removal", needs=_SPARSE)
    dgm: bool = setting(True, "dynamic gradient masking", needs=_SPARSE)
    delta_k: int = setting(5, "epochs between mask adjustments, and of a data-removal stage", at_least=1, needs=_SPARSE)
    structure: str = setting(
        "irregular", "what lives and dies together", choices=("irregular", *STRUCTURES), needs=_SPARSE
    )
    importance_alpha: float = setting(
        0.5, "weight of the current task's gradient in the importance", at_least=0, needs=_SPARSE
    )
    importance_beta: float = setting(
        1.0, "weight of the buffer's gradient in the importance", at_least=0, needs=_SPARSE
    )
    ddr_rho: float = setting(0.3, "fraction of a task's samples removed in the end", at_least=0, at_most=1, needs=_DDR)
    ddr_cutoff: int = setting(4, "stages that remove samples", at_least=1, most=_MOST_STAGES, needs=_DDR)
    ddr_by: str = setting("mistakes", "what ranks the samples that are removed", choices=REMOVALS, needs=_DDR)
    dgm_q: float | None = setting(
        None, "fraction of a layer whose gradient is masked beyond the sparsity; unset: 0.2 (1 - sparsity)", needs=_DGM
    )
    dgm_interval: int = setting(30, "iterations between gradient-mask choices", at_least=1, needs=_DGM)
    dtype: str = setting("float32", "floating-point type", choices=("float32", "float64"))
    profile: str = setting("paper", "rules of the paper or of the published code", choices=PROFILES)
    mix: str = setting("", "rules taken from a profile, such as shrink=released,freeze=paper")
    seed: int = setting(0, "root of all random streams", at_least=0, most=2**128 - 1)
    engine: str = setting(
        "auto",
        "what computes the layers; auto is numba for runs of more work than compiling",
        choices=("auto", "numpy", "numba"),
    )
    method_settings: OwnSettings = field(default_factory=OwnSettings)
    policy_settings: OwnSettings = field(default_factory=OwnSettings)

    def __init__(self, **settings: Any):
        carried = [settings.pop(name, None) for name in ("method_settings", "policy_settings")]
        for item in filter(is_setting, dataclasses.fields(self)):
            object.__setattr__(self, item.name, settings.pop(item.name, item.default))
        check(self)
        strangers = set(settings)
        own_settings({self.method: self.method_class, self.policy: self.policy_class})
        own = [cls.Settings for cls in (self.method_class, self.policy_class)]
        for name, cls, old in zip(("method_settings", "policy_settings"), own, carried, strict=True):
            names = {item.name for item in dataclasses.fields(cls)}
            kept = {} if old is None else {key: value for key, value in vars(old).items() if key in names}
            taken = {key: settings[key] for key in names & settings.keys()}
            object.__setattr__(self, name, cls(**kept | taken))
            strangers -= names
        if strangers:
            raise ValueError(_stranger(min(strangers), self.method, self.policy))
        settled = self.policy_class.settled(self.policy_settings, self.rules)
        object.__setattr__(self, "policy_settings", settled)
        check_together(self)

    @property
    def scenario(self) -> Scenario:
        return SCENARIOS.find(self.stream)

    @property
    def method_class(self) -> type[Method]:
        return METHODS.find(self.method)

    @property
    def policy_class(self) -> type[Policy]:
        return POLICIES.find(self.policy)

    @property
    def sparse(self) -> bool:
        """Whether SparCL is on."""
        return self.sparsity is not None

    @property
    def rules(self) -> Rules:
        """The rules of the profile, with what ``mix`` takes from another, for the structure."""
        return rules_of(self.profile, self.mix, structure=self.structure)

    @property
    def schedule(self) -> Schedule:
        """What the policy builds on; at sparsity 0 without one."""
        known: Any = {"alpha": self.importance_alpha, "beta": self.importance_beta, "structure": self.structure}
        return Schedule(self.sparsity or 0.0, epochs=self.epochs, delta_k=self.delta_k, **known)

    def make_policy(self, steps: tuple[tuple[int, ...], ...] = ()) -> Policy:
        """The policy; it follows from the settings, and from the steps of each task's epochs where they are known."""
        return self.policy_class(dataclasses.replace(self.schedule, steps=steps), self.rules, self.policy_settings)

    @property
    def effective_head(self) -> str:
        """ "full" or "single"."""
        if self.head == "auto" and not self.method_class.own_head:
            return "single" if self.sparse and self.scenario.class_incremental else "full"
        return "full" if self.head == "auto" else self.head

    @property
    def effective_replay_batch_size(self) -> int:
        """Samples per draw from the buffer."""
        return self.batch_size if self.replay_batch_size is None else self.replay_batch_size

    @property
    def rehearses(self) -> bool:
        """Whether the method has a buffer."""
        return self.method_class.rehearses

    @property
    def family(self) -> str:
        """What the run is one of, as tables group them: SparCL, or of its method's family."""
        return "sparse" if self.sparse else self.method_class.family

    @property
    def title(self) -> str:
        """What tables call the run: the method, its sparsity, and whatever is not as usual."""
        title = self.method_class.title
        extras = [] if self.head == "auto" else [f"{self.head} head"]
        extras += self.method_class.remarks(self.method_settings)
        extras += [] if self.align == "none" else [self.align.upper()]
        if self.sparsity is not None:
            sparsity = f"{self.sparsity:.2f}" if round(self.sparsity, 2) == self.sparsity else str(self.sparsity)
            title = f"{self.policy_class.heads}-{title} {sparsity.removeprefix('0') if self.sparsity else '0'}"
            extras += self.policy_class.remarks(self.policy_settings)
            extras += [f"no {part.upper()}" for part in ("ddr", "dgm") if not getattr(self, part)]
            extras += [] if self.ddr_by == "mistakes" or not self.ddr else [f"DDR {self.ddr_by.replace('_', ' ')}"]
            extras += [] if self.budgets == "uniform" else [self.budgets]
        extras += mix_remarks(self.mix)
        return f"{title} ({', '.join(extras)})" if extras else title

    def why_idle(self, name: str) -> str:
        """Why a setting does not matter in this run, such as "without --sparsity"; "" if it does."""
        return why_idle(self, name)

    def warnings(self) -> list[str]:
        """What is allowed but probably not meant, one line each."""
        reached = stages_reached(epochs=self.epochs, delta_k=self.delta_k, cutoff=self.ddr_cutoff)
        if not (self.sparse and self.ddr and reached < self.ddr_cutoff and self.ddr_rho > 0):
            return []
        return [
            f"data removal reaches only {reached} of {self.ddr_cutoff} stages: another epoch must follow each "
            f"stage of {self.delta_k} epochs, and there are {self.epochs} epochs per task"
        ]

    def to_json(self) -> dict[str, Any]:
        """All settings as JSON values, the method's and the policy's beside the others."""
        values = {item.name: getattr(self, item.name) for item in filter(is_setting, dataclasses.fields(self))}
        return values | dataclasses.asdict(self.method_settings) | dataclasses.asdict(self.policy_settings)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Config:
        """Read back what `to_json` wrote.

        Files of earlier versions hold the settings of every method, and ``tdm`` instead of a policy; what belongs to
        another method or policy is left out.

        Raises
        ------
        ValueError
            If it is no mapping, a key is unknown, or a value has the wrong type.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"a configuration is read from settings by name, got {type(values).__name__}")
        values = dict(values)
        if "tdm" in values:
            values["policy"] = "tdm" if plain("tdm", values.pop("tdm"), (bool,)) else "static"
        common = {item.name for item in filter(is_setting, dataclasses.fields(cls))}
        mine: set[str] = set()
        for registry, key in ((METHODS, "method"), (POLICIES, "policy")):
            named = plain(key, values.get(key, getattr(cls, key)), (str,))
            mine |= {item.name for item in dataclasses.fields(registry.find(named).Settings)}
        everyone = {name for owners in (own_settings(METHODS), own_settings(POLICIES)) for name in owners}
        if unknown := sorted(values.keys() - common - everyone):
            hint = did_you_mean(unknown[0], common | everyone)
            raise ValueError(
                f"unknown settings {', '.join(unknown)} in the configuration; see --help for all settings{hint}"
            )
        return cls(**{name: value for name, value in values.items() if name in common | mine})


def own_settings(registry: Mapping[str, Any]) -> dict[str, dict[str, dataclasses.Field[Any]]]:
    """Settings that methods or policies declare: setting to owner to field.

    Raises
    ------
    ValueError
        If one has the name of a run's setting.
    """
    found: dict[str, dict[str, dataclasses.Field[Any]]] = {}
    common = {item.name for item in dataclasses.fields(Config)}
    for owner, cls in registry.items():
        for item in dataclasses.fields(cls.Settings):
            if item.name in common:
                raise ValueError(f"{owner} declares a setting {item.name!r}, which every run has; give it another name")
            found.setdefault(item.name, {})[owner] = item
    return found


def _stranger(name: str, method: str, policy: str) -> str:
    """Why a setting is refused that neither the run nor its method or policy knows."""
    for kind, registry, chosen in (("method", METHODS, method), ("policy", POLICIES, policy)):
        if owners := own_settings(registry).get(name):
            *others, last = owners
            named = f"{', '.join(others)} and {last}" if others else last
            return f"{flag(name)} is a setting of the {kind} {named}; {chosen} has none of that name"
    known = [item.name for item in dataclasses.fields(Config) if is_setting(item)]
    known += [*own_settings(METHODS), *own_settings(POLICIES)]
    return f"there is no setting {name!r}; see --help for all settings{did_you_mean(name, known)}"
