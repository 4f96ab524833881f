"""Hearing of commits to nf_tables, on the real kernel."""

import threading
from collections.abc import Iterator

import pytest

from netshare.core.diff import diff
from netshare.core.ruleset import Ruleset
from netshare.errors import NotPermittedError
from netshare.lab.namespace import Namespace
from netshare.netfilter.commits import CommitWatch
from netshare.netfilter.nftables.driver import NftablesDriver
from tests.firewalls.looking import told
from tests.netns.nft import load, nft
from tests.netns.privileges import without_privileges

pytestmark = pytest.mark.netns

SOON = 0.2


@pytest.fixture
def host() -> Iterator[Namespace]:
    namespace = Namespace("commits")
    yield namespace
    namespace.close()


def heard(watch: CommitWatch) -> list[str]:
    authors = []
    while (author := watch.next(SOON)) is not None:
        authors.append(author)
    return authors


def test_it_names_who_committed_and_hears_of_nobody_elsewhere(host: Namespace) -> None:
    watch, elsewhere = host.run(CommitWatch, lambda: ()), Namespace("elsewhere")
    nft(elsewhere, "add", "table", "inet", "theirs")
    elsewhere.close()
    assert heard(watch) == []
    nft(host, "add", "table", "inet", "theirs")
    told(host, "iptables-nft", "-P", "FORWARD", "DROP")
    authors = heard(watch)
    assert (authors[0], set(authors[1:])) == ("nft", {"iptables-nft"})
    told(host, "iptables-legacy", "-P", "FORWARD", "DROP")
    assert heard(watch) == []  # nobody tells of legacy tables
    nft(host, "flush", "ruleset")
    assert heard(watch) == ["nft"]


def test_a_large_commit_is_one(host: Namespace) -> None:
    watch = host.run(CommitWatch, lambda: ())
    elements = ", ".join(str(number) for number in range(1, 6_000))
    load(host, f"table inet t {{\nset s {{\ntype inet_service\nelements = {{ {elements} }}\n}}\n}}")
    assert heard(watch) == ["nft"]


def test_netshares_own_are_none_of_interest(host: Namespace) -> None:
    driver = NftablesDriver()
    watch = host.run(CommitWatch, lambda: (driver.port,))
    host.run(driver.apply, diff(Ruleset(), Ruleset(), rebuild=True))
    assert heard(watch) == []
    nft(host, "delete", "table", "inet", "netshare")
    assert heard(watch) == ["nft"]
    driver.close()


def test_close_ends_a_wait(host: Namespace) -> None:
    watch = host.run(CommitWatch, lambda: ())
    found: list[str | None] = []
    waiting = threading.Thread(target=lambda: found.append(watch.next()))
    waiting.start()
    watch.close()
    waiting.join(5)
    assert found == [None]
    assert watch.next() is None


def test_it_takes_privileges(host: Namespace) -> None:
    def listen() -> None:
        with pytest.raises(NotPermittedError):
            CommitWatch(lambda: ())

    host.start_thread(without_privileges, listen).result()
