"""Ways to choose which weights live, one file each; any of them goes with DDR, DGM and every rehearsal method."""

from __future__ import annotations

from sparcl_ref.policies.base import Action, Policy, Schedule
from sparcl_ref.policies.gmp import GMP
from sparcl_ref.policies.rigl import RigL
from sparcl_ref.policies.set import SET
from sparcl_ref.policies.snip import SNIP
from sparcl_ref.policies.static import Static
from sparcl_ref.policies.tdm import TDM
from sparcl_ref.registry import Registry

POLICIES: Registry[type[Policy]] = Registry(
    "policy",
    {"tdm": TDM, "static": Static, "snip": SNIP, "set": SET, "rigl": RigL, "gmp": GMP},
    base=Policy,
    group="policies",
)
#: Add a policy of one's own: ``register("mine", MyPolicy)``.
register = POLICIES.register

__all__ = ["GMP", "POLICIES", "SET", "SNIP", "TDM", "Action", "Policy", "RigL", "Schedule", "Static", "register"]
