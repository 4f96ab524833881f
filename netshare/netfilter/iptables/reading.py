"""From netshare's part of the tables back to the ruleset, with no memory: comments say whose a listener is.

What is damaged is passed over; whether anything is, is seen by writing the ruleset down again and comparing.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_address, ip_network
from itertools import pairwise

from netshare.core.links import IPNetwork
from netshare.core.model import Endpoint, Family, IPAddress, Protocol, Strategy
from netshare.core.parse import MAX_PORT
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.netfilter.iptables.tables import NAT, POSTROUTING, REFUSE, Table, Tables
from netshare.netfilter.rule_words import Words

_SHARE = re.compile(rf"({'|'.join(Strategy)}) (\d{{1,5}}) of \d{{1,5}}")
_ENDPOINT = re.compile(r"\[?([0-9a-f:.]+)\]?:(\d{1,5})")
_PORT = re.compile(r"[0-9]{1,5}")
_PROTOCOLS = frozenset(Protocol)

_Options = Mapping[str, str]


def ruleset(tables: Tables, family: Family) -> Ruleset:
    """Read one family's ruleset."""
    nat = tables.get(NAT, Table())
    chains = {name: [_options(words) for words in rules] for name, rules in nat.chains.items()}
    targets = dict(_targets(chains))
    dispatches = dict(_dispatches(chains, targets, family))
    hairpins = frozenset(_subnets(chains.get(POSTROUTING, ())))
    return Ruleset(dispatches, frozenset(targets.values()), hairpins)


def _options(words: Words) -> _Options:
    """Give the word behind each option."""
    return {option: word for option, word in pairwise(words) if option.startswith("-")}


def _targets(chains: Mapping[str, list[_Options]]) -> Iterator[tuple[str, Target]]:
    for name, rules in chains.items():
        for rule in rules:
            found = _ENDPOINT.fullmatch(rule.get("--to-destination", ""))
            address, port = (_address(found[1]), _port(found[2])) if found else (None, None)
            if address is not None and port is not None and rule.get("-p") in _PROTOCOLS:
                yield name, Target(Protocol(rule["-p"]), Endpoint(address, port))


def _dispatches(
    chains: Mapping[str, list[_Options]], targets: Mapping[str, Target], family: Family
) -> Iterator[tuple[Match, Dispatch]]:
    for rules in chains.values():
        for rule in rules:
            if not {"--dport", "--comment", "-g", "-p"} <= rule.keys() or rule["-p"] not in _PROTOCOLS:
                continue
            port, address = _port(rule["--dport"]), _address(rule.get("-d", "").partition("/")[0])
            if port is not None and (address is not None) is ("-d" in rule):
                match = Match(family, Protocol(rule["-p"]), port, address)
                yield match, _dispatch(rule["--comment"], rule["-g"], chains, targets)


def _dispatch(
    service: str, goes_to: str, chains: Mapping[str, list[_Options]], targets: Mapping[str, Target]
) -> Dispatch:
    if goes_to == REFUSE:
        return Dispatch(service)
    strategy, slots = None, []
    for rule in chains.get(goes_to, ()):
        share = _SHARE.fullmatch(rule.get("--comment", ""))
        target = targets.get(rule.get("-g", ""))
        if share is not None and target is not None:
            strategy = Strategy(share[1])
            slots += [target.endpoint] * int(share[2])
    return Dispatch(service, strategy, tuple(slots))


def _subnets(rules: list[_Options] | tuple[()]) -> Iterator[IPNetwork]:
    for rule in rules:
        if "-s" in rule and rule["-s"] == rule.get("-d"):
            with suppress(ValueError):
                yield ip_network(rule["-s"])


def _address(word: str) -> IPAddress | None:
    try:
        return ip_address(word)
    except ValueError:
        return None


def _port(word: str) -> int | None:
    return int(word) if _PORT.fullmatch(word) and 0 < int(word) <= MAX_PORT else None
