"""What clients may ask for."""

import re

from werkzeug.datastructures import MultiDict

from app.web.problems import BadInputError

DEFAULT_DELAY = 1.0

# Not whatever float() takes: no nan, no inf, no 1e9, no digits of other scripts.
_SECONDS = re.compile(r"\d{1,3}(\.\d{1,3})?", re.ASCII)


def parse_delay(arguments: MultiDict[str, str], longest: float) -> float:
    """Read ``delay=SECONDS`` of a query string.

    Raises:
        BadInputError: it is not a number of seconds, not within bounds, or given twice.

    """
    match arguments.getlist("delay"):
        case []:
            return min(DEFAULT_DELAY, longest)
        case [text] if _SECONDS.fullmatch(text):
            delay = float(text)
        case [text]:
            raise BadInputError(f"delay: {text[:40]!r} is not a number of seconds such as 1 or 0.25")
        case _:
            raise BadInputError("delay: given more than once")
    if delay > longest:
        raise BadInputError(f"delay: {delay:g} is more than the {longest:g} seconds allowed")
    return delay
