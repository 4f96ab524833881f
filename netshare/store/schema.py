"""A service's definition as it is written on disk, and its way to and from `Service`.

What `netshare weight` says of a service that labels make is written the same way, with no listeners: what it listens on
is for its containers to say.

Schema 1. A change that an older netshare would misread takes a new number; what is unknown is refused, never guessed.
"""

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netshare.core import checks, parse
from netshare.core.model import FailMode, HealthCheck, Listener, Protocol, Service, Source
from netshare.core.selection import STATIC_ENGINE
from netshare.errors import UsageError
from netshare.store.newer import first, refuse_newer

SCHEMA: Literal[1] = 1

_Port = Annotated[int, Field(ge=1, le=parse.MAX_PORT)]
_Weight = Annotated[int, Field(ge=0, le=parse.MAX_WEIGHT)]


class InvalidDefinitionError(Exception):
    """A definition's content is not sound; the message says where and why."""


class ListenerModel(BaseModel):
    """A host port that clients connect to."""

    model_config = ConfigDict(strict=True, extra="forbid", title="Listener")

    port: _Port = Field(description="The host's port.")
    protocol: Protocol = Field(default=Protocol.TCP, description="The transport protocol.")
    address: str | None = Field(default=None, description="Listen on this address only. Default: every local address.")
    to: _Port | None = Field(
        default=None, description="The replicas' own port. Default: the one they expose, else port."
    )


class ServiceModel(BaseModel):
    """A service: what it listens on, how its replicas are found, how connections are spread over them."""

    model_config = ConfigDict(strict=True, extra="forbid", title="Service")

    name: str = Field(description="The service; its replicas are found by this name, unless other fields say how.")
    listeners: list[ListenerModel] = Field(description="The host's ports; none for a service that labels make.")
    strategy: str = Field(default="random", description="random, round-robin, or source-hash: by client address.")
    select: dict[str, str] = Field(default_factory=dict, description="Pick replicas by these labels, not by the name.")
    network: str | None = Field(default=None, description="Which of a replica's networks to use.")
    engine: str | None = Field(default=None, description="docker, podman or static. Default: whichever answers.")
    endpoints: list[str] = Field(default_factory=list, description="Static replicas, IP[:PORT] each: no engine needed.")
    driver: str = Field(default="auto", description="What programs the kernel: auto or nftables.")
    source: Source = Field(
        default=Source.ATTACH, description="attach; or labels: nothing but weights for a service that labels make."
    )
    weights: dict[str, _Weight] | None = Field(
        default=None,
        description="Replicas' shares of new connections, by name, 0 to 256. Default: their label, else 1.",
    )
    health: str | None = Field(
        default=None, description="none, engine, tcp[:PORT] or http:[PORT]/PATH, then interval=2s timeout=1s rise=2 …"
    )
    fail: FailMode | None = Field(
        default=None, description="With no healthy replica: open (the default) serves all, closed refuses."
    )
    drain: str | None = Field(
        default=None, description="How long connections may go on when their replica leaves, as in 30s; or none."
    )


class _Definition(ServiceModel):
    version: Literal[1] = Field(alias="schema")


def decode(content: bytes) -> Service:
    """Read a definition.

    Raises:
        NewerSchemaError: a newer netshare wrote it.
        InvalidDefinitionError: it is not one.

    """
    refuse_newer(content, SCHEMA)
    try:
        return to_service(_Definition.model_validate_json(content))
    except ValidationError as error:
        raise InvalidDefinitionError(first(error)) from error
    except UsageError as error:
        raise InvalidDefinitionError(error.message) from error


def encode(service: Service) -> bytes:
    """Write a definition, for people too: indented, and without what says nothing."""
    fields = to_model(service).model_dump(mode="json", exclude_none=True)
    return (json.dumps({"schema": SCHEMA, **fields}, indent=2, ensure_ascii=False) + "\n").encode()


def to_model(service: Service) -> ServiceModel:
    """Give a service by the fields of its definition."""
    return ServiceModel(
        name=service.name,
        listeners=[
            ListenerModel(
                port=listener.port,
                protocol=listener.protocol,
                address=None if listener.address is None else str(listener.address),
                to=listener.to,
            )
            for listener in service.listeners
        ],
        strategy=service.strategy.value,
        select=dict(service.select),
        network=service.network,
        engine=service.engine,
        endpoints=[str(endpoint) for endpoint in service.endpoints],
        driver=service.driver,
        source=service.source,
        weights=dict(service.weights) or None,
        health=None if service.health == HealthCheck() else checks.words(service.health),
        fail=None if service.fail is FailMode.OPEN else service.fail,
        drain=None if service.drain is None else parse.drain_words(service.drain),
    )


def to_service(definition: ServiceModel) -> Service:
    """Give the service that a definition means.

    Raises:
        InvalidDefinitionError, UsageError: its fields contradict each other, or one is not what it should be.

    """
    if definition.source is Source.ATTACH and not definition.listeners:
        raise InvalidDefinitionError("listeners: there is none")
    if definition.source is Source.LABELS and definition.listeners:
        raise InvalidDefinitionError("listeners: those of a service that labels make are in its labels")
    listeners = tuple(
        Listener(
            port=listener.port,
            protocol=listener.protocol,
            address=None if listener.address is None else parse.listen_address(listener.address),
            to=listener.to,
        )
        for listener in definition.listeners
    )
    for index, listener in enumerate(listeners):
        if any(listener.overlaps(other) for other in listeners[:index]):
            raise InvalidDefinitionError(f"listener {listener} is there twice")
    if definition.endpoints and (
        definition.select or definition.network or definition.engine not in (None, STATIC_ENGINE)
    ):
        raise InvalidDefinitionError("it lists its endpoints and looks for replicas too")
    if definition.engine == STATIC_ENGINE and not definition.endpoints:
        raise InvalidDefinitionError("its engine is static and it lists no endpoints")
    service = Service(
        name=parse.service_name(definition.name),
        listeners=listeners,
        strategy=parse.strategy(definition.strategy),
        select=tuple(parse.label_selector(f"{key}={value}") for key, value in definition.select.items()),
        network=None if definition.network is None else parse.network_name(definition.network),
        engine=None if definition.engine in (None, STATIC_ENGINE) else parse.engine(definition.engine),
        endpoints=tuple(parse.endpoint(word) for word in definition.endpoints),
        driver=parse.driver(definition.driver),
        source=definition.source,
        weights=tuple(sorted((parse.replica_name(name), w) for name, w in (definition.weights or {}).items())),
        health=HealthCheck() if definition.health is None else checks.health_check(definition.health),
        fail=definition.fail or FailMode.OPEN,
        drain=None if definition.drain is None else parse.drain(definition.drain),
    )
    checks.require_probed_port(service)
    return service
