"""The one Hypothesis profile: what every property test in this suite runs with."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

NAME = "sparcl_ref"


def runs_in_ci() -> bool:
    """Whether the environment says so, in the way GitHub, GitLab and others agree on: ``CI=true``."""
    return os.environ.get("CI", "").strip().lower() == "true"


def register() -> None:
    """Register the profile and make it the current one."""
    settings.register_profile(
        NAME,
        # `settings` starts from the profile that is current, and Hypothesis makes its own choice on CI machines:
        # every value that matters is therefore given.
        max_examples=50,
        # How long an example takes says more about the machine's other work than about the code.
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        # A failure can be run again elsewhere from the printed blob alone.
        print_blob=True,
        # In CI the same commit gives the same verdict; at a desk every run looks at new examples.
        derandomize=runs_in_ci(),
    )
    settings.load_profile(NAME)
