"""Tests of sparcl_ref.streams."""
