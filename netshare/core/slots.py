"""Slot tables: which endpoint each cell of a service's lookup table names.

The kernel draws a slot number and looks the endpoint up, so a strategy is nothing but the way its table is filled, and
the way its number is drawn: at random, in turn, or by a hash of the client's address.
"""

from collections.abc import Mapping
from functools import lru_cache, reduce
from math import gcd

from netshare.core import maglev
from netshare.core.model import Endpoint, Strategy


def table(strategy: Strategy, weights: Mapping[Endpoint, int]) -> tuple[Endpoint, ...]:
    """Fill a service's table; empty where nothing has a weight.

    The order of ``weights`` does not matter. Within one full cycle each endpoint comes up exactly as often as its
    weight says; with a source hash its share of the table is right to a fraction of a per cent.
    """
    weighted = {endpoint: weights[endpoint] for endpoint in sorted(weights, key=_order) if weights[endpoint] > 0}
    if not weighted:
        return ()
    divisor = reduce(gcd, weighted.values())
    reduced = tuple((endpoint, weight // divisor) for endpoint, weight in weighted.items())
    match strategy:
        case Strategy.RANDOM:
            return tuple(endpoint for endpoint, weight in reduced for _ in range(weight))
        case Strategy.ROUND_ROBIN:
            return _in_turn(reduced)
        case Strategy.SOURCE_HASH:
            return _hashed(reduced)


@lru_cache(maxsize=128)
def _hashed(weights: tuple[tuple[Endpoint, int], ...]) -> tuple[Endpoint, ...]:
    """Fill Maglev's table; remembered, as it takes 15 ms and every reconcile asks for all of them again."""
    return maglev.table(dict(weights))


def _order(endpoint: Endpoint) -> tuple[int, int, int]:
    return endpoint.address.version, int(endpoint.address), endpoint.port


@lru_cache(maxsize=128)
def _in_turn(weights: tuple[tuple[Endpoint, int], ...]) -> tuple[Endpoint, ...]:
    """Order one cycle smoothly: weights 2 and 1 give a b a, not a a b.

    The smooth weighted round-robin of nginx: everyone earns their weight each turn, the richest is chosen and pays
    what all have earned together. The first of equals wins, so the order is always the same.
    """
    endpoints, shares = [endpoint for endpoint, _ in weights], [weight for _, weight in weights]
    total = sum(shares)
    earned = [0] * len(shares)
    cycle = []
    for _ in range(total):
        earned = [each + share for each, share in zip(earned, shares, strict=True)]
        chosen = earned.index(max(earned))
        earned[chosen] -= total
        cycle.append(endpoints[chosen])
    return tuple(cycle)
