"""Rulesets as iptables' tables and back, without a kernel: whatever is written is read, by whatever steps it came."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given, settings

from netshare.core.model import Endpoint, Family, Protocol, Strategy
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.errors import NetfilterError
from netshare.netfilter.iptables import names, reading
from netshare.netfilter.iptables.saved import Reader
from netshare.netfilter.iptables.script import script
from netshare.netfilter.iptables.tables import Table, Tables, tables, target_chain
from netshare.netfilter.rule_words import join, split
from tests.property.strategies import rulesets

MARK = 0x01000000
WEB = Match(Family.IP, Protocol.TCP, 80)
A, B = (Endpoint(ip_address(f"172.17.0.{number}"), 8080) for number in (2, 3))


def of_family(ruleset: Ruleset, family: Family) -> Ruleset:
    """Leave what one family's tables can say, of what this driver can do."""
    dispatches = {
        match: replace(each, strategy=Strategy.RANDOM) if each.strategy is Strategy.SOURCE_HASH else each
        for match, each in ruleset.dispatches.items()
        if match.family is family
    }
    return Ruleset(
        dispatches,
        frozenset(target for target in ruleset.targets if target.endpoint.family is family),
        frozenset(subnet for subnet in ruleset.hairpins if Family.of(subnet.network_address) is family),
    )


def saved(held: Tables, packets: int = 0) -> str:
    """Print tables as ``iptables-save -c`` does, with what others have in them."""
    return "\n".join(_lines(held, packets)) + "\n"


def _lines(held: Tables, packets: int) -> Iterator[str]:
    for name, table in held.items():
        yield from (
            f"*{name}",
            ":INPUT DROP [3:180]",
            ":DOCKER - [0:0]",
            *(f":{chain} - [0:0]" for chain in table.chains),
        )
        yield f'[7:420] -A INPUT -m comment --comment "not -j {names.PREFIX}GUARD" -j ACCEPT'
        yield from (f"[1:60] -A {hook} {join(words)}" for hook, words in table.hooks)
        for chain, rules in table.chains.items():
            yield from (f"[{packets}:60] -A {chain} {join(words)}" for words in rules)
        yield "COMMIT"


def applied(held: Tables, text: str) -> Tables:
    """Do what ``iptables-restore --noflush`` does, and fail where it would."""
    state = {name: (dict(table.chains), list(table.hooks)) for name, table in held.items()}
    chains, hooks = state.setdefault("", ({}, []))
    for line in text.splitlines():
        command, _, rest = line.partition(" ")
        name, _, rule = rest.partition(" ")
        if line.startswith("*"):
            chains, hooks = state.setdefault(line[1:], ({}, []))
        elif line.startswith(":"):
            chains[command[1:]] = ()
        elif command == "-A":
            chains[name] += (words(rule),)
        elif command == "-I":
            hooks.insert(0, (name, words(rule)))
        elif command == "-D":
            hooks.remove((name, words(rule)))
        elif command == "-X":
            assert chains.pop(name) == ()
            assert not any(rule[-1] == name for rules in chains.values() for rule in rules)
    return {name: Table(own, tuple(those)) for name, (own, those) in state.items() if own or those}


def words(rule: str) -> tuple[str, ...]:
    return split(rule)


def normal(held: Tables) -> dict[str, tuple[dict[str, tuple[tuple[str, ...], ...]], frozenset[object]]]:
    return {name: (dict(table.chains), frozenset(table.hooks)) for name, table in held.items()}


@given(rulesets())
def test_what_is_written_is_read(ruleset: Ruleset) -> None:
    for family in Family:
        own = of_family(ruleset, family)
        found = Reader().read(saved(tables(own, family, MARK), packets=5))
        assert found.tables == tables(own, family, MARK)
        assert reading.ruleset(found.tables, family) == own
        assert {found.counts[target_chain(target)] for target in own.targets} <= {5}


@settings(max_examples=50)
@given(rulesets(), rulesets())
def test_any_tables_are_reached_from_any_others(before: Ruleset, after: Ruleset) -> None:
    for family in Family:
        held, wanted = (tables(of_family(each, family), family, MARK) for each in (before, after))
        assert normal(applied(held, script(held, wanted))) == normal(wanted)
        assert normal(applied(held, script(held, wanted, anew=True))) == normal(wanted)
        assert applied(held, script(held, {})) == {}
        assert script(wanted, wanted) == ""


