"""Putting the rule in its place while others change theirs."""

import pytest

from netshare.core.model import Family
from netshare.errors import NetfilterError
from netshare.netfilter import command
from netshare.netfilter.forwarding.host import HostForwarding
from netshare.netfilter.surroundings.look import Lookout, Surroundings
from netshare.netfilter.surroundings.xtables import Variant, parse

LEGACY = Variant(Family.IP, is_legacy=True)


class Site:
    """A filter table of legacy iptables; as many of netshare's changes are refused as ``refusals`` says."""

    def __init__(self) -> None:
        self.lines = ["-P FORWARD DROP"]
        self.refusals = 0
        self.scripts: list[str] = []
        self.slept: list[float] = []

    def look(self) -> Surroundings:
        return Surroundings(tables=(parse(LEGACY, self.lines),))

    def run(self, program: str, *_: str, given: str | None = None) -> str:
        assert (program, given is None) == ("iptables-legacy-restore", False)
        if self.refusals:
            self.refusals -= 1
            raise NetfilterError("iptables-legacy-restore: line 2 failed")
        self.scripts.append(str(given))
        rule = str(given).splitlines()[1].split("FORWARD 1 ")[-1]
        self.lines = ["-P FORWARD DROP", *([f"-A FORWARD {rule}"] if "-I " in str(given) else [])]
        return ""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site()
    monkeypatch.setattr(Lookout, "look", made.look)
    monkeypatch.setattr(command, "run", made.run)
    return made


def test_it_is_put_there_once_and_taken_away_once(site: Site) -> None:
    forwarding = HostForwarding(sleep=site.slept.append)
    for _ in range(2):
        assert forwarding.ensure(needed=True) == ()
    for _ in range(2):
        assert forwarding.ensure(needed=False) == ()
    assert [("-I " in script, "-D " in script) for script in site.scripts] == [(True, False), (False, True)]
    assert site.slept == []


def test_a_refusal_is_met_by_another_look(site: Site) -> None:
    site.refusals = 4
    HostForwarding(sleep=site.slept.append).ensure(needed=True)
    assert len(site.scripts) == 1
    assert site.slept == sorted(site.slept)
    assert sum(site.slept) < 1


def test_what_goes_on_being_refused_is_an_error(site: Site) -> None:
    site.refusals = 100
    with pytest.raises(NetfilterError, match="line 2 failed"):
        HostForwarding(sleep=site.slept.append).ensure(needed=True)


def test_looking_for_obstacles_changes_nothing(site: Site) -> None:
    assert HostForwarding().obstacles() == ()
    assert site.scripts == []
