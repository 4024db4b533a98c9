"""The published cost figures as data, and each beside what the formulas give.

Source of every printed figure: Wang et al., "SparCL: Sparse Continual Learning on the Edge", NeurIPS 2022 (arXiv
2209.09476): main table (FLOPs on Split CIFAR-10 and Split Tiny-ImageNet), ablation and memory footprint.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Any, cast

from sparcl_ref.config import Config
from sparcl_ref.cost import paper
from sparcl_ref.cost.describe import describe_model
from sparcl_ref.cost.memory import Memory, held_memory, sparse_engine_memory
from sparcl_ref.cost.predict import predict
from sparcl_ref.cost.spec import ModelSpec
from sparcl_ref.methods import METHODS

DATASETS: dict[str, dict[str, Any]] = {
    "Split CIFAR-10": {"shape": (3, 32, 32), "classes": 10, "tasks": (10_000,) * 5, "epochs": 50, "delta_k": 5},
    # Stages of 10 epochs are inferred: only a mean data fraction of .775 gives the printed figures at 100 epochs.
    "Split Tiny-ImageNet": {
        "shape": (3, 64, 64),
        "classes": 200,
        "tasks": (10_000,) * 10,
        "epochs": 100,
        "delta_k": 10,
    },
}


@dataclass(frozen=True)
class Cell:
    """One printed figure.

    Attributes
    ----------
    table : {"main", "ablation", "memory"}
    title : str
        The method as printed.
    method : str
        A key of ``METHODS``.
    sparsity : float or None
    printed : str
        With its printed number of decimals.
    unit : float
        What the print counts in: 1e15 or 1e16 FLOPs, 1e6 bytes.
    dataset : str
    ddr, dgm : bool
        Parts of SparCL that are on beside the mask.
    """

    table: str
    title: str
    method: str
    sparsity: float | None
    printed: str
    unit: float = 1e15
    dataset: str = "Split CIFAR-10"
    ddr: bool = True
    dgm: bool = True

    @property
    def quantity(self) -> str:
        """ "train_flops" or "memory_bytes"."""
        return "memory_bytes" if self.table == "memory" else "train_flops"


def _triple(title: str, method: str, printed: str, **rest: Any) -> Iterator[Cell]:
    for sparsity, figure in zip((0.75, 0.9, 0.95), printed.split(), strict=True):
        yield Cell("main", title, method, sparsity, figure, **rest)


_TINY_IMAGENET: dict[str, Any] = {"unit": 1e16, "dataset": "Split Tiny-ImageNet"}

CELLS: tuple[Cell, ...] = (
    Cell("main", "oEWC", "oewc", None, "8.3"),
    Cell("main", "LwF", "lwf", None, "8.3"),
    Cell("main", "A-GEM", "agem", None, "11.1"),
    Cell("main", "ER", "er", None, "11.1"),
    Cell("main", "DER++", "derpp", None, "13.9"),
    *_triple("SparCL-ER", "er", "2.0 0.9 0.5"),
    *_triple("SparCL-DER++", "derpp", "2.5 1.1 0.6"),
    Cell("main", "DER++", "derpp", None, "22.2", **_TINY_IMAGENET),
    *_triple("SparCL-DER++", "derpp", "4.0 1.8 1.0", **_TINY_IMAGENET),
    Cell("ablation", "DER++", "derpp", None, "13.9"),
    Cell("ablation", "DER++ with TDM", "derpp", 0.75, "3.6", ddr=False, dgm=False),
    Cell("ablation", "DER++ with TDM, DDR", "derpp", 0.75, "2.8", dgm=False),
    Cell("ablation", "DER++ with TDM, DDR, DGM", "derpp", 0.75, "2.5"),
    Cell("memory", "DER++", "derpp", None, "247", 1e6),
    Cell("memory", "SparCL-DER++, weights sparse", "derpp", 0.75, "180", 1e6, dgm=False),
    Cell("memory", "SparCL-DER++, weights and gradients sparse", "derpp", 0.75, "177", 1e6),
)


def compare(cell: Cell) -> dict[str, Any]:
    """A printed figure beside ours, as JSON values.

    Returns
    -------
    dict
        ``table, method, sparsity, dataset, quantity, unit, printed``; ``ours`` (in units of the print, `paper`
        convention), ``difference`` (ours - printed), ``agrees`` (whether rounding ours to the printed decimals gives
        the print), ``rule``; ``readings``, ours under each way to charge gradient masks; and ``exact``, in the same
        unit.
    """
    spec, config = _spec(cell.dataset), _config(cell)
    readings: dict[str, float] = {}
    exact: dict[str, int | None]
    if cell.quantity == "memory_bytes":
        ours = cast("int", paper.memory_bytes(spec, config)) / cell.unit  # known: the model is our own
        exact = {
            "exact": cast("Memory", held_memory(spec, config)).total_bytes,
            "exact_sparse_engine": cast("Memory", sparse_engine_memory(spec, config)).total_bytes,
            "exact_dense_rest": paper.memory_bytes(spec, config, dense_rest=True),
        }
        rule = "4 B x (2 x convolution outputs x batch + (1 - s) P + (1 - s_g) P)"
    else:
        tasks = DATASETS[cell.dataset]["tasks"]
        counted = {way: cast("int", paper.train_flops(spec, config, tasks, reading=way)) for way in paper.READINGS}
        readings = {way: flops / cell.unit for way, flops in counted.items()}
        ours = readings["half_of_dw"]
        exact = {"exact": predict(spec, config, tasks).train_flops}
        rule = _rule(cell)
    return {
        "table": cell.table,
        "method": cell.title,
        "sparsity": cell.sparsity,
        "dataset": cell.dataset,
        "quantity": cell.quantity,
        "unit": cell.unit,
        "printed": float(cell.printed),
        "ours": ours,
        "difference": ours - float(cell.printed),
        "agrees": rounds_to(ours, cell.printed),
        "rule": rule,
        "readings": readings if cell.sparsity is not None and cell.dgm else {},
        **{name: None if value is None else value / cell.unit for name, value in exact.items()},
    }


def rounds_to(value: float, printed: str) -> bool:
    """Whether a value, rounded half up to the decimals of a print, is that print.

    Examples
    --------
    >>> rounds_to(2.526, "2.5"), rounds_to(2.56, "2.5")
    (True, False)
    """
    figure = Decimal(printed)
    return Decimal(value).quantize(figure, rounding=ROUND_HALF_UP) == figure


@cache
def _spec(dataset: str) -> ModelSpec:
    """ResNet-18 of width 64 for that data set."""
    data = DATASETS[dataset]
    return describe_model("resnet18", input_shape=data["shape"], classes=data["classes"])


def _config(cell: Cell) -> Config:
    """The run behind a cell."""
    data = DATASETS[cell.dataset]
    return Config(
        model="resnet18",
        method=cell.method,
        sparsity=cell.sparsity,
        epochs=data["epochs"],
        delta_k=data["delta_k"],
        buffer_size=500,
        ddr=cell.ddr,
        dgm=cell.dgm,
    )


def _rule(cell: Cell) -> str:
    forwards = paper.paper_forwards(METHODS[cell.method])
    unit = "forward FLOPs x samples x epochs"
    if cell.sparsity is None:
        return f"{forwards} + 2 forwards: {forwards + 2} x {unit}"
    cost = f"{forwards} + 1.5 at density d(s) (half of dW)" if cell.dgm else f"{forwards} + 2 at density d(s)"
    return f"{cost} x {unit}" + (" x mean data fraction" if cell.ddr else "")
