"""What a run costs: multiply-adds and bytes, predicted in closed form and recorded from a run."""

from sparcl_ref.cost import paper
from sparcl_ref.cost.describe import describe, describe_model
from sparcl_ref.cost.flops import FLOPS_PER_MAC, MacTable, pass_macs
from sparcl_ref.cost.ledger import FlopLedger
from sparcl_ref.cost.memory import Memory, held_memory, sparse_engine_memory
from sparcl_ref.cost.predict import Prediction, predict
from sparcl_ref.cost.record import cost_record
from sparcl_ref.cost.spec import LayerSpec, ModelSpec

__all__ = [
    "FLOPS_PER_MAC",
    "FlopLedger",
    "LayerSpec",
    "MacTable",
    "Memory",
    "ModelSpec",
    "Prediction",
    "cost_record",
    "describe",
    "describe_model",
    "held_memory",
    "paper",
    "pass_macs",
    "predict",
    "sparse_engine_memory",
]
