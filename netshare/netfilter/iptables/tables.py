"""All that netshare wants in the tables of one family, rule by rule, in the words and the form of ``iptables-save``.

Sources: iptables-extensions(8); the order of the hooks: include/uapi/linux/netfilter_ipv4.h.
"""

import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from types import MappingProxyType

from netshare.core.links import IPNetwork
from netshare.core.model import Endpoint, Family, IPAddress, Protocol, Strategy
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.netfilter.iptables import tree
from netshare.netfilter.iptables.names import chain
from netshare.netfilter.iptables.shares import Share, shares
from netshare.netfilter.made_by import made_by
from netshare.netfilter.rule_words import Words

SCHEMA = 2
"""Raised with every change of the chains and rules: what another schema made is rebuilt."""
MADE_BY = made_by(SCHEMA)
SERVICES, REFUSE, POSTROUTING, GUARD = map(chain, ("SERVICES", "REFUSE", "POSTROUTING", "GUARD"))
RAW, MANGLE, FILTER, NAT = "raw", "mangle", "filter", "nat"

_ACCEPT: Words = ("-j", "ACCEPT")
_MAX_PORT = 65535
_LENGTH = {Family.IP: 32, Family.IP6: 128}
_UNREACHABLE = {Family.IP: "icmp-port-unreachable", Family.IP6: "icmp6-port-unreachable"}


@dataclass(frozen=True, slots=True)
class Table:
    """netshare's part of a table: chains of its own, and the rules in the kernel's chains that lead there."""

    chains: Mapping[str, tuple[Words, ...]] = field(default_factory=lambda: MappingProxyType({}))
    hooks: tuple[tuple[str, Words], ...] = ()


Tables = Mapping[str, Table]
"""By the table's name; one with nothing of netshare's is left out."""


def tables(ruleset: Ruleset, family: Family, mark: int) -> Tables:
    """Write down what a ruleset is in one family."""
    bit = f"{mark:#x}/{mark:#x}"
    guard = {RAW: _guard()} if family is Family.IP else {}
    return guard | {
        FILTER: Table(
            {REFUSE: tuple(_refuse(family))},
            tuple((hook, ("-m", "mark", "--mark", bit, *_made(), "-j", REFUSE)) for hook in ("INPUT", "OUTPUT")),
        ),
        NAT: Table(
            dict(_nat_chains(ruleset, family, bit)),
            (
                *((hook, (*_made(), "-j", SERVICES)) for hook in ("PREROUTING", "OUTPUT")),
                ("POSTROUTING", ("-m", "connmark", "--mark", bit, *_made(), "-j", POSTROUTING)),
            ),
        ),
    }


def target_chain(target: Target) -> str:
    """Name the chain that sends connections to a target, and counts them."""
    return chain(target.protocol, target.endpoint.address, target.endpoint.port)


def listener_chain(match: Match) -> str:
    """Name the chain that draws one of a listener's slots."""
    at = () if match.address is None else (match.address,)
    return chain(match.protocol, match.port, *at)


def address_words(address: IPAddress) -> str:
    """Write an address as the C library does: Python writes some of IPv6 in another way."""
    return socket.inet_ntop(socket.AF_INET if address.version == 4 else socket.AF_INET6, address.packed)  # noqa: PLR2004


def endpoint_words(endpoint: Endpoint) -> str:
    """Write what DNAT goes to."""
    address = address_words(endpoint.address)
    return f"{address if endpoint.family is Family.IP else f'[{address}]'}:{endpoint.port}"


def comment(text: str) -> Words:
    """Write a comment."""
    return ("-m", "comment", "--comment", text)


def _made() -> Words:
    return comment(MADE_BY)


def _guard() -> Table:
    """Keep everybody but this host from what listens on its 127.0.0.1: see `netshare.netfilter.bridges`."""
    return Table(
        {GUARD: (("-j", "DROP"),)},
        (("PREROUTING", ("-d", "127.0.0.0/8", "!", "-i", "lo", *_made(), "-j", GUARD)),),
    )


def _refuse(family: Family) -> Iterator[Words]:
    """Turn away at once what the nat table has marked: only the filter table may send a refusal."""
    yield ("-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset")
    yield ("-j", "REJECT", "--reject-with", _UNREACHABLE[family])


