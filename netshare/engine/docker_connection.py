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
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from netshare.errors import EngineUnreachableError, NetshareError, NotPermittedError

if TYPE_CHECKING:
    import docker

ANSWER_SECONDS = 10
"""How long an answer may take. A listing takes milliseconds; an engine that needs longer is not there."""

_UNIX = "unix://"
_ANY_VERSION = "1.41"  # what is asked with it is asked without a version
_LIBPOD_HEADER = "Libpod-API-Version"
_PEER = struct.Struct("3i")  # struct ucred
_DEPTH = 8
_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Product:
    """An engine as users know it: its name, where it usually listens, and what helps when it does not answer.

    ``has_libpod`` is whether it speaks Podman's own API beside Docker's.
    """

    name: str
    usual_url: str
    start_hint: str
    permission_hint: str
    has_libpod: bool = False


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
            return docker.APIClient(base_url=self.url, version=self._greet(), timeout=ANSWER_SECONDS)

    def probe(self) -> int | None:
        """See that somebody listens on a Unix socket, and who: the user's number, where it is one of this host.

        Says at once, before the SDK is loaded, that nobody does. The SDK itself leaks its socket when it cannot connect
        (docker/transport/unixconn.py).
        """
        if not self.is_local:
            return None
        with socket.socket(socket.AF_UNIX) as probing:
            probing.settimeout(ANSWER_SECONDS)
            try:
                probing.connect("/" + self.url.removeprefix(_UNIX).lstrip("/"))
                _, uid, _ = _PEER.unpack(probing.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
            except OSError as error:
                raise self._explain(error) from error
            return int(uid)

    def _greet(self) -> str:
        """Ask what the engine is and which version of the API it has, by what every one answers in no time.

        The SDK asks for that by ``/version``, which takes Podman 4.3 a second: it asks the package manager for its own.
        """
        import docker
        import docker.errors
        import requests

        with closing(docker.APIClient(base_url=self.url, version=_ANY_VERSION, timeout=ANSWER_SECONDS)) as client:
            answer = client.get(f"{client.base_url}/_ping", timeout=ANSWER_SECONDS)
            try:
                answer.raise_for_status()
            except requests.HTTPError as error:
                docker.errors.create_api_error_from_http_exception(error)  # raises, in the engine's own words
        version = answer.headers.get("Api-Version")
        if version is None:
            raise self.unreachable("what answers there is no container engine")
        if (_LIBPOD_HEADER in answer.headers) != self.product.has_libpod:
            raise self._mistaken("not Podman" if self.product.has_libpod else f"Podman, not {self.product.name}")
        return version

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
            RecursionError,  # JSON in JSON in JSON, a thousand times
            OverflowError,  # chunks of more bytes than there are addresses
            MemoryError,  # or than there is memory
        ) as error:
            raise self._explain(error) from error

    def unreachable(self, reason: str) -> EngineUnreachableError:
        """Say that the engine does not answer, and why."""
        return EngineUnreachableError(
            f"{self.product.name} does not answer at {self.url}: {reason}", hint=self.product.start_hint
        )

    def _mistaken(self, found: str) -> EngineUnreachableError:
        """Say that it is another engine: podman-docker links /run/docker.sock to Podman's, DOCKER_HOST may name it."""
        return EngineUnreachableError(
            f"what answers at {self.url} is {found}",
            hint="DOCKER_HOST is where Docker listens, CONTAINER_HOST where Podman does (unix:///run/podman/podman.sock)",
            absent=True,
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
    said = str(getattr(error, "explanation", None) or error) or type(error).__name__
    return said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]}…"
