"""A client: requests one by one, or many at once."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

from app.serve.options import Bind

_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Response:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def document(self) -> Any:  # noqa: ANN401 (JSON)
        return json.loads(self.body)


def get(
    bind: Bind, path: str, *, source: str | None = None, headers: Mapping[str, str] | None = None, method: str = "GET"
) -> Response:
    """Send a request, from a certain address if told to."""
    connection = HTTPConnection(
        bind.address, bind.port, timeout=_SECONDS, source_address=(source, 0) if source else None
    )
    try:
        connection.request(method, path, headers=dict(headers or {}))
        response = connection.getresponse()
        return Response(response.status, dict(response.getheaders()), response.read().decode())
    finally:
        connection.close()


class AtOnce:
    """Requests that are all sent without waiting for each other's answers."""

    def __init__(self, bind: Bind, path: str, number: int) -> None:
        self._pool = ThreadPoolExecutor(number)
        self._futures: list[Future[Response]] = [self._pool.submit(get, bind, path) for _ in range(number)]
        self._pool.shutdown(wait=False)

    @property
    def answered(self) -> int:
        """How many are over."""
        return sum(future.done() for future in self._futures)

    def responses(self) -> Sequence[Response]:
        """Wait for all answers; one that fails raises."""
        return [future.result(_SECONDS) for future in self._futures]

    def statuses(self) -> list[int]:
        """Wait for all answers, and give their statuses."""
        return [response.status for response in self.responses()]
