"""What the environment says, checked once at the start."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from socket import gethostname
from typing import Self
from urllib.parse import urlsplit

from app.web.client_address import Network


class SettingsError(ValueError):
    """A variable of the environment has a value that won't do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All there is to set; times are in seconds.

    ``database_connections`` is what one process may have open at once: all workers of all replicas together must stay
    below PostgreSQL's ``max_connections``. ``replica`` is the host name if nothing else: a container's short id.
    """

    upstream_url: str = "http://127.0.0.1:8081/"
    database_url: str = ""
    database_connections: int = 20
    database_wait: float = 10.0
    longest_delay: float = 10.0
    trusted_proxies: tuple[Network, ...] = ()
    replica: str = "replica"
    server: str = "unknown"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read and check the variables; those that are not set, or empty, keep their defaults.

        Raises:
            SettingsError: which one is wrong, and why.

        """
        default = cls()  # with slots, the class itself no longer has them
        return cls(
            upstream_url=_http_url(environment, "UPSTREAM_URL", default.upstream_url),
            database_url=_database_url(environment, "DATABASE_URL"),
            database_connections=_count(environment, "DATABASE_CONNECTIONS", default.database_connections, 1, 1000),
            database_wait=_number(environment, "DATABASE_WAIT", default.database_wait, 0, 60),
            longest_delay=_number(environment, "LONGEST_DELAY", default.longest_delay, 0, 60),
            trusted_proxies=_networks(environment, "TRUSTED_PROXIES"),
            replica=environment.get("APP_REPLICA") or environment.get("NETSHARE_REPLICA") or gethostname(),
            server=environment.get("APP_SERVER") or default.server,
        )


def _http_url(environment: Mapping[str, str], name: str, default: str) -> str:
    value = environment.get(name) or default
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(f"{name}: {value!r} is not the URL of an HTTP server")
    return value


def _database_url(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if value and urlsplit(value).scheme not in {"postgres", "postgresql"}:
        raise SettingsError(f"{name} does not begin with postgresql://")  # it holds a password: not shown
    return value


def _number(environment: Mapping[str, str], name: str, default: float, lowest: float, highest: float) -> float:
    text = environment.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        raise SettingsError(f"{name}: {text!r} is not a number") from None
    if not lowest <= value <= highest:  # NaN is not either
        raise SettingsError(f"{name}: {text} is not between {lowest:g} and {highest:g}")
    return value


def _count(environment: Mapping[str, str], name: str, default: int, lowest: int, highest: int) -> int:
    value = _number(environment, name, default, lowest, highest)
    if not value.is_integer():
        raise SettingsError(f"{name}: {value:g} is not a whole number")
    return int(value)


def _networks(environment: Mapping[str, str], name: str) -> tuple[Network, ...]:
    words = environment.get(name, "").replace(",", " ").split()
    try:
        return tuple(ip_network(word) for word in words)
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from None
