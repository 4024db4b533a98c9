"""Tests of sparcl_ref; the folders mirror the package's and each holds an ``__init__.py``, so names may repeat."""
