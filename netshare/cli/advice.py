"""What to tell a person beside a result."""

from collections.abc import Iterable

from netshare.core.model import Service

_FOLLOWED = (
    "no agent runs: replicas that come and go are followed only while `netshare agent` runs; "
    "`sudo netshare agent install` has it run from now on"
)
_PROBED = (
    "no agent runs: health is probed only while `netshare agent` runs; until then what was found out last counts, and "
    "a replica of which nothing is known counts as healthy"
)


def without_agent(services: Iterable[Service]) -> list[str]:
    """Say what these services lack where no agent runs."""
    those = list(services)
    notes = [_FOLLOWED] if any(not service.is_static for service in those) else []
    return [*notes, _PROBED] if any(service.health.is_probed for service in those) else notes
