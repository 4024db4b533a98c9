"""Static sparse training: the mask of the start never moves. The control that every other policy must beat."""

from __future__ import annotations

from typing import Any

from sparcl_ref.policies.base import Policy


class Static(Policy):
    """The initial mask of the profile, for good."""

    title = "static mask"

    @classmethod
    def remarks(cls, settings: Any) -> list[str]:
        return ["no TDM"]
