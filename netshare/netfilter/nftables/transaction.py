"""Writing: a change of the ruleset as the messages of one netlink batch.

In this order: create maps and chains, delete elements, add elements, delete chains and maps. An element that gets other
data is deleted and added; the batch is atomic, so no packet sees it missing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

from netshare.core.diff import Change
from netshare.core.links import IPNetwork
from netshare.core.model import Strategy
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.netfilter.netlink import F_APPEND, F_CREATE, F_EXCL, Message
from netshare.netfilter.nftables import userdata
from netshare.netfilter.nftables.chains import REFUSE, TABLE, TABLE_COMMENT, Chain, StrategyChain, fixed_chains
from netshare.netfilter.nftables.elements import (
    LIST,
    counter_packer,
    interval_element,
    key_packer,
    map_packer,
    verdict_element,
)
from netshare.netfilter.nftables.maps import (
    CONNECTION_SETS,
    FIXED_SETS,
    EndpointMap,
    HairpinSet,
    ServiceMap,
    SetSpec,
)
from netshare.netfilter.nftables.wire import MAX_ATTRIBUTE, attribute, nested, text, u32

NFPROTO_INET = 1
NEW_TABLE, GET_TABLE, DELETE_TABLE = 0, 1, 2
NEW_CHAIN, GET_CHAIN, DELETE_CHAIN = 3, 4, 5
NEW_RULE, GET_RULE = 6, 7
NEW_SET, GET_SET, DELETE_SET = 9, 10, 11
NEW_ELEMENT, GET_ELEMENT, DELETE_ELEMENT = 12, 13, 14
GET_GENERATION = 16

SET_INTERVAL, SET_MAP, _SET_CONCAT = 0x4, 0x8, 0x80  # NFT_SET_*
ACCEPT = 1  # NF_ACCEPT, a chain's policy


@dataclass(frozen=True, slots=True)
class _Step:
    """What becomes of one match."""

    match: Match
    old: Dispatch | None
    new: Dispatch | None


@dataclass(slots=True)
class _Elements:
    """Packed elements, by the set they are deleted from or added to."""

    deleted: defaultdict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    added: defaultdict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))


def chain_of(match: Match, dispatch: Dispatch | None) -> StrategyChain | None:
    """Find the chain a dispatch goes to; ``None`` where it refuses."""
    if dispatch is None or dispatch.strategy is None:
        return None
    return StrategyChain.of(match, dispatch.strategy, len(dispatch.slots))


def chains_in(ruleset: Ruleset) -> frozenset[StrategyChain]:
    """Collect every chain that some service of a ruleset uses; the one they share is made once."""
    kinds: dict[object, Match] = {}
    for match, dispatch in ruleset.dispatches.items():
        own = match if dispatch.strategy is Strategy.ROUND_ROBIN else match.address is None
        kinds[match.protocol, match.family, own, dispatch.strategy, len(dispatch.slots)] = match
    used = (chain_of(match, ruleset.dispatches[match]) for match in kinds.values())
    return frozenset(chain for chain in used if chain is not None)


def delete_table() -> list[Message]:
    """Delete netshare's table, and with it everything netshare has in nf_tables."""
    return [_table(DELETE_TABLE, 0, text(1, TABLE))]


def write(change: Change, mark: int) -> list[Message]:
    """Write a change down as the messages of one batch."""
    before = Ruleset() if change.rebuild else change.before
    steps = list(_steps(change))
    old = _chains(steps, [step.old for step in steps])
    new = _chains(steps, [step.new for step in steps])
    created = {chain for chain in new - old if not _is_used(chain, before)}
    deleted = {chain for chain in old - new if not _is_used(chain, change.after)}
    elements = _elements(steps)
    if change.rebuild:
        _count(elements, (), change.after.targets)
        _hairpins(elements, (), change.after.hairpins)
    else:
        _count(elements, change.targets_removed, change.targets_added)
        _hairpins(elements, change.hairpins_removed, change.hairpins_added)
    return [
        *(_rebuild(mark) if change.rebuild else ()),
        *_create(created, _maps_unused(created, before), mark),
        *_element_messages(DELETE_ELEMENT, elements.deleted),
        *_element_messages(NEW_ELEMENT, elements.added),
        *_delete(deleted, _maps_unused(deleted, change.after)),
    ]


