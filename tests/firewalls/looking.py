"""What an admin sees and does on the host of a lab with a firewall."""

import re

from netshare.lab import traffic
from netshare.lab.conversation import FailureKind
from netshare.lab.namespace import Namespace
from netshare.lab.topology import Lab
from netshare.netfilter.forwarding.places import COMMENT
from tests.netns.nft import run

PORT = 80
TOOLS = ("iptables-nft", "ip6tables-nft")
_COUNTS = re.compile(r"(?<=packets )\d+(?= bytes)|(?<=bytes )\d+|\[\d+:\d+\]|(?m:^# (?:Generated|Completed) .*\n)")


def told(host: Namespace, *words: str, text: str | None = None) -> str:
    """Run a program, which must go well, and give what it said."""
    done = run(host, *words, text=text)
    assert done.returncode == 0, done
    return done.stdout


def failures(lab: Lab, *, timeout: float = 0.5) -> frozenset[FailureKind]:
    """Ask over IPv4 and IPv6, and give the ways in which that failed."""
    sent = [
        traffic.send(lab.client.namespace, to, 6, concurrency=6, timeout=timeout)
        for to in (lab.at(PORT), lab.at6(PORT))
    ]
    return frozenset(failure.kind for each in sent for failure in each.failures)


def works(lab: Lab) -> bool:
    """Whether every request is answered."""
    return not failures(lab)


def own_rules(host: Namespace, tool: str, chain: str = "FORWARD") -> list[int]:
    """Number netshare's rules in a chain of iptables."""
    listed = [line for line in told(host, tool, "-S").splitlines() if line.startswith(f"-A {chain} ")]
    return [number for number, line in enumerate(listed, start=1) if COMMENT in line]


def take_own_rules_away(host: Namespace, chain: str = "FORWARD") -> None:
    """Delete netshare's rules in a chain of iptables, as a negative control or by an admin's mistake."""
    for tool in TOOLS:
        for number in reversed(own_rules(host, tool, chain)):
            told(host, tool, "-D", chain, str(number))


def everything(host: Namespace) -> dict[str, str]:
    """List all rules there are, by the tool that lists them; counters and dates are left out."""
    listings = (("nft", "list", "ruleset"), ("iptables-nft-save",), ("ip6tables-nft-save",))
    return {words[0]: _COUNTS.sub("", told(host, *words)) for words in listings}
