"""The client of the slow third-party API."""

from dataclasses import dataclass

import requests
from requests.adapters import HTTPAdapter

from app.web.problems import UpstreamFailedError, UpstreamTimeoutError

_CONNECT_SECONDS = 3.0
_SPARE_SECONDS = 10.0
_IDLE_CONNECTIONS = 256  # kept for the next requests; more are opened when needed


@dataclass(frozen=True, slots=True)
class Advice:
    """What the API says."""

    advice: str
    number: int


class Upstream:
    """Plain `requests`; whether a call blocks a process, a thread or a greenlet is none of its business."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, no .netrc: it costs a look into the environment at every call
        self._session.mount(url, HTTPAdapter(pool_maxsize=_IDLE_CONNECTIONS))

    def ask(self, delay: float) -> Advice:
        """Call the API, which takes ``delay`` seconds.

        Raises:
            UpstreamTimeoutError: it took much longer.
            UpstreamFailedError: it is down, or its answer is not one.

        """
        try:
            response = self._session.get(
                self._url,
                params={"delay": f"{delay:g}"},
                timeout=(_CONNECT_SECONDS, delay + _SPARE_SECONDS),
                allow_redirects=False,
            )
            if response.status_code != requests.codes.ok:
                raise UpstreamFailedError(f"the slow API answered with status {response.status_code}")
            return _parse(response.json())
        except requests.ReadTimeout as error:
            raise UpstreamTimeoutError("the slow API took too long") from error
        except requests.JSONDecodeError as error:
            raise UpstreamFailedError("the slow API's answer is not JSON") from error
        except requests.RequestException as error:
            raise UpstreamFailedError("the slow API can't be reached") from error


def _parse(document: object) -> Advice:
    match document:
        case {"advice": str(advice), "number": int(number)}:
            return Advice(advice, number)
    raise UpstreamFailedError("the slow API's answer lacks what it should have")