def _steps(change: Change) -> Iterator[_Step]:
    if change.rebuild:
        yield from (_Step(match, None, dispatch) for match, dispatch in change.after.dispatches.items())
        return
    yield from (_Step(match, dispatch, None) for match, dispatch in change.removed.items())
    yield from (_Step(match, old, new) for match, (old, new) in change.altered.items())
    yield from (_Step(match, None, dispatch) for match, dispatch in change.added.items())


def _chains(steps: Iterable[_Step], dispatches: Iterable[Dispatch | None]) -> set[StrategyChain]:
    chains = (chain_of(step.match, dispatch) for step, dispatch in zip(steps, dispatches, strict=True))
    return {chain for chain in chains if chain is not None}


def _is_used(chain: StrategyChain, ruleset: Ruleset) -> bool:
    """Look for a service that uses a chain; stops at the first, and compares sizes before anything dearer."""
    return any(
        len(dispatch.slots) == chain.size and chain_of(match, dispatch) == chain
        for match, dispatch in ruleset.dispatches.items()
    )


def _maps_unused(chains: Iterable[StrategyChain], ruleset: Ruleset) -> set[EndpointMap]:
    """Find the maps of these chains that nothing in a ruleset needs."""
    maps = {chain.map for chain in chains}
    if not maps:
        return maps
    return maps - {chain.map for chain in chains_in(ruleset)}


def _elements(steps: Iterable[_Step]) -> _Elements:
    elements = _Elements()
    for step in steps:
        match, old, new = step.match, step.old, step.new
        if _route(match, old) != _route(match, new):
            _reroute(elements, step)
        old_slots, new_slots = old.slots if old else (), new.slots if new else ()
        if old_slots == new_slots:
            continue
        place = EndpointMap.of(match)
        pack_key, pack = key_packer(place.spec), map_packer(place.spec)
        deleted, added, prefix = elements.deleted[place.name], elements.added[place.name], place.key_prefix(match)
        for slot, (was, becomes) in enumerate(zip_longest(old_slots, new_slots)):
            if was == becomes:
                continue
            key = place.slot_key(prefix, slot)
            if was is not None:
                deleted.append(pack_key(key))
            if becomes is not None:
                added.append(pack(key, place.data(becomes)))
    return elements


def _route(match: Match, dispatch: Dispatch | None) -> tuple[str, StrategyChain | None] | None:
    """Say what the element in the map of services must say: whose it is, and which chain it goes to."""
    return None if dispatch is None else (dispatch.service, chain_of(match, dispatch))


def _reroute(elements: _Elements, step: _Step) -> None:
    services = ServiceMap.of(step.match)
    key = services.key(step.match)
    if step.old is not None:
        elements.deleted[services.name].append(key_packer(services.spec)(key))
    if step.new is not None:
        chain = chain_of(step.match, step.new)
        goes_to = REFUSE if chain is None else chain.name
        comment = userdata.comment(step.new.service)
        elements.added[services.name].append(verdict_element(key, goes_to, comment))


def _count(elements: _Elements, gone: Iterable[Target], come: Iterable[Target]) -> None:
    for counted in CONNECTION_SETS:
        pack_key, pack = key_packer(counted.spec), counter_packer(counted.spec)
        for target in gone:
            if target.endpoint.family is counted.family:
                elements.deleted[counted.name].append(pack_key(counted.key(target)))
        for target in come:
            if target.endpoint.family is counted.family:
                elements.added[counted.name].append(pack(counted.key(target)))


def _hairpins(elements: _Elements, gone: Iterable[IPNetwork], come: Iterable[IPNetwork]) -> None:
    for networks, packed in ((gone, elements.deleted), (come, elements.added)):
        for network in sorted(networks, key=str):
            place = HairpinSet.of(network)
            packed[place.name].append(interval_element(*place.key(network)))


def _element_messages(kind: int, elements: Mapping[str, Iterable[bytes]]) -> Iterator[Message]:
    """Spread elements over as few messages as an attribute's 16-bit length allows."""
    flags = F_CREATE | F_EXCL if kind == NEW_ELEMENT else 0
    for name, packed in elements.items():
        place = text(1, TABLE) + text(2, name)
        for chunk in _chunks(packed):
            yield Message(kind, flags, NFPROTO_INET, place + nested(LIST, chunk), f"elements of {name}")


