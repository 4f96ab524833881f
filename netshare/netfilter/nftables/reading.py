"""Reading: netshare's table as the kernel has it, back into a ruleset."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from netshare.core.links import IPNetwork
from netshare.core.model import Endpoint, Protocol
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.netfilter.driver import Observation
from netshare.netfilter.netlink import Netlink
from netshare.netfilter.nftables import userdata
from netshare.netfilter.nftables.chains import REFUSE, TABLE, TABLE_COMMENT, StrategyChain, fixed_chains
from netshare.netfilter.nftables.elements import DATA, KEY, KEY_END, USERDATA, counts, pairs, value, walked
from netshare.netfilter.nftables.expressions import DATA_VERDICT, VERDICT_CHAIN, read_host_u32
from netshare.netfilter.nftables.maps import (
    CONNECTION_SETS,
    FIXED_SETS,
    HAIRPIN_SETS,
    SERVICE_MAPS,
    SLOT_LENGTH,
    EndpointMap,
)
from netshare.netfilter.nftables.transaction import (
    ACCEPT,
    GET_CHAIN,
    GET_ELEMENT,
    GET_RULE,
    GET_SET,
    GET_TABLE,
    NFPROTO_INET,
    chains_in,
)
from netshare.netfilter.nftables.wire import number, string, table_of, text

_ATTEMPTS = 4
_Base = tuple[str, int, int, int]
"""The type, hook, priority and policy of a chain that the kernel calls itself."""


class _Chain(NamedTuple):
    """A chain: where it is hooked in, if anywhere, and the comments of its rules."""

    base: _Base | None
    rules: list[str]


class _Content(NamedTuple):
    """What the elements say, and whether they fit each other."""

    ruleset: Ruleset
    connections: Mapping[Target, int]
    fitting: bool


class _Listener(NamedTuple):
    """An element of a map of services: whose it is and where it goes."""

    service: str
    chain: str


def observe(netlink: Netlink, mark: int) -> Observation:
    """Read the table back.

    It is intact when every chain, rule and set of the fixed part is there as it was written, in order, nothing was
    added, and listeners, slots and targets fit each other. Rules are known by their comments: who replaces one by
    hand loses it.
    """
    about = f"table inet {TABLE}"
    table = netlink.get(GET_TABLE, NFPROTO_INET, text(1, TABLE), about=about)
    if table is None:
        return Observation()
    sets = _sets(netlink)
    content = _read_until_fitting(netlink, sets)
    intact = (
        content.fitting
        and userdata.read_comment(table_of(table).get(6)) == TABLE_COMMENT
        and number(table_of(table).get(2)) == 0  # flags: a dormant table does nothing
        and {place.name for place in FIXED_SETS} <= sets
        and {chain.map.name for chain in chains_in(content.ruleset)} <= sets
        and _chains(netlink) == _expected_chains(content.ruleset, mark)
    )
    return Observation(content.ruleset, intact, content.connections)


def connections(netlink: Netlink) -> dict[Target, int]:
    """Read the counts of new connections, and nothing else."""
    return _connections(netlink, _sets(netlink))


def _read_until_fitting(netlink: Netlink, sets: frozenset[str]) -> _Content:
    """Read all elements, and again where they do not fit each other.

    A dump is no snapshot: while the kernel resizes a hash table behind a large change (nft_rhash_walk), elements can be
    missing from it. What does not fit after some attempts is really damaged.
    """
    content = _read(netlink, sets)
    for _ in range(_ATTEMPTS - 1):
        if content.fitting:
            break
        content = _read(netlink, sets)
    return content


def _read(netlink: Netlink, sets: frozenset[str]) -> _Content:
    listeners = _listeners(netlink, sets)
    slots = _slots(netlink, sets)
    counted = _connections(netlink, sets)
    dispatches, fitting = _dispatches(listeners, slots)
    named = {Target(match.protocol, endpoint) for match, own in dispatches.items() for endpoint in set(own.slots)}
    ruleset = Ruleset(dispatches, frozenset(counted), _hairpins(netlink, sets))
    return _Content(ruleset, counted, fitting and named <= counted.keys())


def _sets(netlink: Netlink) -> frozenset[str]:
    """Name the sets and maps in netshare's table; older kernels dump every table's."""
    dump = netlink.dump(GET_SET, NFPROTO_INET, text(1, TABLE), about=f"maps of inet {TABLE}")
    described = map(table_of, dump)
    return frozenset(string(each.get(2)) for each in described if string(each.get(1)) == TABLE)


def _chains(netlink: Netlink) -> dict[str, _Chain]:
    """Read every chain of netshare's table, each with its rules in order."""
    chains: dict[str, _Chain] = {}
    for dumped in netlink.dump(GET_CHAIN, NFPROTO_INET, text(1, TABLE), about=f"chains of inet {TABLE}"):
        chain = table_of(dumped)
        if string(chain.get(1)) == TABLE:
            chains[string(chain.get(3))] = _Chain(_base(chain), [])
    for dumped in netlink.dump(GET_RULE, NFPROTO_INET, text(1, TABLE), about=f"rules of inet {TABLE}"):
        rule = table_of(dumped)
        if string(rule.get(1)) == TABLE:
            chains.setdefault(string(rule.get(2)), _Chain(None, [])).rules.append(userdata.read_comment(rule.get(7)))
    return chains


