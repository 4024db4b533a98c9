"""FLOPs and bytes."""

from sparcl_ref.verify.areas.cost import layer_flops, network

FUNCTIONS = (*layer_flops.FUNCTIONS, *network.FUNCTIONS)
