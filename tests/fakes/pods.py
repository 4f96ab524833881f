"""An engine that makes pods of plain objects; what it refuses is as a real one does."""

from dataclasses import replace

from netshare.core.model import ContainerStatus
from netshare.core.pods import Member, Role, sandbox_name
from netshare.engine import sandbox_image
from netshare.engine.pods import Replica, Sandbox
from netshare.errors import EngineUnreachableError, NetshareError, NotFoundError


class FakePods:
    """``here`` are its containers by name, ``images`` what it has; replicas of image ``broken`` end at once."""

    def __init__(self, name: str = "docker") -> None:
        self.name = name
        self.here: dict[str, Member] = {}
        self.images = {"my/web", "broken"}
        self.taken: set[str] = set()
        self.started: list[Sandbox | Replica] = []
        self.graces: list[tuple[str, float]] = []
        self.warnings: tuple[str, ...] = ()
        self.failure: NetshareError | None = None

    @staticmethod
    def absent(name: str) -> EngineUnreachableError:
        """Say that this host has no such engine."""
        return EngineUnreachableError(f"{name} does not answer", hint=f"start {name}", absent=True)

    def members(self) -> tuple[Member, ...]:
        if self.failure is not None:
            raise self.failure
        return tuple(self.here.values())

    def start_sandbox(self, sandbox: Sandbox) -> tuple[str, ...]:
        image = sandbox.image or sandbox_image.REFERENCE
        self._put(sandbox_name(sandbox.pod), sandbox.pod, Role.SANDBOX, image)
        made = self.here[sandbox_name(sandbox.pod)]
        self.here[made.name] = replace(made, published=sandbox.published)
        self.started.append(sandbox)
        return self.warnings

    def require_image(self, image: str) -> None:
        if image not in self.images:
            raise NotFoundError(f"Docker has no image {image}", hint="get it first")

    def start_replica(self, replica: Replica) -> str:
        identity = self._put(replica.name, replica.pod, Role.REPLICA, replica.image)
        self.started.append(replica)
        if replica.image == "broken":
            self.stop(replica.name)
        return identity

    def start(self, member: Member) -> None:
        self.here[member.name] = replace(member, status=ContainerStatus.RUNNING)

    def restart(self, member: Member, grace: float) -> None:
        self.graces.append((member.name, grace))
        self.start(member)

    def remove(self, member: Member, grace: float) -> None:
        self.graces.append((member.name, grace))
        self.here.pop(member.name, None)

    def last_words(self, identity: str) -> str:
        return f"{identity}: address in use"

    def close(self) -> None:
        """Nothing is open."""

    def stop(self, name: str) -> None:
        """Stop a container behind netshare's back."""
        self.here[name] = replace(self.here[name], status=ContainerStatus.EXITED, detail="Exited (1) 2 seconds ago")

    def _put(self, name: str, pod: str, role: Role, image: str) -> str:
        if name in self.here or name in self.taken:
            raise NetshareError(f"a container called {name} is there already", hint="choose another name")
        self.here[name] = Member(f"id-of-{name}", name, pod, role, ContainerStatus.RUNNING, image)
        return self.here[name].id