def _base(chain: Mapping[int, memoryview]) -> _Base | None:
    if 4 not in chain:  # noqa: PLR2004 (NFTA_CHAIN_HOOK)
        return None
    hook = table_of(chain[4])
    priority = int.from_bytes(hook.get(2, b""), "big", signed=True)
    return string(chain.get(7)), number(hook.get(1)), priority, number(chain.get(5))


def _expected_chains(ruleset: Ruleset, mark: int) -> dict[str, _Chain]:
    chains = (*fixed_chains(mark), *(chain.chain(mark) for chain in chains_in(ruleset)))
    return {
        chain.name: _Chain(
            None if chain.hook is None else (chain.hook.kind, chain.hook.number, chain.hook.priority, ACCEPT),
            [rule.comment for rule in chain.rules],
        )
        for chain in chains
    }


def _elements(netlink: Netlink, name: str, sets: frozenset[str]) -> list[memoryview]:
    """Dump the elements of a set, many to a message; a set that is not there has none."""
    if name not in sets:
        return []
    attributes = text(1, TABLE) + text(2, name)
    return netlink.dump(GET_ELEMENT, NFPROTO_INET, attributes, about=f"elements of {name}")


def _listeners(netlink: Netlink, sets: frozenset[str]) -> dict[Match, _Listener]:
    found: dict[Match, _Listener] = {}
    for services in SERVICE_MAPS:
        for message in _elements(netlink, services.name, sets):
            for element in walked(message):
                match = services.match(bytes(value(element[KEY])))
                if match is not None:
                    verdict = table_of(table_of(element[DATA])[DATA_VERDICT])
                    service = userdata.read_comment(element.get(USERDATA))
                    found[match] = _Listener(service, string(verdict.get(VERDICT_CHAIN)))
    return found


def _slots(netlink: Netlink, sets: frozenset[str]) -> dict[Match, dict[int, Endpoint]]:
    """Read who has which slot.

    A listener by source hash has 16,381 of them: its key and each endpoint are unpacked once.
    """
    found: dict[Match, dict[int, Endpoint]] = {}
    for place in _endpoint_maps():
        listeners: dict[bytes, dict[int, Endpoint]] = {}
        endpoints: dict[bytes, Endpoint] = {}
        for message in _elements(netlink, place.name, sets):
            for key, data in pairs(message, place.spec):
                prefix = key[:-SLOT_LENGTH]
                if prefix not in listeners:
                    listeners[prefix] = found.setdefault(place.entry(key)[0], {})
                if data not in endpoints:
                    endpoints[data] = place.endpoint(data)
                listeners[prefix][read_host_u32(key[-SLOT_LENGTH:])] = endpoints[data]
    return found


def _endpoint_maps() -> Iterator[EndpointMap]:
    for protocol in Protocol:
        for services in SERVICE_MAPS:
            yield EndpointMap(protocol, services.family, services.bound)


def _connections(netlink: Netlink, sets: frozenset[str]) -> dict[Target, int]:
    found: dict[Target, int] = {}
    for counted in CONNECTION_SETS:
        for message in _elements(netlink, counted.name, sets):
            for key, packets in counts(message, counted.spec):
                target = counted.target(key)
                if target is not None:
                    found[target] = packets
    return found


def _hairpins(netlink: Netlink, sets: frozenset[str]) -> frozenset[IPNetwork]:
    found = set()
    for place in HAIRPIN_SETS:
        for message in _elements(netlink, place.name, sets):
            for element in walked(message):
                first, last = bytes(value(element[KEY])), bytes(value(element.get(KEY_END, element[KEY])))
                found.add(place.network(first, last))
    return frozenset(network for network in found if network is not None)


def _dispatches(
    listeners: Mapping[Match, _Listener],
    slots: dict[Match, dict[int, Endpoint]],
) -> tuple[dict[Match, Dispatch], bool]:
    """Put listeners and slots together, and say whether they fit: no slot missing, none too many."""
    dispatches: dict[Match, Dispatch] = {}
    fitting = True
    for match, (service, name) in listeners.items():
        own = slots.pop(match, {})
        chain = StrategyChain.parse(name)
        expected = 0 if chain is None else chain.size
        numbered = [own[slot] for slot in range(expected) if slot in own]
        known = name == REFUSE or (chain is not None and chain == chain.of(match, chain.strategy, chain.size))
        fitting = fitting and known and len(own) == len(numbered) == expected
        dispatches[match] = Dispatch(service, None if chain is None else chain.strategy, tuple(numbered))
    return dispatches, fitting and not slots