def _nat_chains(ruleset: Ruleset, family: Family, bit: str) -> Iterator[tuple[str, tuple[Words, ...]]]:
    dispatches = {match: each for match, each in ruleset.dispatches.items() if match.family is family}
    protocols = [protocol for protocol in Protocol if any(match.protocol is protocol for match in dispatches)]
    yield (
        SERVICES,
        (
            ("-m", "addrtype", "!", "--dst-type", "LOCAL", "-j", "RETURN"),
            *(("-p", protocol.value, "-j", chain(protocol)) for protocol in protocols),
        ),
    )
    # No NAT of anyone else's after this, or the packet would not come by the filter table's refusal.
    yield REFUSE, (("-j", "MARK", "--set-xmark", bit), _ACCEPT)
    yield POSTROUTING, tuple(_rewritten_sources(ruleset.hairpins, family))
    for protocol in protocols:
        own = {match: each for match, each in dispatches.items() if match.protocol is protocol}
        yield from _tree(protocol, own).items()
    for match, dispatch in sorted(dispatches.items(), key=lambda item: _order(item[0])):
        if dispatch.strategy is not None:
            yield listener_chain(match), tuple(_draw(match, dispatch.strategy, dispatch.slots, bit))
    for target in sorted(ruleset.targets, key=_target_order):
        if target.endpoint.family is family:
            goes_to = ("-j", "DNAT", "--to-destination", endpoint_words(target.endpoint))
            yield target_chain(target), (("-p", target.protocol.value, *goes_to),)


def _rewritten_sources(subnets: Iterable[IPNetwork], family: Family) -> Iterator[Words]:
    if family is Family.IP:
        yield ("-s", "127.0.0.0/8", "!", "-o", "lo", "-j", "MASQUERADE")
    for subnet in sorted(subnets, key=lambda network: (int(network.network_address), network.prefixlen)):
        if isinstance(subnet, IPv4Network) is (family is Family.IP):
            words = f"{address_words(subnet.network_address)}/{subnet.prefixlen}"
            yield ("-s", words, "-d", words, "-j", "MASQUERADE")


def _tree(protocol: Protocol, dispatches: Mapping[Match, Dispatch]) -> dict[str, tuple[Words, ...]]:
    """Find a listener by its port; one on an address goes before one on all."""
    by_port: dict[int, list[Words]] = {}
    for match, dispatch in sorted(dispatches.items(), key=lambda item: _order(item[0])):
        by_port.setdefault(match.port, []).append(_listener(match, dispatch))

    def name(ports: range) -> str:
        return chain(protocol) if len(ports) > _MAX_PORT else chain(protocol, f"{ports.start}:{ports.stop - 1}")

    def descend(ports: range) -> Words:
        those = f"{ports.start}:{ports.stop - 1}" if len(ports) > 1 else str(ports.start)
        return (*_ports(protocol, those), "-g", name(ports))

    return tree.chains(by_port, name, descend)


def _ports(protocol: Protocol, ports: str) -> Words:
    return ("-p", protocol.value, "-m", protocol.value, "--dport", ports)


def _listener(match: Match, dispatch: Dispatch) -> Words:
    where = () if match.address is None else ("-d", f"{address_words(match.address)}/{_LENGTH[match.family]}")
    goes_to = REFUSE if dispatch.strategy is None else listener_chain(match)
    return (*where, *_ports(match.protocol, str(match.port)), *comment(dispatch.service), "-g", goes_to)


def _draw(match: Match, strategy: Strategy, slots: tuple[Endpoint, ...], bit: str) -> Iterator[Words]:
    if match.family is Family.IP6:  # ::1 can't be routed: clients fall back to 127.0.0.1
        yield ("-d", "::1/128", "-g", REFUSE)
    yield ("-j", "CONNMARK", "--set-xmark", bit)
    for share in shares(strategy, slots):
        goes_to = target_chain(Target(match.protocol, share.endpoint))
        yield (*_chance(strategy, share), *comment(f"{strategy} {share.taken} of {share.left}"), "-g", goes_to)


def _chance(strategy: Strategy, share: Share) -> Words:
    if share.is_last:
        return ()
    if strategy is Strategy.ROUND_ROBIN:
        return ("-m", "statistic", "--mode", "nth", "--every", str(share.left), "--packet", "0")
    return ("-m", "statistic", "--mode", "random", "--probability", share.probability)


def _order(match: Match) -> tuple[int, bool, int, Protocol]:
    address = match.address
    return match.port, address is None, 0 if address is None else int(address), match.protocol


def _target_order(target: Target) -> tuple[int, int, Protocol]:
    return int(target.endpoint.address), target.endpoint.port, target.protocol
