"""Every setting of a run in one frozen, validated place. The command line is made from these fields."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from sparcl_ref.masks import BUDGETS, exact
from sparcl_ref.sparcl.rules import PROFILES, Rules, mixed_rules
from sparcl_ref.sparcl.structured import STRUCTURES
from sparcl_ref.sparcl.tdm import check_schedule

METHOD_NAMES = ("sgd", "joint", "er", "der", "derpp")
REHEARSAL_NAMES = ("er", "der", "derpp")


def _setting(default: Any, help: str, **metadata: Any) -> Any:
    """A field with its one-line explanation, and choices or a parser if it has any."""
    return field(default=default, metadata={"help": help, **metadata})


@dataclass(frozen=True)
class Config:
    """Settings of one run; defaults are the method's published ones.

    Raises
    ------
    ValueError
        On construction, naming the setting, the value given and what is accepted.
    """

    dataset: str = _setting("digits", "digits, mnist, cifar10, or the path of an .npz file")
    classes_per_task: int = _setting(2, "classes that arrive with each task")
    class_order: str = _setting("natural", "natural, random, or label ids joined by commas")
    augmentation: str = _setting("none", "augmentation of new samples", choices=("none", "crop_flip"))
    model: str = _setting("convnet", "network", choices=("mlp", "convnet", "resnet18", "resnet20"))
    width: int | None = _setting(None, "channels of the first stage; unset: the model's own", type=int)
    method: str = _setting("derpp", "continual-learning method", choices=METHOD_NAMES)
    head: str = _setting(
        "auto",
        "softmax of the loss on new samples: over all logits (full), over the task's own (single), "
        "or single for SparCL and full otherwise (auto)",
        choices=("auto", "full", "single"),
    )
    alpha: float = _setting(0.1, "coefficient of the logit loss of DER and DER++")
    beta: float = _setting(0.5, "coefficient of the label loss of DER++")
    er_weight: float = _setting(1.0, "coefficient of the replay loss of ER")
    buffer_size: int = _setting(200, "samples in the rehearsal buffer")
    replay_batch_size: int | None = _setting(None, "samples per draw from the buffer; unset: batch-size", type=int)
    epochs: int = _setting(50, "epochs per task")
    batch_size: int = _setting(32, "new samples per step")
    lr: float = _setting(0.03, "learning rate")
    lr_schedule: str = _setting(
        "constant", "learning rate over the epochs of a task", choices=("constant", "cosine", "step")
    )
    momentum: float = _setting(0.0, "momentum of SGD")
    nesterov: bool = _setting(False, "Nesterov's momentum")
    weight_decay: float = _setting(0.0, "weight decay")
    sparsity: float | None = _setting(
        None, "fraction of dead weights; turns SparCL on (unset: the plain dense method)", type=float
    )
    budgets: str = _setting("uniform", "how the sparsity is shared among layers", choices=BUDGETS)
    tdm: bool = _setting(True, "task-aware dynamic masking (off: the random mask stays)")
    ddr: bool = _setting(True, "dynamic data removal")
    dgm: bool = _setting(True, "dynamic gradient masking")
    delta_k: int = _setting(5, "epochs between mask adjustments, and of a data-removal stage")
    p_inter: float = _setting(0.01, "sparsity given up at the start of a task")
    p_intra: float | None = _setting(None, "sparsity exchanged at each adjustment; unset: the profile's", type=float)
    structure: str = _setting("irregular", "what lives and dies together", choices=("irregular", *STRUCTURES))
    importance: str = _setting(
        "cwi", "which weights to keep when shrinking", choices=("cwi", "negated_cwi", "magnitude", "random")
    )
    importance_alpha: float = _setting(0.5, "weight of the current task's gradient in the importance")
    importance_beta: float = _setting(1.0, "weight of the buffer's gradient in the importance")
    importance_samples: int = _setting(256, "samples of the task that a probe of the importance uses")
    ddr_rho: float = _setting(0.3, "fraction of a task's samples removed in the end")
    ddr_cutoff: int = _setting(4, "stages that remove samples")
    dgm_q: float | None = _setting(
        None, "fraction of a layer whose gradient is masked beyond the sparsity; unset: 0.2 (1 - sparsity)", type=float
    )
    dgm_interval: int = _setting(30, "iterations between gradient-mask choices")
    dtype: str = _setting("float32", "floating-point type", choices=("float32", "float64"))
    profile: str = _setting("paper", "rules of the paper or of the published code", choices=tuple(PROFILES))
    mix: str = _setting("", "rules taken from a profile, such as shrink=released,freeze=paper")
    seed: int = _setting(0, "root of all random streams")
    engine: str = _setting(
        "auto",
        "what computes the layers; auto is numba for anything larger than the digits",
        choices=("auto", "numpy", "numba"),
    )

    def __post_init__(self):
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if not _fits(value, item.type):
                raise ValueError(f"{flag(item.name)} must be {item.type}, got {value!r}")
            choices = item.metadata.get("choices")
            if choices and value not in choices:
                raise ValueError(f"{flag(item.name)} must be one of {', '.join(choices)}, got {value!r}")
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{flag(item.name)} must be a finite number, got {value}")
        rules = self.rules
        if self.p_intra is None:
            # Settled here, once, so that what is echoed and stored is what runs.
            object.__setattr__(self, "p_intra", rules.p_intra)
        self._check_ranges()
        if self.sparse:
            if self.method == "joint":
                raise ValueError(
                    "--sparsity needs a method that learns task by task, got joint; choose another --method"
                )
            if self.tdm and self.sparsity > 0:
                check_schedule(epochs=self.epochs, delta_k=self.delta_k, p_inter=self.p_inter)
            by_budget = self.structure == "irregular" and rules.counts_budgets
            if self.budgets != "uniform" and not by_budget:
                raise ValueError(
                    f"--budgets {self.budgets} needs rules that count: use --structure irregular and the paper's "
                    "initial_mask, shrink and grow, or choose --budgets uniform"
                )
        if self.nesterov and self.momentum == 0:
            raise ValueError("--nesterov needs a --momentum above 0")

    def _check_ranges(self):
        at_least_one = (
            "classes_per_task",
            "epochs",
            "batch_size",
            "delta_k",
            "importance_samples",
            "ddr_cutoff",
            "dgm_interval",
        )
        optional = tuple(name for name in ("width", "replay_batch_size") if getattr(self, name) is not None)
        for name in (*at_least_one, *optional):
            _require(self, name, getattr(self, name) >= 1, "at least 1")
        _require(self, "seed", self.seed >= 0, "at least 0")
        if self.method in REHEARSAL_NAMES and self.buffer_size < 1:
            raise ValueError(
                f"--buffer-size must be at least 1 for the rehearsal method {self.method}, got {self.buffer_size}; "
                "give it a buffer or choose --method sgd"
            )
        _require(self, "buffer_size", self.buffer_size >= 0, "at least 0")
        for name in ("alpha", "beta", "er_weight", "weight_decay", "importance_alpha", "importance_beta"):
            _require(self, name, getattr(self, name) >= 0, "at least 0")
        _require(self, "lr", self.lr > 0, "above 0")
        _require(self, "momentum", 0 <= self.momentum < 1, "in 0..1, below 1")
        for name in ("p_inter", "p_intra", "ddr_rho"):
            _require(self, name, 0 <= getattr(self, name) <= 1, "in 0..1")
        if self.sparsity is not None:
            _require(self, "sparsity", 0 <= self.sparsity < 1, "in 0..1, below 1 (the fraction of dead weights)")
        if self.dgm_q is not None:
            most = 1 - exact(self.sparsity or 0)
            _require(self, "dgm_q", 0 <= exact(self.dgm_q) <= most, f"in 0..{float(most):g} (1 - sparsity)")

    @property
    def sparse(self) -> bool:
        """Whether SparCL is on."""
        return self.sparsity is not None

    @property
    def rules(self) -> Rules:
        """The rules of the profile, with what ``mix`` takes from another."""
        return mixed_rules(self.profile, self.mix)

    @property
    def effective_head(self) -> str:
        """ "full" or "single"."""
        if self.head == "auto":
            return "single" if self.sparse else "full"
        return self.head

    @property
    def effective_replay_batch_size(self) -> int:
        """Samples per draw from the buffer."""
        return self.batch_size if self.replay_batch_size is None else self.replay_batch_size

    @property
    def rehearses(self) -> bool:
        """Whether the method has a buffer."""
        return self.method in REHEARSAL_NAMES

    def warnings(self) -> list[str]:
        """What is allowed but probably not meant, one line each."""
        lines = []
        if self.sparse and self.ddr:
            reached = min(self.ddr_cutoff, (self.epochs - 1) // self.delta_k)
            if reached < self.ddr_cutoff and self.ddr_rho > 0:
                lines.append(
                    f"data removal reaches only {reached} of {self.ddr_cutoff} stages: another epoch must follow each "
                    f"stage of {self.delta_k} epochs, and there are {self.epochs} epochs per task"
                )
        return lines

    def to_json(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Config:
        """Read back what `to_json` wrote.

        Raises
        ------
        ValueError
            If a key is unknown or a value has the wrong type.
        """
        kinds = {item.name: item.type for item in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - set(kinds)):
            raise ValueError(f"unknown settings {', '.join(unknown)} in the configuration; see --help for all settings")
        for name, value in values.items():
            if not _fits(value, kinds[name]):
                raise ValueError(f"setting {name} in the configuration must be {kinds[name]}, got {value!r}")
        return cls(**values)


def flag(name: str) -> str:
    """A setting's name on the command line."""
    return "--" + name.replace("_", "-")


def _require(config: Config, name: str, good: bool, accepted: str) -> None:
    if not good:
        raise ValueError(f"{flag(name)} must be {accepted}, got {getattr(config, name)}")


def _fits(value: Any, kind: str) -> bool:
    """Whether a JSON value fits a field's annotation; whole numbers pass as floats, booleans never as numbers."""
    if value is None:
        return "None" in kind
    if isinstance(value, bool):
        return kind.startswith("bool")
    accepted = {"str": str, "int": int, "float": int | float, "bool": bool}
    return isinstance(value, accepted[kind.split(" ")[0]])
