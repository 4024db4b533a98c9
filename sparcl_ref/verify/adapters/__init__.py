"""Adapters of this package's own engines; `numpy_engine` is also an example of a complete one."""
