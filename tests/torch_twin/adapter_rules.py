"""The twin's rules under the names of the conformance protocol.

Arrays may be NumPy's or tensors; sparsities are decimal strings, which the twin reads as exact fractions.
"""

# ruff: noqa: F403
from .adapter_masks import *
from .adapter_released import *
from .adapter_schedules import *
