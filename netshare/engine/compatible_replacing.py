"""Replicas replaced by Docker's API, which Podman speaks as well.

How a container is made again from what an inspection says of it is `netshare.engine.recreation`.
"""

from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from netshare.engine import pod_answers as answers
from netshare.engine import recreation
from netshare.engine.answers import Answer, mapping, plain
from netshare.engine.controlled import CONFLICT, NOT_FOUND, ControlledEngine
from netshare.engine.replacing import Situation
from netshare.errors import NetshareError, NotFoundError

if TYPE_CHECKING:
    import docker


class CompatibleReplacing(ControlledEngine):
    """The replicas of the engine behind one address."""

    @property
    def address(self) -> str:
        """Where it listens, as DOCKER_HOST says it."""
        return self._address.url

    def check(self, identity: str, image: str | None) -> str:
        """See that a second one can be made beside a container, of this image or that of its own; gives its name."""
        inspected = self._inspect(identity)
        wanted = image or recreation.image_of(inspected)
        self.require_image(wanted)
        self._recipe(inspected, wanted)
        return wanted

    def look(self, identity: str) -> Situation | None:
        """Look at a container, by its id or its name; nothing where there is none."""
        try:
            inspected = self._inspect(identity)
        except NotFoundError:
            return None
        state = mapping(inspected.get("State"))
        words = plain(state.get("Error")) or f"exit code {state.get('ExitCode')}"
        is_running, status = state.get("Running") is True, plain(state.get("Status"))
        return Situation(
            plain(inspected.get("Id")),
            plain(inspected.get("Name")).removeprefix("/"),
            is_running,
            status in ("created", "configured", "initialized"),  # the last two are Podman's
            mapping(inspected.get("HostConfig")).get("AutoRemove") is True,
            "" if is_running else words,
        )

    def make(self, like: str, image: str | None, name: str) -> str:
        """Make a container as another one was made, of this image or a newer one of its own; gives its id."""
        inspected = self._inspect(like)
        chosen = image or recreation.image_of(inspected)
        self.require_image(chosen)
        wanted = self._recipe(inspected, chosen)
        with self._asked(f"container {name}") as client:
            identity = str(client.create_container_from_config(wanted.body, name)["Id"])  # type: ignore[no-untyped-call]
        try:
            for network, settings in wanted.networks:
                self._connect(identity, network, settings)
        except BaseException:
            with suppress(NetshareError):
                self.remove(identity, with_volumes=True)
            raise
        return identity

    def start(self, identity: str) -> None:
        """Start a container; one that runs is left alone."""
        with self._asked(f"container {identity[:12]}") as client:
            client.start(identity)

    def stop(self, identity: str) -> None:
        """Stop a container by its own signal and within its own time; one that is gone is no error."""
        with suppress(NotFoundError):
            seconds = recreation.stop_seconds(self._inspect(identity))
            with self._asked(f"container {identity[:12]}") as client:
                client.stop(identity, timeout=seconds)

    def remove(self, identity: str, *, with_volumes: bool) -> None:
        """Remove a container, stopping it first; one that is gone is no error."""
        self.stop(identity)
        with suppress(NotFoundError), self._asked(f"container {identity[:12]}") as client:
            try:
                client.remove_container(identity, v=with_volumes, force=True)
            except answers.api_error() as error:
                if error.status_code != CONFLICT:  # it removes itself just now
                    raise

    def rename(self, identity: str, name: str) -> None:
        """Give a container another name."""
        with self._asked(f"container {identity[:12]}") as client:
            client.rename(identity, name)

    def _recipe(self, inspected: Answer, image: str) -> recreation.Recipe:
        # By its id: what a name stands for may have changed since.
        identity = plain(inspected.get("Image"))
        with self._asked(f"image {identity}") as client:
            old = self._image(client, identity)
        return recreation.recipe(inspected, old, image, podman=self._product.has_libpod)

    @staticmethod
    def _image(client: "docker.APIClient", identity: str) -> Answer:
        """Look at a container's own image; one that was removed by force has taken what it said with it."""
        try:
            return mapping(client.inspect_image(identity))  # type: ignore[no-untyped-call]
        except answers.api_error() as error:
            if error.status_code != NOT_FOUND:
                raise
            return {}

    def _inspect(self, identity: str) -> Answer:
        with self._asked(f"container {identity[:12]}") as client:
            return mapping(client.inspect_container(identity))

    def _connect(self, identity: str, network: str, settings: recreation.Body) -> None:
        """Put a container on one more network; the SDK's own way knows only some of the settings."""
        import docker.errors
        import requests

        with self._asked(f"network {network}") as client:
            url = f"{client.base_url}/v{client.api_version}/networks/{quote(network, safe='')}/connect"
            response = client.post(url, json={"Container": identity, "EndpointConfig": settings})
            try:
                response.raise_for_status()
            except requests.HTTPError as error:
                docker.errors.create_api_error_from_http_exception(error)  # raises, in the engine's own words
