"""Loaded by pytest before any test module."""

from __future__ import annotations

from tests import hypothesis_profile

hypothesis_profile.register()