def _chunks(packed: Iterable[bytes]) -> Iterator[bytes]:
    chunk: list[bytes] = []
    size = 0
    for element in packed:
        if size + len(element) > MAX_ATTRIBUTE:
            yield b"".join(chunk)
            chunk, size = [], 0
        chunk.append(element)
        size += len(element)
    if chunk:
        yield b"".join(chunk)


def _rebuild(mark: int) -> Iterator[Message]:
    """Replace the table by one with the fixed part alone; established flows outlive this within one batch."""
    comment = attribute(6, userdata.comment(TABLE_COMMENT))
    yield _table(NEW_TABLE, F_CREATE, text(1, TABLE))  # else there may be none to delete
    yield from delete_table()
    yield _table(NEW_TABLE, F_CREATE, text(1, TABLE) + u32(2, 0) + comment)
    for number, place in enumerate(FIXED_SETS, start=1):
        yield _new_set(place.spec, number)
    chains = fixed_chains(mark)
    yield from map(_new_chain, chains)
    for chain in chains:
        yield from _new_rules(chain)


def _create(chains: Iterable[StrategyChain], maps: Iterable[EndpointMap], mark: int) -> Iterator[Message]:
    for number, place in enumerate(sorted(maps, key=lambda m: m.name), start=100):
        yield _new_set(place.spec, number)
    for strategy in sorted(chains, key=lambda c: c.name):
        chain = strategy.chain(mark)
        yield _new_chain(chain)
        yield from _new_rules(chain)


def _delete(chains: Iterable[StrategyChain], maps: Iterable[EndpointMap]) -> Iterator[Message]:
    for name in sorted(chain.name for chain in chains):
        yield Message(DELETE_CHAIN, 0, NFPROTO_INET, text(1, TABLE) + text(3, name), f"chain {name}")
    for name in sorted(place.name for place in maps):
        yield Message(DELETE_SET, 0, NFPROTO_INET, text(1, TABLE) + text(2, name), f"map {name}")


def _table(kind: int, flags: int, attributes: bytes) -> Message:
    return Message(kind, flags, NFPROTO_INET, attributes, f"table inet {TABLE}")


def _new_chain(chain: Chain) -> Message:
    attributes = text(1, TABLE) + text(3, chain.name)
    if chain.hook is not None:
        priority = attribute(2, chain.hook.priority.to_bytes(4, "big", signed=True))
        attributes += nested(4, u32(1, chain.hook.number), priority) + u32(5, ACCEPT) + text(7, chain.hook.kind)
    return Message(NEW_CHAIN, F_CREATE, NFPROTO_INET, attributes, f"chain {chain.name}")


def _new_rules(chain: Chain) -> Iterator[Message]:
    for rule in chain.rules:
        attributes = (
            text(1, TABLE)
            + text(2, chain.name)
            + nested(4, *rule.expressions)
            + attribute(7, userdata.comment(rule.comment))
        )
        about = f"rule “{rule.words}” of chain {chain.name}"
        yield Message(NEW_RULE, F_CREATE | F_APPEND, NFPROTO_INET, attributes, about)


def _new_set(spec: SetSpec, number: int) -> Message:
    """Declare a set or map; ``number`` tells the sets of one batch apart."""
    flags = (0 if spec.data_type is None else SET_MAP) | (SET_INTERVAL | _SET_CONCAT if spec.interval_fields else 0)
    attributes = [
        text(1, TABLE),
        text(2, spec.name),
        u32(3, flags),
        u32(4, spec.key_type),
        u32(5, spec.key_length),
        u32(10, number),
        attribute(13, spec.userdata),
    ]
    if spec.data_type is not None:
        attributes += [u32(6, spec.data_type), u32(7, spec.data_length)]
    if spec.interval_fields:
        lengths = (nested(1, u32(1, length)) for length in spec.interval_fields)
        attributes.append(nested(9, nested(2, *lengths)))  # NFTA_SET_DESC_CONCAT
    if spec.counted:
        attributes.append(nested(17, text(1, "counter"), nested(2)))
    return Message(NEW_SET, F_CREATE, NFPROTO_INET, b"".join(attributes), f"map {spec.name}")
