"""netshare: many containers behind one host port, balanced by the kernel itself.

For Python programs: ``netshare.attach("web", 80)`` and the other verbs, as `netshare.api` describes them. What is used
is imported when it is first used: the command line is in a hurry.
"""

import builtins
from importlib import import_module
from typing import TYPE_CHECKING

from netshare.runtime.version import __version__

if TYPE_CHECKING:
    from netshare.api import (
        abort_rollout,
        apply,
        attach,
        detach,
        drain,
        promote_rollout,
        resume,
        resume_rollout,
        rollout,
        status,
        sync,
        weight,
    )
    from netshare.api import list_services as list  # noqa: A004 (the verb's name)
    from netshare.core.model import Endpoint, Listener, Replica, ReplicaState, Service
    from netshare.errors import (
        DefinitionError,
        EngineUnreachableError,
        NetfilterError,
        NetshareError,
        NotFoundError,
        NotPermittedError,
        PortConflictError,
        UsageError,
        WaitTimeoutError,
    )
    from netshare.operations.apply import Applied
    from netshare.operations.attach import Attached
    from netshare.operations.detach import Detached
    from netshare.operations.drain import Drained
    from netshare.operations.listing import Listing
    from netshare.operations.rollout import Outcome, Progress, Rolled
    from netshare.operations.status import Status
    from netshare.operations.weight import Weighed

_HOMES = {
    "netshare.api": (
        "abort_rollout",
        "apply",
        "attach",
        "detach",
        "drain",
        "list",
        "promote_rollout",
        "resume",
        "resume_rollout",
        "rollout",
        "status",
        "sync",
        "weight",
    ),
    "netshare.core.model": ("Endpoint", "Listener", "Replica", "ReplicaState", "Service"),
    "netshare.errors": (
        "DefinitionError",
        "EngineUnreachableError",
        "NetfilterError",
        "NetshareError",
        "NotFoundError",
        "NotPermittedError",
        "PortConflictError",
        "UsageError",
        "WaitTimeoutError",
    ),
    "netshare.operations.apply": ("Applied",),
    "netshare.operations.attach": ("Attached",),
    "netshare.operations.detach": ("Detached",),
    "netshare.operations.drain": ("Drained",),
    "netshare.operations.listing": ("Listing",),
    "netshare.operations.rollout": ("Outcome", "Progress", "Rolled"),
    "netshare.operations.status": ("Status",),
    "netshare.operations.weight": ("Weighed",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
_OTHER_NAMES = {"list": "list_services"}

__all__ = [
    "Applied",
    "Attached",
    "DefinitionError",
    "Detached",
    "Drained",
    "Endpoint",
    "EngineUnreachableError",
    "Listener",
    "Listing",
    "NetfilterError",
    "NetshareError",
    "NotFoundError",
    "NotPermittedError",
    "Outcome",
    "PortConflictError",
    "Progress",
    "Replica",
    "ReplicaState",
    "Rolled",
    "Service",
    "Status",
    "UsageError",
    "WaitTimeoutError",
    "Weighed",
    "__version__",
    "abort_rollout",
    "apply",
    "attach",
    "detach",
    "drain",
    "list",
    "promote_rollout",
    "resume",
    "resume_rollout",
    "rollout",
    "status",
    "sync",
    "weight",
]


if not TYPE_CHECKING:  # or a misspelt name would be an object to type checkers

    def __getattr__(name: str) -> object:
        """Import what is asked for (PEP 562)."""
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found: object = getattr(import_module(_HOME[name]), _OTHER_NAMES.get(name, name))
        globals()[name] = found
        return found


def __dir__() -> builtins.list[str]:
    """Name what can be asked for."""
    return sorted({*globals(), *__all__})
