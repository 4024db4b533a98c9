"""Inputs, oracles and wrong implementations, area by area: the mirror of ``sparcl_ref/verify/areas``."""
