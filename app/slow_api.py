"""The slow third-party API, in a process of its own: ``GET /?delay=SECONDS`` answers after that time.

It is a real server and not a mock: connections to it can be refused, break, pile up. It waits in greenlets, so that
its own capacity is never what is measured.
"""

from collections.abc import Callable, Iterable
from itertools import count
from json import dumps
from time import sleep
from typing import Any
from urllib.parse import parse_qs

_LONGEST_DELAY = 60.0
_ADVICE = (
    "Sleep on it.",
    "Measure, then cut.",
    "Ask the person who runs it.",
    "Try the simple thing first.",
)


class SlowApi:
    """The WSGI application."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request, late."""
        if environ["PATH_INFO"] == "/healthz":
            return _answer(start_response, "200 OK", {"status": "ok"})
        if environ["PATH_INFO"] != "/":
            return _answer(start_response, "404 Not Found", {"error": "not_found"})
        try:
            delay = float(parse_qs(environ.get("QUERY_STRING", "")).get("delay", ["1"])[0])
        except ValueError:
            delay = -1.0
        if not 0 <= delay <= _LONGEST_DELAY:
            return _answer(start_response, "400 Bad Request", {"error": "bad_delay"})
        sleep(delay)
        number = next(self._numbers)
        return _answer(start_response, "200 OK", {"advice": _ADVICE[number % len(_ADVICE)], "number": number})


def _answer(start_response: Callable[..., Any], status: str, document: dict[str, object]) -> Iterable[bytes]:
    body = dumps(document).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
