"""The paper's rules as pure functions, and the regime that applies them."""

from sparcl_ref.sparcl.ddr import completed_stage, ddr_keep, ddr_sizes
from sparcl_ref.sparcl.dgm import gradient_mask, gradient_sparsity, is_refresh
from sparcl_ref.sparcl.importance import cgi, cwi, probe_gradients
from sparcl_ref.sparcl.tdm import Action, check_schedule, tdm_actions

__all__ = [
    "Action",
    "cgi",
    "check_schedule",
    "completed_stage",
    "cwi",
    "ddr_keep",
    "ddr_sizes",
    "gradient_mask",
    "gradient_sparsity",
    "is_refresh",
    "probe_gradients",
    "tdm_actions",
]
