"""What netshare asks of wherever service definitions, and the rollouts of services, live."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from netshare.core.model import Service, Source
from netshare.core.rollout import Rollout
from netshare.errors import DefinitionError


@dataclass(frozen=True, slots=True)
class Definitions:
    """What the store holds: the services that could be read, and by name the errors of those that could not.

    ``adjusted`` is what was said by hand of services that labels make: their name and some weights, no listener.
    """

    services: tuple[Service, ...] = ()
    unreadable: Mapping[str, DefinitionError] = field(default_factory=lambda: MappingProxyType({}))
    adjusted: tuple[Service, ...] = ()

    @classmethod
    def of(cls, stored: Iterable[Service], unreadable: Mapping[str, DefinitionError]) -> "Definitions":
        """Tell the two kinds apart."""
        everything = tuple(stored)
        return cls(
            tuple(service for service in everything if service.source is Source.ATTACH),
            unreadable,
            tuple(service for service in everything if service.source is Source.LABELS),
        )

    def get(self, name: str) -> Service | None:
        """Give what is stored of that name, if there is something.

        Raises:
            DefinitionError: there is, and it can't be read.

        """
        if name in self.unreadable:
            raise self.unreadable[name]
        return next((service for service in (*self.services, *self.adjusted) if service.name == name), None)

    def replaced(self, service: Service) -> "Definitions":
        """Give the same definitions with this one in place of its namesake."""
        others = [other for other in (*self.services, *self.adjusted) if other.name != service.name]
        return Definitions.of((*others, service), self.unreadable)


class Store(Protocol):
    """Where service definitions live."""

    def load(self) -> Definitions:
        """Read every definition; one that cannot be read never hides the others.

        Raises:
            NotPermittedError: this user may not read them.

        """

    def save(self, service: Service) -> None:
        """Write a definition, wholly or not at all.

        Raises:
            DefinitionError: one of that name is there and can't be read; it is left as it is.
            NotPermittedError: this user may not write there.

        """

    def delete(self, name: str) -> None:
        """Remove a definition; one that isn't there is not an error.

        Raises:
            DefinitionError: it can't be read; it is left as it is.
            NotPermittedError: this user may not write there.

        """


@dataclass(frozen=True, slots=True)
class Rollouts:
    """The rollouts that could be read, and the errors of those that could not, each by the name of its service."""

    known: Mapping[str, Rollout] = field(default_factory=lambda: MappingProxyType({}))
    unreadable: Mapping[str, DefinitionError] = field(default_factory=lambda: MappingProxyType({}))


class RolloutRecords(Protocol):
    """Where it is written down how far each rollout has come."""

    def load(self) -> Rollouts:
        """Read every one; one that can't be read never hides the others.

        Raises:
            NotPermittedError: this user may not read them.

        """

    def get(self, service: str) -> Rollout | None:
        """Read a service's, if there is one.

        Raises:
            DefinitionError: there is, and it can't be used.

        """

    def save(self, rollout: Rollout) -> None:
        """Write one in place of the one before it, wholly or not at all.

        Raises:
            DefinitionError: what is there can't be used; it is left as it is.
            NetshareError: it can't be written.

        """

    def delete(self, service: str) -> None:
        """Forget a service's; where there is none, that is no error.

        Raises:
            DefinitionError: it can't be used; it is left as it is.

        """
