"""A probe by TCP: an endpoint that takes a connection is well.

The connection is closed at once, in the orderly way: a reset would show as an error in the logs of many a server.
"""

from netshare.core.model import Endpoint
from netshare.health.connecting import connection


async def connect(endpoint: Endpoint) -> None:
    """Connect, and close.

    Raises:
        OSError: the endpoint takes no connection.

    """
    async with connection(endpoint):
        pass
