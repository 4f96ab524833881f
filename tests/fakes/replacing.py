"""An engine whose containers can be replaced: those of a `FakeEngine`, changed the way a real one changes them."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from itertools import count

from netshare.core.model import Attachment, Container, ContainerStatus
from netshare.engine.replacing import Situation
from netshare.errors import NetshareError, NotFoundError
from tests.fakes.engine import FakeEngine

IMAGES = frozenset({"my/web:1", "my/web:2", "broken"})
_LIVE = (ContainerStatus.RUNNING, ContainerStatus.PAUSED, ContainerStatus.RESTARTING)


class FakeReplacing:
    """Containers of the image ``broken`` end as soon as they are started; ``before`` is told of whatever is done."""

    address = "unix:///fake.sock"

    def __init__(self, engine: FakeEngine, *, before: Callable[[str], None] = lambda _: None) -> None:
        self.name = engine.name
        self.images = set(IMAGES)
        self.image_of: dict[str, str] = {}
        self.self_removing: set[str] = set()
        self.unique: set[str] = set()
        self.before = before
        self._engine = engine
        self._numbers = count(1)

    def check(self, identity: str, image: str | None) -> str:
        self.before("check")
        found = self._find(identity)
        if found.id in self.unique:
            raise NetshareError(f"replica {found.name} can't have a second one beside it", hint="start it without -p")
        wanted = image or self.image_of.get(found.id, "my/web:1")
        self.require_image(wanted)
        return wanted

    def require_image(self, image: str) -> None:
        if image not in self.images:
            raise NotFoundError(f"Docker has no image {image}", hint="get it first: `docker pull IMAGE`")

    def look(self, identity: str) -> Situation | None:
        self.before("look")
        found = next((c for c in self._engine.running if identity in (c.id, c.name)), None)
        if found is None:
            return None
        is_running = found.status in _LIVE
        return Situation(
            found.id,
            found.name,
            is_running,
            found.status is ContainerStatus.CREATED,
            found.id in self.self_removing,
            "" if is_running else "exit code 1",
        )

    def make(self, like: str, image: str | None, name: str) -> str:
        self.before("make")
        wanted, old = self.check(like, image), self._find(like)
        self._require_free(name)
        identity = f"{next(self._numbers):02d}-of-{name}"
        self.image_of[identity] = wanted
        made = Container(
            identity,
            name,
            old.engine,
            ContainerStatus.CREATED,
            labels=old.labels,
            attachments=tuple(replace(each, addresses=()) for each in old.attachments),
            exposed=old.exposed,
        )
        self._engine.running.append(made)
        if like in self.self_removing:
            self.self_removing.add(identity)
        self.before("made")
        return identity

    def start(self, identity: str) -> None:
        self.before("start")
        found = self._find(identity)
        if found.status in _LIVE:
            return
        if self.image_of.get(identity) == "broken":
            self._put(replace(found, status=ContainerStatus.EXITED))
            return
        address = IPv4Address("10.9.0.0") + next(self._numbers)
        network = found.attachments[0].network if found.attachments else "bridge"
        running = replace(found, status=ContainerStatus.RUNNING, attachments=(Attachment(network, (address,)),))
        self._put(running)
        self.before("started")

    def stop(self, identity: str) -> None:
        self.before("stop")
        found = next((c for c in self._engine.running if c.id == identity), None)
        if found is None:
            return
        attachments = tuple(replace(each, addresses=()) for each in found.attachments)
        self._put(replace(found, status=ContainerStatus.EXITED, attachments=attachments))
        if identity in self.self_removing:
            self._drop(identity)
        self.before("stopped")

    def remove(self, identity: str, *, with_volumes: bool) -> None:  # noqa: ARG002 (it has none)
        self.before("remove")
        self._drop(identity)
        self.before("removed")

    def rename(self, identity: str, name: str) -> None:
        self.before("rename")
        found = self._find(identity)
        self._require_free(name)
        self._put(replace(found, name=name))

    def last_words(self, identity: str) -> str:
        return f"{self._find(identity).name}: no such file"

    def close(self) -> None:
        """Nothing is open."""

    def _find(self, identity: str) -> Container:
        for each in self._engine.running:
            if each.id == identity:
                return each
        raise NotFoundError(f"container {identity[:12]} can't be had", hint="`docker ps --all` shows what is there")

    def _require_free(self, name: str) -> None:
        if any(each.name == name for each in self._engine.running):
            raise NetshareError(f"Docker refuses container {name}: the name is in use", hint="`docker ps --all`")

    def _put(self, container: Container) -> None:
        self._engine.running = [container if each.id == container.id else each for each in self._engine.running]

    def _drop(self, identity: str) -> None:
        self._engine.running = [each for each in self._engine.running if each.id != identity]
