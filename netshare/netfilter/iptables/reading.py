"""From netshare's part of the tables back to the ruleset, with no memory: comments say whose a listener is.

What is damaged is passed over; whether anything is, is seen by writing the ruleset down again and comparing.
"""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from itertools import pairwise

from netshare.core.links import IPNetwork
from netshare.core.model import Endpoint, Family, Protocol, Strategy
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.netfilter.iptables.tables import NAT, POSTROUTING, REFUSE, Table, Tables
from netshare.netfilter.rule_words import Words

_SHARE = re.compile(rf"({'|'.join(Strategy)}) (\d{{1,5}}) of \d{{1,5}}")
_ENDPOINT = re.compile(r"\[?([0-9a-f:.]+)\]?:(\d{1,5})")

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
            if found is not None and rule.get("-p") in set(Protocol):
                yield name, Target(Protocol(rule["-p"]), Endpoint(ip_address(found[1]), int(found[2])))


def _dispatches(
    chains: Mapping[str, list[_Options]], targets: Mapping[str, Target], family: Family
) -> Iterator[tuple[Match, Dispatch]]:
    for rules in chains.values():
        for rule in rules:
            if {"--dport", "--comment", "-g", "-p"} <= rule.keys():
                address = ip_address(rule["-d"].partition("/")[0]) if "-d" in rule else None
                match = Match(family, Protocol(rule["-p"]), int(rule["--dport"]), address)
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
            yield ip_network(rule["-s"])
