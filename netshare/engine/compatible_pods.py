"""Pods by Docker's API, which Podman speaks as well: containers made, started, looked at and removed.

**No connection need be lost.** Each replica's socket has an accept queue of its own, and what waits in it is reset when
the replica closes it. Linux 5.14 can hand it to the other sockets of the port instead, if the network namespace says so
(net.ipv4.tcp_migrate_req, kernel Documentation/networking/ip-sysctl.rst): the sandbox's does, where the kernel knows
the switch.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from math import ceil

from netshare.core import labels, pods
from netshare.core.pods import Member, Published, Role
from netshare.engine import pod_answers as answers
from netshare.engine import sandbox_image
from netshare.engine.answers import items, mapping, plain
from netshare.engine.controlled import CONFLICT, ControlledEngine
from netshare.engine.pods import Replica, Sandbox
from netshare.errors import NetshareError, NotFoundError

_STOP_SECONDS = 10
_MIGRATE = "net.ipv4.tcp_migrate_req"
_MIGRATING_KERNEL = 5, 14
_SLEEP = ("sleep", "2147483647")  # `sleep infinity` is not every sleep's: POSIX knows seconds only
_NO_MIGRATION = (
    "connections that wait in the accept queue of a replica that stops will be reset: Linux 5.14 can avoid it"
)


class CompatiblePods(ControlledEngine):
    """The pods of the engine behind one address."""

    _lost = "`netshare pod list` shows what is there"

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
            if error.status_code == CONFLICT or "already in use" in answers.said(error):
                raise NetshareError(
                    f"a container called {name} is there already, and is none of this pod's",
                    hint=f"choose another name for the pod, or first: {self.name} rm {name}",
                ) from error
            raise
