"""Continual-learning methods, one file each."""

from sparcl_ref.methods.base import Batch, Method, Observation, RehearsalMethod
from sparcl_ref.methods.der import DER
from sparcl_ref.methods.derpp import DERpp
from sparcl_ref.methods.er import ER
from sparcl_ref.methods.joint import Joint
from sparcl_ref.methods.sgd import SGD

METHODS: dict[str, type[Method]] = {"sgd": SGD, "joint": Joint, "er": ER, "der": DER, "derpp": DERpp}

__all__ = ["DER", "ER", "METHODS", "SGD", "Batch", "DERpp", "Joint", "Method", "Observation", "RehearsalMethod"]
