"""Every way netshare can fail on purpose: one tree, each with an exit code and a mend.

Errors are raised anywhere and caught in one place (``netshare.cli.app``) and in the agent's loop, which logs them
and goes on. Anything that is not a `NetshareError` is a bug and crashes loudly.
"""


class NetshareError(Exception):
    """Something netshare was asked to do and could not; ``hint`` is what the user can do about it."""

    exit_code = 1
    code = "failed"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(NetshareError):
    """The words of a command are wrong: a port out of range, an unknown driver."""

    exit_code = 2
    code = "usage"


class NotFoundError(NetshareError):
    """No service, replica or container has that name."""

    exit_code = 3
    code = "not_found"


class PortConflictError(NetshareError):
    """Another service, process or container holds the port."""

    exit_code = 4
    code = "port_conflict"


class NotPermittedError(NetshareError):
    """The kernel, the engine's socket or a directory needs more privileges than this process has."""

    exit_code = 5
    code = "not_permitted"


class EngineUnreachableError(NetshareError):
    """Docker or Podman does not answer; what the kernel holds is left as it is.

    ``absent``: nothing says that this host has such an engine at all, so one that answers speaks for both.
    """

    exit_code = 6
    code = "engine_unreachable"

    def __init__(self, message: str, *, hint: str | None = None, absent: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.absent = absent


class NetfilterError(NetshareError):
    """The kernel refused a change; nothing of it was applied."""

    exit_code = 7
    code = "kernel_refused"


class WaitTimeoutError(NetshareError):
    """What was waited for did not happen in time."""

    exit_code = 8
    code = "timed_out"


class DefinitionError(NetshareError):
    """A service's definition file cannot be read; it is never overwritten."""

    exit_code = 9
    code = "definition_invalid"
