"""What a newer netshare has written, told from what is broken: by the schema number that every file begins with.

A field that came without a new number is one that an older netshare refuses by itself, and would not misread: it is
named as one that a newer netshare may know.
"""

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netshare.runtime.version import __version__


class NewerSchemaError(Exception):
    """A file is of a schema that this netshare does not know; the message says of which."""


class _Versioned(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    version: int = Field(alias="schema")


def refuse_newer(content: bytes, known: int) -> None:
    """Refuse what a newer netshare wrote; whatever else is wrong is for the reader of the whole to say.

    Raises:
        NewerSchemaError: its schema has a higher number than the one that is known.

    """
    try:
        found = _Versioned.model_validate_json(content).version
    except ValidationError:
        return
    if found > known:
        raise NewerSchemaError(
            f"a newer netshare wrote it: its schema is {_shown(found)}, and this one ({__version__}) knows {known}"
        )


def _shown(number: int) -> str:
    """Show a number of somebody else's, which may have any number of digits."""
    return str(number) if abs(number) < 10**9 else "a number of more than nine digits"


def first(error: ValidationError) -> str:
    """Say the first thing that is wrong; the rest often follows from it."""
    details = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, details["loc"]))
    if details["type"] == "extra_forbidden":
        return f"{where}: netshare {__version__} knows no such field; a newer one may have written it"
    return f"{where}: {details['msg']}" if where else details["msg"]
