"""Where netshare's one accepting rule stands in iptables' filter table, and how it gets there. Pure.

An accept in a chain of netshare's own would not help: it ends that chain alone, while a drop anywhere is final. So one
static rule goes where the dropping is done, into each of iptables' tables (nf_tables and legacy, IPv4 and IPv6):

* In DOCKER-USER, where it is: the chain that Docker keeps for the administrator. It goes behind their rules, just
  before the RETURN that older versions of Docker end the chain with.
* In FORWARD, where something drops before a packet comes to DOCKER-USER, or there is none: the policy (ufw's or the
  administrator's), isolated networks of Podman, a rule that ends the chain. It goes in front of the first of these, and
  so behind rules that turn certain sources away (a ban of fail2ban's, ``ufw route deny from``): these stay in force.
"""

from itertools import pairwise

from netshare.netfilter.rule_words import Words
from netshare.netfilter.surroundings.xtables import DOCKER_USER, FORWARD, FilterTable, target

COMMENT = "netshare: connections it balances"
_RETURN = ("-A", DOCKER_USER, "-j", "RETURN")
_DROPPING = frozenset({"DROP", "REJECT"})
_LOGGING = frozenset({"LOG", "NFLOG", "ULOG"})
_OF_THE_ADMINISTRATOR = frozenset({DOCKER_USER, "ufw-user-forward", "ufw6-user-forward"})
_SOURCE = frozenset({"-s", "--match-set", "--src-range", "--mac-source", "--source-country", "--src-cc"})


def rule(mark: int) -> Words:
    """Write the rule down as ``iptables -S`` lists it, without its chain."""
    return (
        *("-m", "connmark", "--mark", f"{mark:#x}/{mark:#x}"),
        *("-m", "comment", "--comment", COMMENT),
        *("-j", "ACCEPT"),
    )


def places(table: FilterTable) -> dict[str, int]:
    """Find the chains in which the rule must stand, each with the number of others' rules in front of it."""
    found = {}
    if DOCKER_USER in table.chains:
        theirs = others(table, DOCKER_USER)
        found[DOCKER_USER] = len(theirs) - (bool(theirs) and theirs[-1] == _RETURN)
    theirs = others(table, FORWARD)
    to_docker = next((place for place, words in enumerate(theirs) if _is_jump_to_docker_user(words)), None)
    before = theirs if to_docker is None else theirs[:to_docker]
    if any(drops(table, words) for words in before) or (to_docker is None and table.forward_policy == "DROP"):
        hindering = (place for place, words in enumerate(before) if drops(table, words) or _logs(table, words))
        found[FORWARD] = next(hindering, len(before))
    return found


def rewrite(table: FilterTable, own: Words, *, needed: bool) -> list[Words]:
    """Work out the changes that leave exactly one rule in each of its places, and none elsewhere.

    Nothing where all is well; the changes are committed together.
    """
    wanted_places = places(table) if needed else {}
    changes: list[Words] = []
    for chain in (DOCKER_USER, FORWARD):
        rules, theirs, place = table.rules(chain), others(table, chain), wanted_places.get(chain)
        inserted = () if place is None else (("-A", chain, *own),)
        if rules == (*theirs[:place], *inserted, *theirs[len(theirs) if place is None else place :]):
            continue
        changes += [("-D", *words[1:]) for words in rules if COMMENT in words]
        if place is not None:
            changes.append(("-I", chain, str(place + 1), *own))
    return changes


def others(table: FilterTable, chain: str) -> tuple[Words, ...]:
    """Give the rules of a chain that are not netshare's."""
    return tuple(words for words in table.rules(chain) if COMMENT not in words)


def drops(table: FilterTable, words: Words) -> bool:
    """Whether a rule may drop a flow for another reason than where it comes from, itself or in a chain it leads to.

    What is invalid to connection tracking is none of netshare's flows.
    """
    return _leads_to(table, words, _DROPPING)


def _logs(table: FilterTable, words: Words) -> bool:
    """Whether a rule writes to the log, as ufw's do about what the policy is about to drop."""
    return _leads_to(table, words, _LOGGING)


def _leads_to(table: FilterTable, words: Words, targets: frozenset[str]) -> bool:
    goes_to = target(words)
    if goes_to is None or _is_for_few(words):
        return False
    return goes_to in targets or any(
        target(each) in targets and not _is_for_few(each)
        for chain in table.reachable(goes_to) - _OF_THE_ADMINISTRATOR
        for each in others(table, chain)
    )


def _is_for_few(words: Words) -> bool:
    """Whether a rule is about certain sources, or about invalid packets only."""
    return not _SOURCE.isdisjoint(words) or ("--ctstate", "INVALID") in pairwise(words)


def _is_jump_to_docker_user(words: Words) -> bool:
    return words == ("-A", FORWARD, "-j", DOCKER_USER)
