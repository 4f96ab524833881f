"""What netshare can't overcome, in words: what drops its flows, whose it is, and what they can do about it. Pure."""

from collections.abc import Iterator

from netshare.core.model import Family
from netshare.core.obstacle import Obstacle
from netshare.netfilter.forwarding.places import COMMENT, drops
from netshare.netfilter.surroundings.look import DOCKER_BRIDGES, FIREWALLD, ForwardChain, Surroundings
from netshare.netfilter.surroundings.verdicts import Refusal
from netshare.netfilter.surroundings.xtables import DOCKER_USER, FilterTable

_SETTING = {Family.IP: "net.ipv4.ip_forward", Family.IP6: "net.ipv6.conf.all.forwarding"}
_VERSION = {Family.IP: "IPv4", Family.IP6: "IPv6"}


def obstacles(surroundings: Surroundings, mark: int) -> tuple[Obstacle, ...]:
    """List what stands in the way once netshare's own rules are in place."""
    found = [
        *_not_forwarded(surroundings),
        *_unlisted(surroundings),
        *(hindrance for table in surroundings.tables for hindrance in _in_docker_user(table)),
        *(_dropped(each, each.refusal, mark) for each in surroundings.forward if each.refusal is not None),
    ]
    return tuple(dict.fromkeys(found))


def _not_forwarded(surroundings: Surroundings) -> Iterator[Obstacle]:
    """Tell of forwarding that is off: Docker and Podman switch it on, and whoever switches it off means it."""
    for family in Family:
        if family not in surroundings.forwards:
            setting, version = _SETTING[family], _VERSION[family]
            yield Obstacle(
                family,
                setting,
                f"{setting} is 0: this host forwards no {version} packets, so no replica is reached from outside",
                f"sysctl -w {setting}=1, and for good in /etc/sysctl.d",
            )


def _unlisted(surroundings: Surroundings) -> Iterator[Obstacle]:
    for variant, reason in surroundings.unlisted:
        yield Obstacle(
            variant.family,
            f"{variant.program} filter",
            f"the rules that {variant.program} manages can't be looked at: {reason}",
            "install the package iptables; native rules in a table of its own making must go elsewhere",
            certain=False,
        )


def _in_docker_user(table: FilterTable) -> Iterator[Obstacle]:
    """Tell of rules of the administrator's that netshare's stays behind, by their own wish."""
    for words in table.rules(DOCKER_USER):
        if COMMENT in words:
            break
        if drops(table, words):
            yield Obstacle(
                table.variant.family,
                DOCKER_USER,
                f"a rule of {table.variant.program} may drop connections to replicas: {' '.join(words)}",
                "narrow it, if that is not meant: netshare stays behind the administrator's own rules",
                certain=False,
            )


def _dropped(each: ForwardChain, refusal: Refusal, mark: int) -> Obstacle:
    chain, family = each.chain, each.family
    bit = f"{mark:#010x}"
    if chain.table == DOCKER_BRIDGES:
        message = f"Docker's nftables backend drops connections to unpublished ports ({chain})"
        mend = f'set "bridge-accept-fwmark": "{bit}/{bit}" in /etc/docker/daemon.json, and restart Docker'
    elif chain.table == FIREWALLD:
        message = f"firewalld rejects connections that others than itself forward ({chain}, {refusal.reason})"
        mend = "set StrictForwardPorts=no in /etc/firewalld/firewalld.conf, then: firewall-cmd --reload"
    else:
        what = "drops" if refusal.certain else "drops what no rule of its own accepts, and may drop"
        message = f"{chain} {what} connections to replicas ({refusal.reason})"
        mend = f"to let them by: nft insert rule {chain} ct mark and {bit} == {bit} accept"
    return Obstacle(family, str(chain), message, mend, refusal.certain)
