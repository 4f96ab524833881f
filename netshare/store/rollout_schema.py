"""A rollout as it is written down, and its way to and from `Rollout`.

Schema 1. What is unknown is refused, never guessed.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from netshare.core import parse
from netshare.core.rollout import Direction, Maker, Member, Options, Pair, Rollout, Stage
from netshare.errors import UsageError
from netshare.store.newer import first, refuse_newer

SCHEMA: Literal[1] = 1

_Text = Annotated[str, Field(min_length=1, max_length=4096)]
_Seconds = Annotated[float, Field(allow_inf_nan=False, ge=0)]
_Count = Annotated[int, Field(ge=1)]


class InvalidRolloutError(Exception):
    """What is written is no rollout; the message says where and why."""


class _Member(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    id: Annotated[str, Field(max_length=4096)]
    name: _Text
    engine: _Text


class _Pair(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    old: _Member
    new: _Member | None = None
    stage: Stage
    weight: Annotated[int, Field(ge=0, le=parse.MAX_WEIGHT)] | None = None


class _Options(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    batch: _Count
    surge: _Count
    timeout: _Seconds
    drain: str | None = None
    canary: Annotated[int, Field(ge=1, le=99)] | None = None
    pause: str | None = None


class _Rollout(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", populate_by_name=True)

    version: Literal[1] = Field(alias="schema")
    service: str
    maker: Maker
    image: _Text | None = None
    direction: Direction
    is_paused: bool = False
    is_tried: bool = False
    failure: str | None = None
    timed_out: bool = False
    options: _Options
    pairs: Annotated[list[_Pair], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        ids = [member.id for pair in self.pairs for member in (pair.old, pair.new) if member and member.id]
        if len(set(ids)) != len(ids):
            raise ValueError("a container takes part twice")
        return self


def decode(content: bytes) -> Rollout:
    """Read a rollout.

    Raises:
        NewerSchemaError: a newer netshare wrote it.
        InvalidRolloutError: it is not one.

    """
    refuse_newer(content, SCHEMA)
    try:
        written = _Rollout.model_validate_json(content)
        options = written.options
        return Rollout(
            parse.service_name(written.service),
            written.maker,
            Options(
                options.batch,
                options.surge,
                options.timeout,
                _time(options.drain),
                options.canary,
                _time(options.pause),
            ),
            tuple(
                Pair(_member(pair.old), None if pair.new is None else _member(pair.new), pair.stage, pair.weight)
                for pair in written.pairs
            ),
            written.image,
            written.direction,
            written.is_paused,
            written.is_tried,
            written.failure,
            written.timed_out,
        )
    except ValidationError as error:
        raise InvalidRolloutError(first(error)) from error
    except UsageError as error:
        raise InvalidRolloutError(error.message) from error


def encode(rollout: Rollout) -> bytes:
    """Write a rollout, for people too."""
    options = rollout.options
    written = _Rollout(
        schema=SCHEMA,
        service=rollout.service,
        maker=rollout.maker,
        image=rollout.image,
        direction=rollout.direction,
        is_paused=rollout.is_paused,
        is_tried=rollout.is_tried,
        failure=rollout.failure,
        timed_out=rollout.timed_out,
        options=_Options(
            batch=options.batch,
            surge=options.surge,
            timeout=options.timeout,
            drain=_words(options.drain),
            canary=options.canary,
            pause=_words(options.pause),
        ),
        pairs=[
            _Pair(
                old=_written(pair.old),
                new=None if pair.new is None else _written(pair.new),
                stage=pair.stage,
                weight=pair.weight,
            )
            for pair in rollout.pairs
        ],
    )
    return (written.model_dump_json(by_alias=True, exclude_none=True, indent=1) + "\n").encode()


def _time(words: str | None) -> float | None:
    return None if words is None else parse.drain(words)


def _words(seconds: float | None) -> str | None:
    return None if seconds is None else parse.drain_words(seconds)


def _member(written: _Member) -> Member:
    return Member(written.id, written.name, written.engine)


def _written(member: Member) -> _Member:
    return _Member(id=member.id, name=member.name, engine=member.engine)
