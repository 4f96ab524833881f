"""Health checks in words, on a command line or in a label: read and refused, and written the same way again.

``http:8081/up interval=1s fall=2``: what to do, then how, in any order. Words may be hostile; what is read here may be
sent to a replica as it stands, so nothing gets through that could end a line.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from netshare.core.model import CheckKind, FailMode, HealthCheck, Protocol, Service
from netshare.core.parse import MAX_PORT, duration, port_number, shown
from netshare.errors import UsageError

SHORTEST_INTERVAL, LONGEST_INTERVAL = 0.1, 3600.0
SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 0.01, 60.0
MOST_IN_A_ROW = 100
_LONGEST_PATH = 1024

_CHECK = re.compile(r"(none|engine)|(tcp)(?::([0-9]+))?|(http):([0-9]*)(/.*)", re.DOTALL)
_PATH = re.compile(r"/[!-~]*")
_HOST = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]+))?")
_DEFAULT = HealthCheck()


def health_check(words: str) -> HealthCheck:
    """Read a check, and behind it its settings: ``tcp interval=1s timeout=500ms rise=1 fall=2``.

    Raises:
        UsageError: it is none, or can't be done.

    """
    what, *settings = words.split(" ")
    check = kind_of_check(what)
    given = [word for word in settings if word]
    for word in given:
        key, equals, value = word.partition("=")
        if not equals or key not in _SETTINGS or sum(other.startswith(f"{key}=") for other in given) > 1:
            raise UsageError(
                f"{shown(word)} is not a setting of a health check, or is one twice",
                hint="write them as in tcp interval=2s timeout=1s rise=2 fall=3, or host=NAME for http",
            )
        check = _SETTINGS[key](check, value)
    if given and not check.is_probed:
        raise not_probed(check)
    if not any(word.startswith("timeout=") for word in given):
        check = patient(check)
    return sound(check)


def kind_of_check(word: str) -> HealthCheck:
    """Read ``none``, ``engine``, ``tcp``, ``tcp:PORT``, ``http:/PATH`` or ``http:PORT/PATH``."""
    found = _CHECK.fullmatch(word)
    if found is None:
        raise UsageError(
            f"{shown(word)} is not a health check",
            hint="write none, engine, tcp, tcp:PORT, http:/PATH or http:PORT/PATH",
        )
    passive, tcp, tcp_port, _, http_port, path = found.groups()
    if passive:
        return HealthCheck(CheckKind(passive))
    if tcp:
        return HealthCheck(CheckKind.TCP, None if tcp_port is None else port_number(tcp_port))
    if path.startswith("//"):
        raise UsageError(
            f"{shown(word)} names a host",
            hint="each replica is asked by its own address: write http:/PATH; the Host header is a setting of its own",
        )
    if not _PATH.fullmatch(path) or "#" in path or len(path) > _LONGEST_PATH:
        raise UsageError(
            f"{shown(path)} is not a path to ask a web server for",
            hint=f"it has at most {_LONGEST_PATH} characters, all of them plain ASCII; write others as %XX",
        )
    return HealthCheck(CheckKind.HTTP, port_number(http_port) if http_port else None, path)


def interval(word: str) -> float:
    """Read how often to probe."""
    return _time(word, "an interval between probes", SHORTEST_INTERVAL, LONGEST_INTERVAL)


def timeout(word: str) -> float:
    """Read how long to wait for a probe's answer."""
    return _time(word, "a time to wait for a probe's answer", SHORTEST_TIMEOUT, LONGEST_TIMEOUT)


def in_a_row(word: str) -> int:
    """Read how many probes in a row decide."""
    if re.fullmatch(r"[0-9]{1,3}", word) and 1 <= int(word) <= MOST_IN_A_ROW:
        return int(word)
    raise UsageError(f"{shown(word)} is not a number of probes", hint=f"write a number from 1 to {MOST_IN_A_ROW}")


def host(word: str) -> str:
    """Read a Host header: a name or ``[IPV6]``, with a port or without."""
    found = _HOST.fullmatch(word)
    if found is None or (found.group(1) is not None and not 1 <= int(found.group(1)[:6]) <= MAX_PORT):
        raise UsageError(f"{shown(word)} is not a host's name", hint="write it as in shop.example or localhost:8080")
    return word


def fail_mode(word: str) -> FailMode:
    """Read what to do where no replica is well."""
    if word in tuple(FailMode):
        return FailMode(word)
    raise UsageError(
        f"{shown(word)} is not a way to fail",
        hint="choose open (where no replica is well, all go on being given connections) or closed (none is)",
    )


def patient(check: HealthCheck) -> HealthCheck:
    """Give a check the usual timeout, or all of its interval where that is less."""
    return replace(check, timeout=min(_DEFAULT.timeout, check.interval))


def sound(check: HealthCheck) -> HealthCheck:
    """Refuse settings that contradict each other."""
    if check.is_probed and check.timeout > check.interval:
        raise UsageError(
            f"a probe can't be waited for ({_seconds(check.timeout)}) longer than until the next one is due "
            f"({_seconds(check.interval)})",
            hint="make the timeout at most the interval",
        )
    if check.host is not None and check.kind is not CheckKind.HTTP:
        raise UsageError(f"a Host header is for health checks by http, not by {check.kind}")
    return check


def not_probed(check: HealthCheck) -> UsageError:
    """Make the error of settings that nothing would heed."""
    return UsageError(
        f"health check {check} has no settings: netshare does not probe",
        hint="settings are for tcp and http, as in --health http:/up --interval 1s",
    )


def require_probed_port(service: Service) -> None:
    """Refuse a check that finds no port to probe: a probe is a TCP connection.

    Raises:
        UsageError: all listeners are for datagrams, and the check names no port.

    """
    if not service.health.is_probed or service.health.port is not None:
        return
    if any(listener.protocol is Protocol.TCP for listener in service.listeners):
        return
    kind = service.health.kind
    path = service.health.path
    raise UsageError(
        f"health check {service.health} needs a TCP port to probe, and {service.name} has none "
        f"({', '.join(map(str, service.listeners))})",
        hint=f"name one that its replicas listen on, as in {kind}:8080{path}",
    )


def words(check: HealthCheck) -> str:
    """Write a check so that `health_check` reads the same."""
    if not check.is_probed:
        return str(check)
    parts = [
        str(check),
        f"interval={_seconds(check.interval)}",
        f"timeout={_seconds(check.timeout)}",
        f"rise={check.rise}",
        f"fall={check.fall}",
    ]
    return " ".join([*parts, f"host={check.host}"] if check.host else parts)


def _time(word: str, what: str, shortest: float, longest: float) -> float:
    seconds = round(duration(word), 3)
    if not shortest <= seconds <= longest:
        raise UsageError(f"{shown(word)} is not {what}", hint=f"it is {_seconds(shortest)} to {_seconds(longest)}")
    return seconds


def _seconds(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


_SETTINGS: Mapping[str, Callable[[HealthCheck, str], HealthCheck]] = MappingProxyType(
    {
        "interval": lambda check, word: replace(check, interval=interval(word)),
        "timeout": lambda check, word: replace(check, timeout=timeout(word)),
        "rise": lambda check, word: replace(check, rise=in_a_row(word)),
        "fall": lambda check, word: replace(check, fall=in_a_row(word)),
        "host": lambda check, word: replace(check, host=host(word)),
    }
)
