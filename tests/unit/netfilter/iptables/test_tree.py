"""The search tree over ports: everyone is found, by few comparisons."""

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from netshare.netfilter.iptables import tree
from netshare.netfilter.rule_words import Words

Chains = Mapping[str, tuple[Words, ...]]


def built(by_port: Mapping[int, Sequence[Words]]) -> Chains:
    return tree.chains(by_port, str, lambda ports: ("in", str(ports.start), str(ports.stop), str(ports)))


def walk(chains: Chains, port: int) -> tuple[list[Words], int]:
    """Go the way of a packet that no listener takes: what it meets, and how many rules it is compared with."""
    met: list[Words] = []
    compared = 0

    def go(chain: str) -> None:
        nonlocal compared
        for rule in chains[chain]:
            compared += 1
            match rule:
                case ("in", first, last, child):
                    if port in range(int(first), int(last)):
                        go(child)
                        return
                case _:
                    met.append(rule)

    go(next(iter(chains)))
    return met, compared


ports = st.dictionaries(st.integers(1, 65535), st.integers(1, 3), max_size=200)


@given(ports, st.integers(0, 65535))
def test_a_packet_meets_the_listeners_of_its_port(listeners: dict[int, int], port: int) -> None:
    by_port: dict[int, list[Words]] = {
        number: [(str(number), str(n)) for n in range(count)] for number, count in listeners.items()
    }
    met, _ = walk(built(by_port), port)
    assert [rule for rule in met if rule[0] == str(port)] == by_port.get(port, [])


@given(st.sets(st.integers(1, 65535), max_size=500), st.integers(0, 65535))
def test_it_is_compared_with_few(listeners: set[int], port: int) -> None:
    _, compared = walk(built({number: [(str(number),)] for number in listeners}), port)
    assert compared <= 4 * tree.FANOUT


def test_few_listeners_are_one_chain() -> None:
    few = {port: [(str(port),)] for port in range(8000, 8000 + tree.FANOUT)}
    assert list(built(few)) == ["range(0, 65536)"]
    assert walk(built({port: [("x",)] for port in range(8000, 9000)}), 8500)[1] <= 4 * tree.FANOUT


def test_what_no_port_tells_apart_stays_together() -> None:
    many: list[Words] = [(str(number),) for number in range(50)]
    assert built({80: many})["range(0, 65536)"] == tuple(many)
