"""Every target there is."""

from collections.abc import Mapping

from tests.fuzz import programs, targets
from tests.fuzz.targets import Target

TARGETS: Mapping[str, Target] = {**targets.TARGETS, **programs.TARGETS}
"""By name."""
