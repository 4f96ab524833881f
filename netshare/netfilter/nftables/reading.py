"""Reading: netshare's table as the kernel has it, back into a ruleset."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from netshare.core.links import IPNetwork
from netshare.core.model import Endpoint, Protocol
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.netfilter.driver import Observation
from netshare.netfilter.made_by import newer
from netshare.netfilter.netlink import Netlink
from netshare.netfilter.nftables import userdata
from netshare.netfilter.nftables.chains import REFUSE, SCHEMA, TABLE, TABLE_COMMENT, StrategyChain, fixed_chains
from netshare.netfilter.nftables.elements import DATA, KEY, KEY_END, USERDATA, counts, pairs, value, walked
from netshare.netfilter.nftables.expressions import DATA_VERDICT, VERDICT_CHAIN, read_host_u32
from netshare.netfilter.nftables.maps import (
    CONNECTION_SETS,
    FIXED_SETS,
    HAIRPIN_SETS,
    SERVICE_MAPS,
    SLOT_LENGTH,
    TYPE_VERDICT,
    EndpointMap,
    SetSpec,
)
from netshare.netfilter.nftables.transaction import (
    ACCEPT,
    GET_CHAIN,
    GET_ELEMENT,
    GET_RULE,
    GET_SET,
    GET_TABLE,
    NFPROTO_INET,
    SET_INTERVAL,
    SET_MAP,
    chains_in,
)
from netshare.netfilter.nftables.wire import number, string, table_of, text

_ATTEMPTS = 4
_Base = tuple[str, int, int, int]
"""The type, hook, priority and policy of a chain that the kernel calls itself."""


_Shape = tuple[int, int, bool, int]
"""Of a set or map: whether it is a map or of intervals, its key's length, and its data: verdicts, or how long."""


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
    comment = userdata.read_comment(table_of(table).get(6))
    intact = (
        content.fitting
        and comment == TABLE_COMMENT
        and number(table_of(table).get(2)) == 0  # flags: a dormant table does nothing
        and {place.name for place in FIXED_SETS} <= sets
        and {chain.map.name for chain in chains_in(content.ruleset)} <= sets
        and _chains(netlink) == _expected_chains(content.ruleset, mark)
    )
    return Observation(content.ruleset, intact, content.connections, newer([comment], SCHEMA))


def connections(netlink: Netlink) -> dict[Target, int]:
    """Read the counts of new connections, and nothing else."""
    return _connections(netlink, _sets(netlink), [])


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
    strange: list[str] = []
    listeners = _listeners(netlink, sets, strange)
    slots = _slots(netlink, sets, strange)
    counted = _connections(netlink, sets, strange)
    dispatches, fitting = _dispatches(listeners, slots)
    named = {Target(match.protocol, endpoint) for match, own in dispatches.items() for endpoint in set(own.slots)}
    ruleset = Ruleset(dispatches, frozenset(counted), _hairpins(netlink, sets, strange))
    return _Content(ruleset, counted, fitting and named <= counted.keys() and not strange)


def _sets(netlink: Netlink) -> frozenset[str]:
    """Name the sets and maps in netshare's table; older kernels dump every table's.

    One with the name of netshare's and another shape is somebody else's, and what is in it can't be read as ours.
    """
    dump = netlink.dump(GET_SET, NFPROTO_INET, text(1, TABLE), about=f"maps of inet {TABLE}")
    described = map(table_of, dump)
    return frozenset(
        string(each.get(2))
        for each in described
        if string(each.get(1)) == TABLE and _shape(each) == _SHAPES.get(string(each.get(2)), _shape(each))
    )


def _shape(described: Mapping[int, memoryview]) -> _Shape:
    kind = number(described.get(3)) & (SET_MAP | SET_INTERVAL)
    is_verdict = number(described.get(6)) == TYPE_VERDICT
    return kind, number(described.get(5)), is_verdict, 0 if is_verdict else number(described.get(7))


def _shape_of(spec: SetSpec) -> _Shape:
    kind = (0 if spec.data_type is None else SET_MAP) | (SET_INTERVAL if spec.interval_fields else 0)
    return kind, spec.key_length, spec.data_type == TYPE_VERDICT, spec.data_length


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


def _listeners(netlink: Netlink, sets: frozenset[str], strange: list[str]) -> dict[Match, _Listener]:
    found: dict[Match, _Listener] = {}
    for services in SERVICE_MAPS:
        for message in _elements(netlink, services.name, sets):
            for element in walked(message):
                key = value(element.get(KEY))
                match = services.match(key) if len(key) == services.spec.key_length else None
                if match is None:
                    strange.append(services.name)
                else:
                    verdict = table_of(table_of(element.get(DATA, b"")).get(DATA_VERDICT, b""))
                    service = userdata.read_comment(element.get(USERDATA))
                    found[match] = _Listener(service, string(verdict.get(VERDICT_CHAIN)))
    return found


def _slots(netlink: Netlink, sets: frozenset[str], strange: list[str]) -> dict[Match, dict[int, Endpoint]]:
    """Read who has which slot.

    A listener by source hash has 16,381 of them: its key and each endpoint are unpacked once.
    """
    found: dict[Match, dict[int, Endpoint]] = {}
    for place in _endpoint_maps():
        listeners: dict[bytes, dict[int, Endpoint]] = {}
        endpoints: dict[bytes, Endpoint] = {}
        for message in _elements(netlink, place.name, sets):
            for pair in pairs(message, place.spec):
                if pair is None:
                    strange.append(place.name)
                    continue
                key, data = pair
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


_SHAPES = {place.name: _shape_of(place.spec) for place in (*FIXED_SETS, *_endpoint_maps())}


def _connections(netlink: Netlink, sets: frozenset[str], strange: list[str]) -> dict[Target, int]:
    found: dict[Target, int] = {}
    for counted in CONNECTION_SETS:
        for message in _elements(netlink, counted.name, sets):
            for count in counts(message, counted.spec):
                target = None if count is None else counted.target(count[0])
                if target is None or count is None:
                    strange.append(counted.name)
                else:
                    found[target] = count[1]
    return found


def _hairpins(netlink: Netlink, sets: frozenset[str], strange: list[str]) -> frozenset[IPNetwork]:
    found = set()
    for place in HAIRPIN_SETS:
        for message in _elements(netlink, place.name, sets):
            for element in walked(message):
                first, last = value(element.get(KEY)), value(element.get(KEY_END, element.get(KEY)))
                is_whole = len(first) == len(last) == place.spec.key_length
                network = place.network(first, last) if is_whole else None
                if network is None:
                    strange.append(place.name)
                else:
                    found.add(network)
    return frozenset(found)


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
        # Counted before: a chain of another hand may be named after any number of slots.
        numbered = [own[slot] for slot in sorted(own) if slot < expected]
        known = name == REFUSE or (chain is not None and chain == chain.of(match, chain.strategy, chain.size))
        fitting = fitting and known and len(own) == len(numbered) == expected
        dispatches[match] = Dispatch(service, None if chain is None else chain.strategy, tuple(numbered))
    return dispatches, fitting and not slots
