"""Continual-learning methods, one file each.

Their docstrings mark how sure a statement is: [V] verified in the paper or in the code that is named, [M] remembered,
[F] fixed by this reference where its sources say nothing.
"""

from sparcl_ref.methods.agem import AGEM
from sparcl_ref.methods.base import Method
from sparcl_ref.methods.der import DER
from sparcl_ref.methods.derpp import DERpp
from sparcl_ref.methods.er import ER
from sparcl_ref.methods.er_ace import ERACE
from sparcl_ref.methods.er_las import ERLAS
from sparcl_ref.methods.ewc import EWC
from sparcl_ref.methods.fdr import FDR
from sparcl_ref.methods.fine_tuning import FineTuning
from sparcl_ref.methods.gdumb import GDumb
from sparcl_ref.methods.icarl import ICaRL
from sparcl_ref.methods.joint import Joint
from sparcl_ref.methods.lps import LPS
from sparcl_ref.methods.lwf import LwF
from sparcl_ref.methods.oewc import OnlineEWC
from sparcl_ref.methods.packnet import PackNet
from sparcl_ref.methods.records import Batch, Entries, Extent, Filling, Moment, Observation, Occasion, Passes, TaskData
from sparcl_ref.methods.rehearsal import RehearsalMethod
from sparcl_ref.methods.wsn import WSN
from sparcl_ref.registry import Registry

METHODS: Registry[type[Method]] = Registry(
    "method",
    {
        "sgd": FineTuning,
        "joint": Joint,
        "er": ER,
        "der": DER,
        "derpp": DERpp,
        "er-ace": ERACE,
        "er-las": ERLAS,
        "agem": AGEM,
        "ewc": EWC,
        "oewc": OnlineEWC,
        "lwf": LwF,
        "fdr": FDR,
        "gdumb": GDumb,
        "icarl": ICaRL,
        "packnet": PackNet,
        "lps": LPS,
        "wsn": WSN,
    },
    base=Method,
)
#: Add a method of one's own: ``register("mine", MyMethod)``.
register = METHODS.register

__all__ = [
    "DER",
    "ER",
    "METHODS",
    "Batch",
    "DERpp",
    "Entries",
    "Extent",
    "Filling",
    "FineTuning",
    "Joint",
    "Method",
    "Moment",
    "Observation",
    "Occasion",
    "Passes",
    "RehearsalMethod",
    "TaskData",
    "register",
]
