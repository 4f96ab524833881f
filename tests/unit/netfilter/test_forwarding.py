"""Where in DOCKER-USER the rule goes, whatever is there: as tables of what `iptables -S` lists before and after."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netshare.core.model import Family
from netshare.netfilter.forwarding import places
from netshare.netfilter.rule_words import Words
from netshare.netfilter.surroundings.xtables import DOCKER_USER, FORWARD, FilterTable, Variant

RULE = places.rule(0x1)
OURS = ("-A", DOCKER_USER, *RULE)
STALE = ("-A", DOCKER_USER, *places.rule(0x2))
A = ("-A", DOCKER_USER, "-s", "10.0.0.1/32", "-j", "DROP")
B = ("-A", DOCKER_USER, "-m", "comment", "--comment", "a remark", "-j", "ACCEPT")
RETURN = ("-A", DOCKER_USER, "-j", "RETURN")
SOME_RETURN = ("-A", DOCKER_USER, "-s", "10.0.0.2/32", "-j", "RETURN")


def rewrite(listed: Sequence[Words], *, needed: bool) -> list[Words]:
    """Work out the changes to a table in which Docker sends every forwarded packet through DOCKER-USER first."""
    chains = {FORWARD: (("-A", FORWARD, "-j", DOCKER_USER),), DOCKER_USER: tuple(listed)}
    table = FilterTable(Variant(Family.IP, is_legacy=False), {FORWARD: "DROP"}, chains)
    return places.rewrite(table, RULE, needed=needed)


def commit(listed: Sequence[Words], changes: Sequence[Words]) -> list[Words]:
    """Do what `iptables-restore --noflush` does with such changes."""
    rules = list(listed)
    for action, chain, *rest in changes:
        assert chain == DOCKER_USER
        if action == "-D":
            rules.remove(("-A", chain, *rest))
        else:
            assert action == "-I"
            position, *rule = rest
            assert 1 <= int(position) <= len(rules) + 1
            rules.insert(int(position) - 1, ("-A", chain, *rule))
    return rules


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        pytest.param([], [OURS], id="an empty chain"),
        pytest.param([RETURN], [OURS, RETURN], id="as Docker makes it"),
        pytest.param([A, B, RETURN], [A, B, OURS, RETURN], id="behind the admin's"),
        pytest.param([A, B], [A, B, OURS], id="no trailing return"),
        pytest.param([A, SOME_RETURN], [A, SOME_RETURN, OURS], id="a return that is not for all"),
        pytest.param([RETURN, A], [RETURN, A, OURS], id="a return in the middle is the admin's own affair"),
        pytest.param([OURS, A, RETURN], [A, OURS, RETURN], id="too early"),
        pytest.param([A, RETURN, OURS], [A, OURS, RETURN], id="too late"),
        pytest.param([OURS, A, OURS, RETURN, OURS], [A, OURS, RETURN], id="several"),
        pytest.param([A, STALE, RETURN], [A, OURS, RETURN], id="of another mark"),
    ],
)
def test_it_is_put_in_its_place(listed: list[Words], expected: list[Words]) -> None:
    changes = rewrite(listed, needed=True)
    assert commit(listed, changes) == expected
    assert rewrite(expected, needed=True) == []
    without = [words for words in expected if words != OURS]
    assert commit(expected, rewrite(expected, needed=False)) == without
    assert rewrite(without, needed=False) == []


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        pytest.param([A, RETURN], [A, RETURN], id="not there"),
        pytest.param([OURS, A, STALE, RETURN], [A, RETURN], id="all of them"),
    ],
)
def test_it_is_taken_away(listed: list[Words], expected: list[Words]) -> None:
    assert commit(listed, rewrite(listed, needed=False)) == expected


@given(st.lists(st.sampled_from([A, B, SOME_RETURN, RETURN, OURS, STALE])), st.booleans())
def test_what_is_the_admins_stays_and_stays_in_order(rules: list[Words], needed: bool) -> None:  # noqa: FBT001
    after = commit(rules, rewrite(rules, needed=needed))
    theirs = [words for words in rules if words not in (OURS, STALE)]
    assert [words for words in after if words != OURS] == theirs
    assert after.count(OURS) == needed
    assert rewrite(after, needed=needed) == []
