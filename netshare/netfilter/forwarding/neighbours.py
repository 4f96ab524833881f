"""Which firewalls and engines' backends a host has, in words, from what was seen of them. Pure."""

from collections.abc import Iterator

from netshare.netfilter.surroundings.look import DOCKER_BRIDGES, FIREWALLD, NETAVARK, Surroundings
from netshare.netfilter.surroundings.xtables import DOCKER_USER, FORWARD, FilterTable

_IN_NF_TABLES = {
    DOCKER_BRIDGES: "Docker, by its nftables backend",
    NETAVARK: "Podman's netavark, by its nftables driver",
    FIREWALLD: "firewalld, by its nftables backend",
}


def neighbours(surroundings: Surroundings) -> tuple[str, ...]:
    """Name them, each with what matters of it: a policy and who set it, the chain that is the administrator's."""
    tables = dict.fromkeys(chain.table for chain in surroundings.chains)
    native = (words for table, words in _IN_NF_TABLES.items() if table in tables)
    return (*(_iptables(table) for table in surroundings.tables), *native)


def _iptables(table: FilterTable) -> str:
    whose = ", ".join(_users(table)) or "nobody's but the administrator's"
    policy = f"FORWARD policy {table.forward_policy}{_by_whom(table) if table.forward_policy == 'DROP' else ''}"
    return f"{table.variant.program} ({whose}; {policy}{f'; {DOCKER_USER}' if DOCKER_USER in table.chains else ''})"


def _users(table: FilterTable) -> Iterator[str]:
    for user, prefix in (("Docker", "DOCKER"), ("Podman", "NETAVARK"), ("ufw", "ufw"), ("firewalld", "FWD_")):
        if any(chain.startswith(prefix) for chain in table.chains):
            yield user


def _by_whom(table: FilterTable) -> str:
    """Say who set a dropping policy: ufw does where it is on, else Docker where it switched forwarding on itself."""
    users = list(_users(table))
    if "ufw" in users and any(any("ufw" in word for word in words) for words in table.rules(FORWARD)):
        return ", set by ufw"
    return ", set by Docker or the administrator" if "Docker" in users else ", set by the administrator"
