"""The reference engine as an adapter: every function of the protocol."""

# ruff: noqa: F403
from sparcl_ref.verify.adapters.numpy_cost import *
from sparcl_ref.verify.adapters.numpy_layers import *
from sparcl_ref.verify.adapters.numpy_released import *
from sparcl_ref.verify.adapters.numpy_rules import *
from sparcl_ref.verify.adapters.numpy_training import *
