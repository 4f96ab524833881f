"""The words that netshare's part of the kernel is known by, and what follows where a newer netshare has made it.

Each driver counts the shapes that its tables have had: its schema. What an older one made is read as far as it is
understood, and made anew in one transaction. The same goes for what a newer one made, with one difference: nobody here
knows what of it was not understood. So nothing is made anew of which the kernel alone could have told.
"""

import re
from collections.abc import Iterable, Mapping, Set

from netshare.errors import EngineUnreachableError, NetfilterError
from netshare.runtime.version import __version__

_SCHEMA = re.compile(r"netshare (\d{1,9}): made by netshare")
_NAMED = 5


def made_by(schema: int) -> str:
    """Write the comment that says whose this is, and of which schema."""
    return f"netshare {schema}: made by netshare, removed by: netshare reset"


def newer(comments: Iterable[str], known: int) -> int | None:
    """Give the schema that one of these comments tells of, if it is newer than the one that is known."""
    found = [int(match[1]) for match in map(_SCHEMA.match, comments) if match]
    return max((schema for schema in found if schema > known), default=None)


def refusal(schema: int | None, kept: Set[str], silent: Mapping[str, EngineUnreachableError]) -> NetfilterError | None:
    """Say why what a newer netshare made has to stay: of what the kernel alone could tell.

    ``kept`` are services of which nothing else is known, ``silent`` are engines whose containers may have labels.
    """
    unread = {f"the labels of {name}'s containers" for name, silence in silent.items() if not silence.absent}
    unknown = sorted(kept | unread)
    if schema is None or not unknown:
        return None
    more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
    return NetfilterError(
        f"a newer netshare made what the kernel holds (schema {schema}, unknown to {__version__}), "
        f"and it can't be made anew while nothing is known of {', '.join(unknown[:_NAMED])}{more}",
        hint="connections go on as that one left them; use it again, or mend what else is told of and sync; "
        "`netshare reset` gives up what is in the kernel",
    )
