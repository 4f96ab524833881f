"""``sync``: reconcile once, by the agent where one runs."""

from dataclasses import replace

from netshare.host import Host
from netshare.operations.control import AgentControl, converge
from netshare.operations.status import Connections, Status, status


def sync(host: Host, agent: AgentControl, connections: Connections) -> Status:
    """Bring the kernel to the definitions, and look what became of it.

    Raises:
        NetfilterError, NotPermittedError: the kernel refused; it holds what it held before.

    """
    problems = converge(host, agent)
    found = status(host, agent, connections)
    return replace(found, problems=(*found.problems, *problems))
