"""``list``: what is attached, from the definitions alone; any user may ask."""

from dataclasses import dataclass

from netshare.core.model import Service
from netshare.errors import NetshareError
from netshare.operations.control import Agent, AgentControl
from netshare.store.protocol import Store


@dataclass(frozen=True, slots=True)
class Listing:
    """Every service that could be read; ``problems`` name those that could not."""

    services: tuple[Service, ...]
    problems: tuple[NetshareError, ...]
    agent: Agent


def list_services(store: Store, agent: AgentControl) -> Listing:
    """List the services."""
    definitions = store.load()
    return Listing(definitions.services, tuple(definitions.unreadable.values()), Agent(agent.pid()))