def test_a_target_that_stays_is_not_mentioned() -> None:
    """A chain that is not mentioned keeps what it has counted."""
    both = Ruleset(
        {WEB: Dispatch("web", Strategy.RANDOM, (A, B))}, frozenset({Target(Protocol.TCP, e) for e in (A, B)})
    )
    one = replace(both, dispatches={WEB: Dispatch("web", Strategy.RANDOM, (A,))})
    text = script(tables(both, Family.IP, MARK), tables(one, Family.IP, MARK))
    assert "DNAT" not in text
    assert [line for line in text.splitlines() if line.startswith(":")] == [":NETSHARE-tcp-80 - [0:0]"]


@pytest.mark.parametrize("name", ["web\n-A INPUT -j DROP", "web\r", 'web" -j DROP', "web\\", "$(reboot)", "`x`", "é"])
def test_a_hostile_name_stays_a_name(name: str) -> None:
    ruleset = Ruleset({WEB: Dispatch(name)})
    wanted = tables(ruleset, Family.IP, MARK)
    if not name.isprintable():
        with pytest.raises(NetfilterError, match="can't be given"):
            script({}, wanted)
        return
    assert normal(applied({}, script({}, wanted))) == normal(wanted)
    assert reading.ruleset(wanted, Family.IP) == ruleset


def test_names_of_chains_fit_and_differ() -> None:
    everything = [
        names.chain(*words)
        for words in (
            ("tcp", 80),
            ("tcp", 80, "10.0.0.1"),
            ("tcp", "10.0.0.1", 80),
            ("tcp", "fd00:17:abcd:ef01::2", 8080),
        )
    ]
    assert len(set(everything)) == len(everything)
    assert all(len(name) <= 28 for name in everything)
    assert names.chain("tcp", "fd00:17:abcd:ef01::2", 8080) != names.chain("tcp", "fd00:17:abcd:ef01::2", 8081)


def test_what_has_not_changed_is_not_read_again() -> None:
    reader, wanted = Reader(), tables(Ruleset({WEB: Dispatch("web")}), Family.IP, MARK)
    first = reader.read(saved(wanted)).tables
    assert reader.read(saved(wanted, packets=9)).tables is first
    assert reader.read("").tables == {}


def test_a_listing_that_was_cut_short_is_damage_and_no_crash() -> None:
    text = "*nat\n:NETSHARE-tcp - [0:0]\n[1:60] -A NETSHARE-tcp -g NETSHARE-tcp-80\n-A NETSHARE-x -A NETSHARE-tcp\n-j\n"
    for end in range(len(text)):
        assert set(Reader().read(text[:end]).tables) <= {"nat"}


@pytest.mark.parametrize(
    "rule",
    [
        "-A NETSHARE-tcp -p tcp -m tcp --dport 8000:8010 -m comment --comment mine -g NETSHARE-tcp-80",
        "-A NETSHARE-tcp -p icmp --dport 80 -m comment --comment mine -g NETSHARE-tcp-80",
        "-A NETSHARE-tcp -p tcp --dport 99999 -m comment --comment mine -g NETSHARE-tcp-80",
        "-A NETSHARE-tcp -d web.example -p tcp --dport 80 -m comment --comment mine -g NETSHARE-tcp-80",
        "-A NETSHARE-x -p tcp -j DNAT --to-destination 172.17.0.2:0",
        "-A NETSHARE-x -p tcp -j DNAT --to-destination 172.17.0:80",
        "-A NETSHARE-POSTROUTING -s 172.17.0.1/16 -d 172.17.0.1/16 -j MASQUERADE",
    ],
)
def test_what_another_hand_put_there_is_damage_and_no_crash(rule: str) -> None:
    wanted = tables(Ruleset({WEB: Dispatch("web")}), Family.IP, MARK)
    text = saved(wanted).replace("*nat\n", f"*nat\n:NETSHARE-x - [0:0]\n[0:0] {rule}\n")
    found = Reader().read(text).tables
    assert reading.ruleset(found, Family.IP) == Ruleset({WEB: Dispatch("web")})
    assert found != wanted
