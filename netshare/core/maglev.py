"""Maglev's table: a client's hash leads to the same endpoint for as long as that is there.

Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4. Every endpoint
has a permutation of the slots of its own; in turn, each takes the first of its slots that is still free.
"""

from collections.abc import Mapping
from hashlib import blake2b

from netshare.core.model import Endpoint

SIZE = 16381
"""The number of slots: prime, so that every skip runs through all of them, and the same for any number of endpoints.

A size that followed the number of endpoints would move every client each time it changed. When one of N endpoints goes,
this many slots keep all but a fraction of the other endpoints' clients in place: of all slots at most 0.1 % move
needlessly with 3 endpoints, 0.7 % with 10, 1.3 % with 50 (`tests/property/test_slots.py`).
"""


def table(weights: Mapping[Endpoint, int]) -> tuple[Endpoint, ...]:
    """Fill the table; weights are positive, and a heavier endpoint takes more of the turns."""
    heaviest = max(weights.values())
    turns = [_Turns(endpoint, weight / heaviest) for endpoint, weight in weights.items()]
    slots: list[Endpoint | None] = [None] * SIZE
    free = SIZE
    while True:
        for each in turns:
            each.credit += each.share
            if each.credit < 1:
                continue
            each.credit -= 1
            slots[each.next_free(slots)] = each.endpoint
            free -= 1
            if not free:
                return tuple(slot for slot in slots if slot is not None)


class _Turns:
    """One endpoint's way through the slots."""

    __slots__ = ("_skip", "_slot", "credit", "endpoint", "share")

    def __init__(self, endpoint: Endpoint, share: float) -> None:
        self.endpoint = endpoint
        self.share = share
        self.credit = 0.0
        self._slot = _hash(endpoint, b"offset") % SIZE
        self._skip = _hash(endpoint, b"skip") % (SIZE - 1) + 1

    def next_free(self, slots: list[Endpoint | None]) -> int:
        """Go on to the next slot that nobody has."""
        while slots[self._slot] is not None:
            self._slot = (self._slot + self._skip) % SIZE
        return self._slot


def _hash(endpoint: Endpoint, purpose: bytes) -> int:
    """Hash with a fixed key: tables are the same on every start and on every host."""
    digest = blake2b(endpoint.address.packed + endpoint.port.to_bytes(2, "big"), digest_size=8, key=purpose).digest()
    return int.from_bytes(digest, "big")
