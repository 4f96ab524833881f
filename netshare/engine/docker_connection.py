"""One connection to an engine's API by the docker SDK, and what its failures are called in netshare's own errors.

Docker's API is spoken by Docker, and by Podman beside its own; only their names and mends differ.

**Absent or unreachable.** "Keep what is" is right for an engine that does not answer, and wrong for one that was never
there: most hosts have only one of the two. An engine is *absent* where nothing says that it exists: nobody gave its
address (DOCKER_HOST, CONTAINER_HOST), there is no socket at the usual one, and it has not answered this process before.
All else is *unreachable*. In particular, a socket file that refuses connections is what a stopped or crashed engine
leaves behind (systemd's socket units keep theirs; /run is empty after a boot), and its containers may well go on
without it: Podman's always do, Docker's with live-restore.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from netshare.errors import EngineUnreachableError, NetshareError, NotPermittedError

if TYPE_CHECKING:
    import docker

ANSWER_SECONDS = 10
"""How long an answer may take. A listing takes milliseconds; an engine that needs longer is not there."""

_UNIX = "unix://"
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Product:
    """An engine as users know it: its name, where it usually listens, and what helps when it does not answer."""

    name: str
    usual_url: str
    start_hint: str
    permission_hint: str


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine is to be found; ``expected`` is whether anything says that there is one."""

    product: Product
    url: str
    expected: bool

    @classmethod
    def of(cls, product: Product, given: str | None) -> Self:
        """Make the address that was given, or else the usual one."""
        return cls(product, given or product.usual_url, expected=bool(given))

    @property
    def is_local(self) -> bool:
        """Whether it is a socket of this host."""
        return self.url.startswith(_UNIX)

    def answered(self) -> "Address":
        """Note that there is an engine: from now on its absence means that it is gone."""
        return replace(self, expected=True)

    def connect(self) -> "docker.APIClient":
        """Open a connection; asks the engine for its API's version, so that old and new ones both answer."""
        self.probe()
        import docker

        with self.translated():
            return docker.APIClient(base_url=self.url, version="auto", timeout=ANSWER_SECONDS)

    def probe(self) -> None:
        """See that somebody listens on a Unix socket: says at once, before the SDK is loaded, that nobody does.

        The SDK itself leaks its socket when it cannot connect (docker/transport/unixconn.py).
        """
        if not self.is_local:
            return
        with socket.socket(socket.AF_UNIX) as probing:
            probing.settimeout(ANSWER_SECONDS)
            try:
                probing.connect("/" + self.url.removeprefix(_UNIX).lstrip("/"))
            except OSError as error:
                raise self._explain(error) from error

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what the SDK and the libraries under it raise into netshare's errors, naming the socket."""
        import docker.errors
        import requests
        import urllib3

        try:
            yield
        except (
            docker.errors.DockerException,
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
            ValueError,
        ) as error:
            raise self._explain(error) from error

    def unreachable(self, reason: str) -> EngineUnreachableError:
        """Say that the engine does not answer, and why."""
        return EngineUnreachableError(
            f"{self.product.name} does not answer at {self.url}: {reason}", hint=self.product.start_hint
        )

    def _explain(self, error: BaseException) -> NetshareError:
        causes = list(_causes(error))
        if any(isinstance(cause, PermissionError) for cause in causes):
            return NotPermittedError(
                f"{self.product.name}'s socket {self.url} may not be opened by this user",
                hint=self.product.permission_hint,
            )
        named = [cause for cause in causes if isinstance(cause, OSError) and cause.strerror]
        explained = self.unreachable(str(named[-1].strerror) if named else _said(error))
        explained.absent = not self.expected and isinstance(error, FileNotFoundError)
        return explained


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk down to what really failed: urllib3 keeps it in args, requests in a context, docker in a cause."""
    for _ in range(_DEPTH):
        yield error
        inside = [part for part in error.args if isinstance(part, BaseException)]
        below = inside[0] if inside else error.__cause__ or error.__context__
        if below is None:
            return
        error = below


def _said(error: BaseException) -> str:
    """Prefer the engine's own words (docker.errors.APIError has them) to those of the libraries."""
    return str(getattr(error, "explanation", None) or error) or type(error).__name__
