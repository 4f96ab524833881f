"""The names of services and their replicas, for shells that complete them: what the last reconcile knew.

It is a hint and no more: that it is old, cut short or absent harms nobody. Whoever presses Tab is often an ordinary
user (``sudo netshare drain web <Tab>``), and in a hurry; so it is a file that all may read, and no engine is asked.
"""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from netshare.core.model import BY_LABELS
from netshare.runtime.directories import make
from netshare.runtime.files import replace_file

SCHEMA = 1
MOST = 10_000
"""Replicas that are named; nobody picks one of more by pressing Tab."""

_LARGEST = 1 << 23


class Names:
    """The names in one file."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened before it is needed."""
        self._path = path
        self._written: bytes | None = None

    def post(self, names: Mapping[str, Sequence[str]], kept: Collection[str]) -> None:
        """Put up the replicas of each service; of services that are ``kept``, by owner, those of last time stay."""
        if kept:
            before = self.read().items()
            names = {name: them for name, them in before if {name, f"{name}{BY_LABELS}"} & set(kept)} | dict(names)
        left = islice(((service, each) for service, them in names.items() for each in them), MOST)
        services: dict[str, list[str]] = {service: [] for service in islice(names, MOST)}
        for service, each in left:
            services[service].append(each)
        content = json.dumps({"schema": SCHEMA, "services": services}, separators=(",", ":")).encode()
        if content in (self._written, self._there()):
            self._written = content
            return
        with suppress(OSError):
            make(self._path.parent)
            replace_file(self._path, content, lasting=False)
            self._written = content

    def read(self) -> dict[str, list[str]]:
        """Read them; nothing where there is nothing sound."""
        try:
            found = json.loads(self._there() or b"null")
        except (ValueError, RecursionError):
            return {}
        services = found.get("services") if isinstance(found, dict) and found.get("schema") == SCHEMA else None
        if not isinstance(services, dict):
            return {}
        return {
            name: [each for each in them if isinstance(each, str)]
            for name, them in services.items()
            if isinstance(them, list)
        }

    def _there(self) -> bytes | None:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor has no path)
                return file.read(_LARGEST)
        except OSError:
            return None
