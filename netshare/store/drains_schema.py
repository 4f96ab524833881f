"""The drains as they are written down, and their way to and from `Drain`.

Schema 1. What is unknown is refused, never guessed.
"""

import math
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netshare.core import parse
from netshare.core.draining import Cause, Drain
from netshare.errors import UsageError
from netshare.store.newer import first, refuse_newer

SCHEMA: Literal[1] = 1

_Seconds = Annotated[float, Field(allow_inf_nan=False, ge=0)]
_Text = Annotated[str, Field(min_length=1, max_length=4096)]


class InvalidDrainsError(Exception):
    """What is written is no list of drains; the message says where and why."""


class _Drain(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    service: str
    replica: _Text
    name: _Text
    engine: _Text
    cause: Cause
    since: _Seconds
    deadline: _Seconds | None = None
    cut: Annotated[int, Field(ge=0)] | None = None


class _Drains(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", populate_by_name=True)

    version: Literal[1] = Field(alias="schema")
    boot: str
    drains: list[_Drain]


def decode(content: bytes) -> tuple[str, tuple[Drain, ...]]:
    """Read the start of the machine that drains are of, and the drains.

    Raises:
        NewerSchemaError: a newer netshare wrote them.
        InvalidDrainsError: that is not what is written.

    """
    refuse_newer(content, SCHEMA)
    try:
        written = _Drains.model_validate_json(content)
        return written.boot, tuple(map(_to_drain, written.drains))
    except ValidationError as error:
        raise InvalidDrainsError(first(error)) from error
    except UsageError as error:
        raise InvalidDrainsError(error.message) from error


def encode(boot: str, drains: Iterable[Drain]) -> bytes:
    """Write drains down."""
    written = _Drains(schema=SCHEMA, boot=boot, drains=[_to_written(drain) for drain in drains])
    return (written.model_dump_json(by_alias=True, exclude_none=True, indent=1) + "\n").encode()


def _to_written(drain: Drain) -> _Drain:
    return _Drain(
        service=drain.service,
        replica=drain.replica,
        name=drain.name,
        engine=drain.engine,
        cause=drain.cause,
        since=drain.since,
        deadline=drain.deadline if math.isfinite(drain.deadline) else None,
        cut=drain.cut,
    )


def _to_drain(written: _Drain) -> Drain:
    return Drain(
        service=parse.service_name(written.service),
        replica=written.replica,
        name=written.name,
        engine=written.engine,
        cause=written.cause,
        since=written.since,
        deadline=math.inf if written.deadline is None else written.deadline,
        cut=written.cut,
    )
