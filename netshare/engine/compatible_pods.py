"""Pods by Docker's API, which Podman speaks as well: containers made, started, looked at and removed.

**No connection need be lost.** Each replica's socket has an accept queue of its own, and what waits in it is reset when
the replica closes it. Linux 5.14 can hand it to the other sockets of the port instead, if the network namespace says so
(net.ipv4.tcp_migrate_req, kernel Documentation/networking/ip-sysctl.rst): the sandbox's does, where the kernel knows
the switch.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from math import ceil
from typing import TYPE_CHECKING

from netshare.core import labels, pods
from netshare.core.pods import Member, Published, Role
from netshare.engine import pod_answers as answers
from netshare.engine import sandbox_image
from netshare.engine.answers import items, mapping, plain
from netshare.engine.docker_connection import Address, Product
from netshare.engine.pods import Replica, Sandbox
from netshare.errors import NetshareError, NotFoundError

if TYPE_CHECKING:
    import docker

_START_SECONDS = 60
"""How long making or starting a container may take: longer than any look at one."""
_STOP_SECONDS = 10
_MIGRATE = "net.ipv4.tcp_migrate_req"
_MIGRATING_KERNEL = 5, 14
_SLEEP = ("sleep", "2147483647")  # `sleep infinity` is not every sleep's: POSIX knows seconds only
_NO_MIGRATION = (
    "connections that wait in the accept queue of a replica that stops will be reset: Linux 5.14 can avoid it"
)
_CONFLICT, _NOT_FOUND = 409, 404
_LAST_LINES = 20
_LONGEST_WORDS = 200


class CompatiblePods:
    """The pods of the engine behind one address."""

    def __init__(self, product: Product, name: str, url: str | None = None) -> None:
        self.name = name
        self._product = product
        self._address = Address.of(product, url)
        self._client: docker.APIClient | None = None

    def members(self) -> tuple[Member, ...]:
        """Every container of a pod, running or not."""
        with self._asked("its containers") as client:
            listing: object = client.containers(all=True, filters={"label": [labels.POD]})
        return tuple(found for item in items(listing) if (found := answers.member(item)) is not None)

    def start_sandbox(self, sandbox: Sandbox) -> tuple[str, ...]:
        """Make a sandbox and start it, or leave nothing of it; gives warnings."""
        with self._asked("what it is") as client:
            engine = mapping(client.info())
        image = self._own_image(plain(engine.get("Architecture"))) if sandbox.image is None else sandbox.image
        kernel = plain(engine.get("KernelVersion"))
        can_hand_on = answers.version(kernel) >= _MIGRATING_KERNEL
        self._start_sandbox(sandbox, image, {_MIGRATE: "1"} if can_hand_on else {})
        return () if can_hand_on else (f"{_NO_MIGRATION}, and this is {kernel or 'unknown'}",)

    def _start_sandbox(self, sandbox: Sandbox, image: str, sysctls: Mapping[str, str]) -> None:
        name, published = pods.sandbox_name(sandbox.pod), sandbox.published
        program, *words = (sandbox_image.PROGRAM,) if sandbox.image is None else _SLEEP
        with self._asked(f"sandbox {name}") as client, self._new(name):
            made = client.create_container(
                image,
                words,
                entrypoint=[program],
                name=name,
                labels=pods.labels_of(sandbox.pod, Role.SANDBOX, published),
                ports=[(each.to, each.protocol.value) for each in published],
                healthcheck={"test": ["NONE"]},  # the image's own would look for the application
                stop_signal="SIGKILL",  # process 1 ignores signals that it does not handle, and sleep handles none
                host_config=client.create_host_config(
                    port_bindings=answers.bindings(published), sysctls=dict(sysctls), network_mode=sandbox.network
                ),
            )
        self._start_new(made["Id"], name, published)

    def require_image(self, image: str) -> None:
        """See that an image is there: nothing is pulled."""
        with self._asked(f"image {image}") as client:
            client.inspect_image(image)  # type: ignore[no-untyped-call]

    def start_replica(self, replica: Replica) -> str:
        """Make a replica and start it, or leave nothing of it; gives its id."""
        with self._asked(f"replica {replica.name}") as client, self._new(replica.name):
            made = client.create_container(
                replica.image,
                list(replica.command) or None,
                name=replica.name,
                labels=pods.labels_of(replica.pod, Role.REPLICA),
                environment=dict(replica.environment),
                # Podman stops at once what was made by this API without one (seen with 4.3).
                stop_timeout=_STOP_SECONDS,
                host_config=client.create_host_config(network_mode=f"container:{pods.sandbox_name(replica.pod)}"),
            )
        self._start_new(made["Id"], replica.name, ())
        return str(made["Id"])

    def start(self, member: Member) -> None:
        """Start a sandbox that was stopped."""
        self._start(member.id, member.name, member.published)

    def restart(self, member: Member, grace: float) -> None:
        """Stop a replica, if it runs, and start it: it joins its sandbox's namespace anew."""
        with self._asked(f"container {member.name}") as client:
            client.restart(member.id, timeout=ceil(grace))

    def remove(self, member: Member, grace: float) -> None:
        """Stop a container gracefully, for that many seconds at most, and remove it; one that is gone is no error."""
        with suppress(NotFoundError), self._asked(f"container {member.name}") as client:
            client.stop(member.id, timeout=ceil(grace))
            client.remove_container(member.id, v=True, force=True)
        if member.role is Role.SANDBOX and member.image.endswith(sandbox_image.REFERENCE):
            # The last pod's; another pod that needs it keeps it, by a answers.
            with suppress(NetshareError), self._asked("its image") as client:
                client.remove_image(sandbox_image.REFERENCE)

    def last_words(self, identity: str) -> str:
        """Give the last line that a container said."""
        with self._asked(f"container {identity[:12]}") as client:
            lines = client.logs(identity, tail=_LAST_LINES).decode(errors="replace").splitlines()
        return next((plain(line.strip())[:_LONGEST_WORDS] for line in reversed(lines) if line.strip()), "")

    def close(self) -> None:
        """Free the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _own_image(self, architecture: str) -> str:
        """Make the image that only sleeps, unless it is there."""
        try:
            self.require_image(sandbox_image.REFERENCE)
        except NotFoundError:
            if not sandbox_image.is_known(architecture):
                raise NetshareError(
                    f"netshare has no sandbox for {architecture or 'this'} machines",
                    hint="name an image that has the program sleep, such as the application's own: --image IMAGE",
                ) from None
            with self._asked("the sandbox's image") as client:
                client.import_image_from_data(
                    sandbox_image.archive(architecture), repository=sandbox_image.NAME, tag=sandbox_image.TAG
                )
        return sandbox_image.REFERENCE

    def _start_new(self, identity: str, name: str, published: tuple[Published, ...]) -> None:
        try:
            self._start(identity, name, published)
        except BaseException:
            with suppress(NetshareError), self._asked(name) as client:
                client.remove_container(identity, v=True, force=True)
            raise

    def _start(self, identity: str, name: str, published: tuple[Published, ...]) -> None:
        with self._asked(f"container {name}") as client:
            try:
                client.start(identity)
            except answers.api_error() as error:
                raise answers.not_started(name, published, answers.said(error)) from error

    @contextmanager
    def _new(self, name: str) -> Iterator[None]:
        """Say that a name is taken where the engine says so."""
        try:
            yield
        except answers.api_error() as error:
            if error.status_code == _CONFLICT or "already in use" in answers.said(error):
                raise NetshareError(
                    f"a container called {name} is there already, and is none of this pod's",
                    hint=f"choose another name for the pod, or first: {self.name} rm {name}",
                ) from error
            raise

    @contextmanager
    def _asked(self, about: str) -> "Iterator[docker.APIClient]":
        """Ask the engine; what it refuses is told in its own words, and what is not there by its name."""
        if self._client is None:
            self._client = self._address.connect()
            self._client.timeout = _START_SECONDS
            self._address = self._address.answered()
        with self._address.translated():
            try:
                yield self._client
            except answers.api_error() as error:
                if error.status_code == _NOT_FOUND:
                    raise self._missing(about, answers.said(error)) from error
                raise NetshareError(
                    f"{self._product.name} refuses {about}: {answers.said(error)}",
                    hint=f"`{self.name} ps --all` shows its containers",
                ) from error

    def _missing(self, about: str, said: str) -> NotFoundError:
        if about.startswith("image "):
            # Podman takes a short name that comes by Docker's API for one of Docker's own registry.
            local = f"; one that was built here is localhost/{about.removeprefix('image ')}"
            return NotFoundError(
                f"{self._product.name} has no {about}",
                hint=f"get it first: `{self.name} pull IMAGE`, or `{self.name} build --tag IMAGE .`"
                f"{local if self._product.has_libpod else ''}",
            )
        return NotFoundError(f"{about} can't be had: {said}", hint="`netshare pod list` shows what is there")
