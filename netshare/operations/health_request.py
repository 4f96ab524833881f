"""What ``attach`` was told about health, and the check that makes of the one that is there."""

from dataclasses import dataclass, replace

from netshare.core import checks
from netshare.core.model import CheckKind, FailMode, HealthCheck


@dataclass(frozen=True, slots=True)
class HealthRequest:
    """The words of an ``attach`` that are about health; what was not said is ``None``, and stays as it is."""

    check: HealthCheck | None = None
    interval: float | None = None
    timeout: float | None = None
    rise: int | None = None
    fall: int | None = None
    host: str | None = None
    fail: FailMode | None = None

    @property
    def has_settings(self) -> bool:
        """Whether it says how to probe."""
        return any(word is not None for word in (self.interval, self.timeout, self.rise, self.fall, self.host))


NOTHING = HealthRequest()


def updated_check(base: HealthCheck, request: HealthRequest) -> HealthCheck:
    """Apply a request to a check.

    Raises:
        UsageError: its words contradict each other.

    """
    check = _of_kind(request.check, base)
    if not check.is_probed:
        if request.has_settings:
            raise checks.not_probed(check)
        return check
    check = replace(
        check,
        interval=check.interval if request.interval is None else request.interval,
        rise=check.rise if request.rise is None else request.rise,
        fall=check.fall if request.fall is None else request.fall,
        host=check.host if request.host is None else request.host,
    )
    if request.timeout is not None:
        check = replace(check, timeout=request.timeout)
    elif check.timeout > check.interval:
        check = checks.patient(check)  # it was right for the interval there was before
    return checks.sound(check)


def _of_kind(asked: HealthCheck | None, base: HealthCheck) -> HealthCheck:
    """Check in the way asked for, as often and as patiently as before."""
    if asked is None:
        return base
    if not (asked.is_probed and base.is_probed):
        return asked
    host = base.host if asked.kind is CheckKind.HTTP else None
    return replace(base, kind=asked.kind, port=asked.port, path=asked.path, host=host)
