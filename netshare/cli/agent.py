"""``netshare agent``."""

from netshare.runtime.capabilities import require_net_admin


def agent() -> None:
    """Reconcile for ever: follow replicas as they come and go. The kernel is left as it is when the agent stops."""
    require_net_admin("agent")
    from netshare import wiring

    wiring.run_agent()
