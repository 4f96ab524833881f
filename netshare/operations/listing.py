"""``list``: the services; any user may ask, though only who may ask the kernel is told of those that labels make."""

from dataclasses import dataclass

from netshare.core.labelled import Notice
from netshare.core.model import Service
from netshare.errors import NetshareError
from netshare.host import Host
from netshare.operations.control import Agent, AgentControl
from netshare.reconcile import prepare


@dataclass(frozen=True, slots=True)
class Listing:
    """Every service that could be read; ``problems`` name those that could not.

    ``notices`` are what labels ask for and don't get; ``remarks`` say why services that labels make are not listed.
    """

    services: tuple[Service, ...]
    problems: tuple[NetshareError, ...]
    agent: Agent
    notices: tuple[Notice, ...] = ()
    remarks: tuple[str, ...] = ()


def list_services(host: Host, agent: AgentControl) -> Listing:
    """List the services."""
    definitions = host.store.load()
    problems, own = tuple(definitions.unreadable.values()), Agent(agent.pid())
    try:
        prepared = prepare(host, definitions)
    except NetshareError as error:
        remark = f"services that labels make are not listed: {error.message}"
        return Listing(definitions.services, problems, own, remarks=(remark,))
    services = sorted((*definitions.services, *prepared.labelled), key=lambda service: service.name)
    return Listing(tuple(services), problems, own, prepared.notices)
