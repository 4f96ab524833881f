"""``reset``: take everything of netshare's out of the kernel; definitions stay."""

from netshare.core.flows import NOTHING
from netshare.errors import NetshareError
from netshare.host import Host
from netshare.operations.control import AgentControl


def reset(host: Host, agent: AgentControl) -> None:
    """Remove the rules and the way past other firewalls, and end the flows that would not end by themselves.

    Refused while an agent runs, whatever the answer to "are you sure": it would put everything back within moments,
    and a reset that does not last is worse than none.

    Raises:
        NetshareError: an agent runs.
        NetfilterError, NotPermittedError: the kernel refused.

    """
    pid = agent.pid()
    if pid is not None:
        raise NetshareError(
            f"the agent (pid {pid}) would put everything back at once",
            hint="stop it first: systemctl stop netshare, or end that process; to end one service only, "
            "netshare detach NAME",
        )
    with host.lock():
        host.driver.remove_all()
        host.links.serve(())
        host.forwarding.ensure(needed=False)
        host.flows.end(NOTHING)
