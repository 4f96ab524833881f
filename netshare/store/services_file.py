"""Services in one file, as ``apply`` takes and ``export`` gives them: the fields of a definition, in YAML or JSON.

Version 1, as that of a definition on disk, and what is unknown is refused here too.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netshare.core.model import Service
from netshare.errors import DefinitionError, UsageError
from netshare.store import schema
from netshare.store.document import LARGEST, Document, InvalidDocumentError, Place, read
from netshare.store.newer import NewerSchemaError, first, refuse_newer
from netshare.store.schema import SCHEMA, InvalidDefinitionError, ServiceModel

_HEADER = "# Services of netshare: `netshare apply -f FILE` brings a host to them, `netshare diff -f FILE` compares.\n"
_PUBLISHED = "services.schema.json"


class _File(BaseModel):
    """Services of netshare, for `netshare apply -f FILE`."""

    model_config = ConfigDict(strict=True, extra="forbid", title="netshare services")

    version: Literal[1] = Field(alias="schema", description="The version of this format.")
    services: list[ServiceModel] = Field(description="The services, each once.")


def load(path: Path) -> tuple[Service, ...]:
    """Read the services of the file at a path.

    Raises:
        DefinitionError: it can't be read, or is not such a file.

    """
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise DefinitionError(
            f"{path} can't be read: {error.strerror}",
            hint="name a file of services: `netshare export` prints such a file",
        ) from error
    return decode(content, str(path))


def decode(content: bytes, name: str) -> tuple[Service, ...]:
    """Read the services of a file; ``name`` is what errors call it.

    Raises:
        DefinitionError: it is not such a file, with the place and the mend.

    """
    try:
        document = read(content)
    except InvalidDocumentError as error:
        raise _invalid(name, error.line, str(error)) from error
    services = _services(document, name)
    _check_each(document, services, name)
    return tuple(services)


def checked(services: Iterable[Service], name: str) -> tuple[Service, ...]:
    """Check services that a program built by hand as those of a file are.

    Raises:
        DefinitionError: one is not sound.

    """
    them = tuple(services)
    for service in them:
        try:
            fields(service)
        except ValidationError as error:
            raise _invalid(name, None, f"{service.name!r}: {first(error)}") from error
    return decode(encode(them), name)


def encode(services: Iterable[Service]) -> bytes:
    """Write a file for people, in YAML; what is as it is by default is left out."""
    text = yaml.safe_dump(plain(services), sort_keys=False, allow_unicode=True, width=120)
    return (_HEADER + text).encode()


def plain(services: Iterable[Service]) -> dict[str, object]:
    """Give the same as data."""
    return {"schema": SCHEMA, "services": [fields(service) for service in services]}


def fields(service: Service) -> dict[str, object]:
    """Give a service by its fields, without those that are as they are by default."""
    return schema.to_model(service).model_dump(mode="json", exclude_defaults=True)


def as_text(service: Service | None) -> str:
    """Write one service down, to be compared with another; nothing where there is none."""
    return "" if service is None else yaml.safe_dump(fields(service), sort_keys=False, allow_unicode=True, width=120)


def json_schema() -> str:
    """Make the JSON schema of such a file: what `published` gives is made by it."""
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", **_File.model_json_schema(by_alias=True)}
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def published() -> str:
    """Give the JSON schema that editors and other programs may check a file by."""
    return files(__package__).joinpath(_PUBLISHED).read_text(encoding="utf-8")


def _services(document: Document, name: str) -> list[Service]:
    """Read each service by its fields; the first that is wrong is told of."""
    if not isinstance(document.data, dict):
        raise _invalid(name, document.line(()), "it has to say `schema: 1` and `services:` at its top")
    # By way of JSON, whose types are the strict ones: in Python's own a protocol would have to be one already.
    content = json.dumps(document.data).encode()
    try:
        refuse_newer(content, SCHEMA)
        found = _File.model_validate_json(content)
    except NewerSchemaError as error:
        raise _invalid(name, document.line(("schema",)), str(error)) from error
    except ValidationError as error:
        path = tuple(error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"])
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise _invalid(name, document.line(path), first(error) + more) from error
    services: list[Service] = []
    for index, model in enumerate(found.services):
        try:
            service = schema.to_service(model)
        except (InvalidDefinitionError, UsageError) as error:
            path = ("services", index)
            raise _invalid(name, document.line(path), f"{_shown(path)}, {model.name!r}: {error}") from error
        services.append(replace(service, select=tuple(sorted(service.select))))  # as `attach` has it
    return services


def _check_each(document: Document, services: Sequence[Service], name: str) -> None:
    """Refuse a service that is there twice, and a listener that two of them have."""
    names: set[str] = set()
    holders: dict[str, str] = {}
    for index, service in enumerate(services):
        line = document.line(("services", index))
        if service.name in names:
            raise _invalid(name, line, f"service {service.name} is there twice")
        names.add(service.name)
        for listener in map(str, service.listeners):
            if listener in holders:
                raise _invalid(name, line, f"{listener} is both {holders[listener]}'s and {service.name}'s")
            holders[listener] = service.name


def _shown(place: Place) -> str:
    return ".".join(map(str, place))


def _invalid(name: str, line: int | None, why: str) -> DefinitionError:
    where = name if line is None else f"{name}:{line}"
    return DefinitionError(
        f"{where}: {why}",
        hint="nothing was changed; `netshare export` prints such a file, `netshare export --schema` what it may have",
    )
