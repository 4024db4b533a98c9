"""Settings of the twin: one frozen record, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch

from .masks import clamp, exact

METHODS = ("sgd", "er", "der", "derpp")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that is decided before a run.

    Attributes
    ----------
    profile
        "paper" (sections 1-6 of the method) or "released" (section 7 on top).
    method
        "sgd", "er", "der" or "derpp".
    head
        "full", "single" or "auto" (single for SparCL, full for the plain method).
    sparsity
        Fraction of dead weights, or None for the plain dense method.
    alpha, beta, er_weight
        Coefficients a, b and w of the replay losses.
    epochs, delta_k
        K epochs a task; length of a stage and period of mask actions, in epochs.
    p_inter, p_intra
        Extra density after a task change; extra sparsity before regrowth. `p_intra=None` takes 0.005 (paper) or 0.01
        (released).
    importance_alpha, importance_beta, importance_samples
        Coefficients of equations (1) and (3); how many samples of the task a probe reads.
    ddr_rho, ddr_cutoff
        Fraction of a task removed in all, and after how many stages.
    dgm_q, dgm_interval
        Gradient sparsity above s (None: (1 - s) / 5), and iterations between two refreshes.
    sparsifiable
        Names of the masked weights, or None for the models' own rule.
    """

    profile: str = "paper"
    method: str = "derpp"
    head: str = "auto"
    sparsity: float | None = 0.75
    buffer_size: int = 200
    alpha: float = 0.1
    beta: float = 0.5
    er_weight: float = 1.0
    epochs: int = 50
    batch_size: int = 32
    replay_batch_size: int | None = None
    lr: float = 0.03
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    budgets: str = "uniform"
    tdm: bool = True
    ddr: bool = True
    dgm: bool = True
    delta_k: int = 5
    p_inter: float = 0.01
    p_intra: float | None = None
    importance_alpha: float = 0.5
    importance_beta: float = 1.0
    importance_samples: int = 256
    ddr_rho: float = 0.3
    ddr_cutoff: int = 4
    dgm_q: float | None = None
    dgm_interval: int = 30
    sparsifiable: tuple[str, ...] | None = None
    dtype: torch.dtype = torch.float64

    def __post_init__(self) -> None:
        """Resolve the defaults that depend on other fields and refuse impossible requests with ValueError."""
        choices = {
            "profile": ("paper", "released"),
            "method": METHODS,
            "head": ("auto", "full", "single"),
            "budgets": ("uniform", "erk", "global"),
        }
        for field, allowed in choices.items():
            if getattr(self, field) not in allowed:
                raise ValueError(f"{field} is {getattr(self, field)!r}, expected one of {allowed}")
        resolved = {
            "p_intra": 0.01 if self.released else 0.005,
            "replay_batch_size": self.batch_size,
        }
        for field, value in resolved.items():
            if getattr(self, field) is None:
                object.__setattr__(self, field, value)
        if self.head == "auto":
            object.__setattr__(self, "head", "single" if self.sparse else "full")
        least = 1 if self.released else 2
        if self.sparse and self.tdm and self.p_inter != 0 and not least <= self.delta_k <= self.epochs:
            raise ValueError(
                f"delta_k is {self.delta_k}, not in {least}..{self.epochs} (the epochs); or let p_inter be 0"
            )
        if self.released and self.budgets != "uniform":
            raise ValueError(f"the released profile knows uniform budgets only, not {self.budgets!r}")

    @property
    def released(self) -> bool:
        """Whether the eleven deviations of the published code apply."""
        return self.profile == "released"

    @property
    def sparse(self) -> bool:
        """Whether this is SparCL and not the plain method."""
        return self.sparsity is not None

    @property
    def capacity(self) -> int:
        """Slots of the rehearsal buffer; none for plain SGD."""
        return 0 if self.method == "sgd" else self.buffer_size

    @property
    def draws(self) -> int:
        """How many replay batches a step draws: one (B'), two for DER++ (B' and B''), none for SGD."""
        return {"sgd": 0, "er": 1, "der": 1, "derpp": 2}[self.method]

    @property
    def gradient_sparsity(self) -> Fraction:
        """s + q, exact and clamped to [0, 1]."""
        s = exact(self.sparsity)
        q = (1 - s) / 5 if self.dgm_q is None else exact(self.dgm_q)
        return clamp(s + q)
