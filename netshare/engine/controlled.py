"""An engine that is told to do something, by Docker's API, which Podman speaks as well; what it refuses is explained.

Unlike `netshare.engine.compatible`, which only ever looks.
"""

from contextlib import contextmanager
from typing import TYPE_CHECKING

from netshare.engine import pod_answers as answers
from netshare.engine.answers import plain
from netshare.engine.docker_connection import Address, Product
from netshare.errors import NetshareError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

_START_SECONDS = 60
"""How long making or starting a container may take: longer than any look at one."""
NOT_FOUND, CONFLICT = 404, 409
_LAST_LINES = 20
_LONGEST_WORDS = 200


class ControlledEngine:
    """The engine behind one address."""

    _lost = "`{name} ps --all` shows what is there"
    """The mend where a container is gone."""

    def __init__(self, product: Product, name: str, url: str | None = None) -> None:
        self.name = name
        self._product = product
        self._address = Address.of(product, url)
        self._client: docker.APIClient | None = None

    def require_image(self, image: str) -> None:
        """See that an image is there: nothing is pulled."""
        with self._asked(f"image {image}") as client:
            client.inspect_image(image)  # type: ignore[no-untyped-call]

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
                if error.status_code == NOT_FOUND:
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
        return NotFoundError(f"{about} can't be had: {said}", hint=self._lost.format(name=self.name))
