"""A stream of events as lines: opened from a point in time, closed from another thread, never ending quietly.

One with an end, in the past, gives what the engine still remembers of it.

Not the SDK's own `events`: that one waits for ever on a peer that is gone, and turns a broken stream into a normal end.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from netshare.engine.docker_connection import Address

if TYPE_CHECKING:
    import docker

LONGEST_LINE = 1 << 20
"""Bytes of one event, with all labels of its container; an engine that says more in a line is none."""
QUIET_SECONDS = 20
"""How long a stream may be silent before the peer is asked whether it still lives."""


class EventStream:
    """One open request for events; ``since`` is a point in time as the engine reads it, ``filters`` what is wanted.

    With ``until``, a point in the past, the stream ends once everything before it is told.
    """

    def __init__(
        self,
        client: "docker.APIClient",
        address: Address,
        since: str,
        filters: Mapping[str, Sequence[str]],
        until: str | None = None,
    ) -> None:
        self._address = address
        self._has_end = until is not None
        with address.translated():
            self._response = client.get(
                f"{client.base_url}/v{client.api_version}/events",
                params={"since": since, "until": until, "filters": json.dumps(filters)},
                stream=True,
                timeout=(client.timeout, QUIET_SECONDS),
            )
            self._response.raise_for_status()

    def lines(self) -> Iterator[bytes]:
        """Give each line at once when it comes; ends after QUIET_SECONDS of silence.

        After its timeout Python refuses to read from the same socket again, so the caller opens a new stream.

        Raises:
            EngineUnreachableError: the stream broke, or ended though it has no end.

        """
        import urllib3

        rest = b""
        with self._address.translated():
            try:
                # One event is written a chunk, and a chunk is handed on as soon as it is there; a larger one in parts.
                for chunk in self._response.raw.stream(amt=LONGEST_LINE, decode_content=True):
                    *whole, rest = (rest + chunk).split(b"\n")
                    yield from whole
                    if len(rest) > LONGEST_LINE:
                        raise self._address.unreachable(f"a line of its event stream is over {LONGEST_LINE} bytes")
            except urllib3.exceptions.ReadTimeoutError:
                return
        if not self._has_end:
            raise self._address.unreachable("its event stream ended")

    def interrupt(self) -> None:
        """Wake the thread that is blocked in `lines`: to it the stream has broken."""
        from docker.types import CancellableStream

        # Where the stream ends by itself at the same moment, the SDK finds no socket (AttributeError) or a closed one.
        with suppress(OSError, AttributeError):
            CancellableStream(iter(()), self._response).close()

    def release(self) -> None:
        """Free the connection; by the thread that read it."""
        self._response.close()
