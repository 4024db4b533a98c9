"""Named comparisons: which configurations stand side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sparcl_ref.alignment import ALIGNMENTS
from sparcl_ref.config import Config, flag
from sparcl_ref.methods import METHODS
from sparcl_ref.policies import POLICIES
from sparcl_ref.sparcl.mixes import deviations, mix_of, subsets
from sparcl_ref.sparcl.rules import PROFILES
from sparcl_ref.text import did_you_mean

Entry = dict[str, Any]


@dataclass(frozen=True)
class Gathered:
    """Entries that are made anew whenever they are gone through, so that registered methods and policies take part."""

    make: Callable[[], Iterator[Entry]]

    def __iter__(self) -> Iterator[Entry]:
        return self.make()


#: Split digits in a minute: ten short epochs instead of fifty, adjustments every second one.
_TINY: Entry = {
    "dataset": "digits",
    "classes_per_task": 2,
    "model": "convnet",
    "epochs": 10,
    "batch_size": 16,
    "lr": 0.03,
    "delta_k": 2,
    "buffer_size": 100,
}

_DERPP = {**_TINY, "method": "derpp"}
_SPARSE_75, _SPARSE_90, _SPARSE_95 = ({**_DERPP, "sparsity": sparsity} for sparsity in (0.75, 0.9, 0.95))

#: The whole of Split Fashion-MNIST: on two cores, hours.
_FASHION: Entry = {
    "dataset": "fashion-mnist",
    "classes_per_task": 2,
    "model": "convnet",
    "width": 64,
    "epochs": 5,
    "batch_size": 32,
    "lr": 0.03,
    "delta_k": 2,
    "ddr_cutoff": 2,
    "buffer_size": 200,
}
_FASHION_DERPP = {**_FASHION, "method": "derpp"}


def _rivals() -> Iterator[Entry]:
    """Every method as it says itself, ER with its classifier aligned, and SparCL with the dense method of its head."""
    for name, method in METHODS.items():
        yield from ({**_TINY, "method": name, **entry} for entry in method.entries())
    yield from ({**_TINY, "method": "er", "align": name} for name in ALIGNMENTS if name != "none")
    yield {**_DERPP, "head": "single"}
    yield from (_SPARSE_90, _SPARSE_95, {**_SPARSE_95, "policy": "static"})


def _sparse_trainers() -> Iterator[Entry]:
    """Every policy over ER and DER++, all else as in SparCL, after the dense method of the same head."""
    for dense in ({**_TINY, "method": "er"}, _DERPP):
        yield {**dense, "head": "single"}
        yield from ({**dense, "sparsity": s, "policy": name} for s in (0.9, 0.95) for name in POLICIES)


def _paper_and_code() -> Iterator[Entry]:
    """What each profile's deviations from the paper are worth, over dense DER++ under SparCL's head and over SparCL.

    Over the dense method all combinations of the deviations that need no masks; over SparCL these together, the others
    together, all, and each of the others alone.
    """
    dense, sparse = {**_DERPP, "head": "single"}, {**_DERPP, "sparsity": 0.9}
    yield from (dense, sparse)
    for profile in PROFILES:
        every, maskless = tuple(deviations(profile)), tuple(deviations(profile, dense=True))
        others = tuple(number for number in every if number not in maskless)
        over_sparcl = (maskless, others, every, *((number,) for number in others))
        for entry, taken in ((dense, subsets(maskless)), (sparse, over_sparcl)):
            yield from ({**entry, "mix": mix_of(numbers, profile)} for numbers in dict.fromkeys(taken) if numbers)


#: Preset name to the settings of each run, in the order of the table.
PRESETS: dict[str, Iterable[Entry]] = {
    "tiny": (
        {**_TINY, "method": "sgd"},
        {**_TINY, "method": "er"},
        {**_DERPP, "head": "full"},
        {**_DERPP, "head": "single"},
        {**_TINY, "method": "er", "sparsity": 0.75},
        _SPARSE_75,
        _SPARSE_90,
        _SPARSE_95,
    ),
    # Does choosing weights by importance earn its place?
    "importance": (
        _SPARSE_95,
        {**_SPARSE_95, "importance": "negated_cwi"},
        {**_SPARSE_95, "importance": "magnitude"},
        {**_SPARSE_95, "importance": "random"},
        {**_SPARSE_95, "policy": "static"},
    ),
    # What each part of SparCL gives and costs, each switched off alone and all of them off.
    "ablation": (
        {**_DERPP, "head": "single"},
        _SPARSE_75,
        {**_SPARSE_75, "policy": "static"},
        {**_SPARSE_75, "ddr": False},
        {**_SPARSE_75, "dgm": False},
        {**_SPARSE_75, "policy": "static", "ddr": False, "dgm": False},
    ),
    # The runs of the explorer's page: what the head, data removal and the moving of the mask change in one run.
    "explorer": (
        _SPARSE_90,
        {**_SPARSE_90, "head": "full"},
        {**_SPARSE_90, "ddr": False},
        {**_SPARSE_90, "policy": "static"},
    ),
    "rivals": Gathered(_rivals),
    "sparse-trainers": Gathered(_sparse_trainers),
    # Which of the rules on which paper and published code differ makes the difference?
    "paper-and-code": Gathered(_paper_and_code),
    "fashion-mnist": (
        {**_FASHION, "method": "sgd"},
        {**_FASHION, "method": "er"},
        {**_FASHION_DERPP, "head": "full"},
        {**_FASHION_DERPP, "head": "single"},
        {**_FASHION_DERPP, "sparsity": 0.9},
        {**_FASHION_DERPP, "sparsity": 0.95},
        {**_FASHION_DERPP, "sparsity": 0.95, "policy": "static"},
    ),
}


def preset(name: str, **settings: Any) -> list[Config]:
    """The runs of a named comparison, in the order of its table, each with the settings given here.

    Raises
    ------
    ValueError
        If there is no preset of that name, or a setting is refused, or applies to none of the runs.
    """
    if name not in PRESETS:
        raise ValueError(
            f"there is no preset {name!r}{did_you_mean(name, PRESETS)}; choose one of {', '.join(PRESETS)}"
        )
    return configurations(PRESETS[name], settings)


def configurations(entries: Iterable[Entry], overrides: dict[str, Any]) -> list[Config]:
    """Each entry with the overrides applied; entries that have become equal appear once.

    An override that is a method's or policy's own setting applies to the entries whose method or policy has it.
    Raises ValueError if `Config` refuses a combination, or an override applies to no entry.
    """
    entries = list(entries)
    configs = [Config.from_json({**entry, **overrides}) for entry in entries]
    if overrides.keys() - {name for config in configs for name in config.to_json()}:
        Config(**{**entries[0], **overrides})  # says which method or policy the setting belongs to
    return list(dict.fromkeys(configs))


def idle(configs: Iterable[Config], overrides: Iterable[str]) -> list[str]:
    """Overrides that matter in none of the runs, with the reason, one line each."""
    configs = list(configs)
    lines = []
    for name in overrides:
        reasons = {config.why_idle(name) for config in configs if name in config.to_json()}
        if "" not in reasons:
            lines.append(f"{flag(name)} has no effect {min(reasons, default='in any of these runs')}")
    return lines


def over_seeds(configs: Iterable[Config], seeds: int) -> list[Config]:
    """Each configuration with ``seeds`` consecutive seeds, its own the first."""
    return [dataclasses.replace(config, seed=config.seed + extra) for config in configs for extra in range(seeds)]
