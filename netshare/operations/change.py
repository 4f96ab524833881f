"""A changed definition brought to the kernel, or taken back: a verb that fails leaves things as they were."""

from contextlib import suppress

from netshare.core.model import Service
from netshare.errors import NetshareError
from netshare.operations.control import AgentControl, converge
from netshare.reconcile import Host


def commit(
    host: Host, agent: AgentControl, name: str, before: Service | None, after: Service | None
) -> tuple[str, ...]:
    """Converge on a definition that was just saved or deleted; ``None`` is no definition. Gives warnings.

    Raises:
        NetshareError: it could not be done; the definition is again what it was before.

    """
    try:
        problems = converge(host, agent)
    except NetshareError:
        _take_back(host, name, before, after)
        # The kernel may hold the change although a later stage (forwarding) failed; what matters is the first error.
        with suppress(NetshareError):
            converge(host, agent)
        raise
    return tuple(f"{problem.message} ({problem.hint})" if problem.hint else problem.message for problem in problems)


def _take_back(host: Host, name: str, before: Service | None, after: Service | None) -> None:
    if before == after:
        return
    with host.lock():
        if host.store.load().get(name) != after:
            return  # someone else has changed it since: theirs is the newer wish
        if before is None:
            host.store.delete(name)
        else:
            host.store.save(before)
