"""The fast ways in and out of packed elements, against the plain one."""

from ipaddress import ip_address

import pytest

from netshare.core.model import Endpoint, Family, Protocol
from netshare.core.ruleset import Match, Target
from netshare.netfilter.nftables import expressions as nft
from netshare.netfilter.nftables import userdata
from netshare.netfilter.nftables.elements import (
    DATA,
    EXPRESSION,
    KEY,
    LIST,
    USERDATA,
    counter_packer,
    counts,
    key_packer,
    keyed,
    map_packer,
    pairs,
    value,
    verdict_element,
    walked,
)
from netshare.netfilter.nftables.maps import CONNECTION_SETS, SERVICE_MAPS, ConnectionSet, EndpointMap, ServiceMap
from netshare.netfilter.nftables.wire import attribute, nested

PLACES = [EndpointMap(protocol, family, bound) for protocol in Protocol for family in Family for bound in (False, True)]
ADDRESS = {Family.IP: ip_address("10.0.0.1"), Family.IP6: ip_address("2001:db8::1")}
ENDPOINT = {Family.IP: ip_address("172.17.255.2"), Family.IP6: ip_address("fd00:17::ff:2")}


def dumped(*elements: bytes) -> memoryview:
    return memoryview(nested(LIST, *elements))


def a_match(place: EndpointMap | ServiceMap, protocol: Protocol = Protocol.TCP) -> Match:
    return Match(place.family, protocol, 65534, ADDRESS[place.family] if place.bound else None)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_slots_come_out_as_they_went_in(place: EndpointMap) -> None:
    match = a_match(place, place.protocol)
    endpoint = Endpoint(ENDPOINT[place.family], 8081)
    key, data = place.slot_key(place.key_prefix(match), 65_537), place.data(endpoint)
    assert (len(key), len(data)) == (place.spec.key_length, place.spec.data_length)
    packed = map_packer(place.spec)(key, data)
    assert packed == keyed(key, nested(DATA, nft.value(data)))
    assert key_packer(place.spec)(key) == keyed(key)

    strange = keyed(key, nested(DATA, nft.value(data)), attribute(USERDATA, b"note"))
    for message in (dumped(packed, packed), dumped(packed, strange), dumped(strange)):
        for pair in pairs(message, place.spec):
            assert pair is not None
            assert place.entry(pair[0]) == (match, 65_537)
            assert place.endpoint(pair[1]) == endpoint
    assert list(pairs(memoryview(b""), place.spec)) == []


@pytest.mark.parametrize("counted", CONNECTION_SETS, ids=lambda counted: counted.name)
def test_counts_come_out_as_the_kernel_sends_them(counted: ConnectionSet) -> None:
    targets = [Target(protocol, Endpoint(ENDPOINT[counted.family], 9)) for protocol in Protocol]
    packed = [
        keyed(counted.key(target), nested(EXPRESSION, nft.counter(packets=number)))
        for number, target in enumerate(targets)
    ]
    assert counter_packer(counted.spec)(counted.key(targets[0])) == packed[0]
    strange = keyed(counted.key(targets[0]))
    for message, numbers in ((dumped(*packed), [0, 1, 2]), (dumped(*packed, strange), [0, 1, 2, 0])):
        found = [(counted.target(each[0]), each[1]) for each in counts(message, counted.spec) if each is not None]
        assert found == list(zip([*targets, targets[0]], numbers, strict=False))


@pytest.mark.parametrize("services", SERVICE_MAPS, ids=lambda services: services.name)
def test_a_listener_comes_out_as_it_went_in(services: ServiceMap) -> None:
    for protocol in Protocol:
        match = a_match(services, protocol)
        assert ServiceMap.of(match) == services
        [element] = walked(
            dumped(verdict_element(services.key(match), "tcp-ip-random-3", userdata.comment("shop/web")))
        )
        assert services.match(bytes(value(element[KEY]))) == match
        assert userdata.read_comment(element[USERDATA]) == "shop/web"
    unknown = bytearray(services.key(a_match(services)))
    unknown[-8] = 1  # ICMP, by another hand
    assert services.match(bytes(unknown)) is None


def test_a_comment_is_found_among_other_notes() -> None:
    noted = b"\x05\x02xx" + userdata.comment("web")
    assert userdata.read_comment(memoryview(noted)) == "web"
    assert userdata.read_comment(memoryview(b"\x05\x02xx")) == ""
    assert userdata.read_comment(memoryview(b"\x05")) == ""
    assert userdata.read_comment(None) == ""
