"""Elements of sets and maps, packed and unpacked by the hundred thousand.

Within one set all lengths are the same, so the attribute headers around keys and data are constants: packing an
element is joining bytes, and a dump is taken apart by one compiled ``struct``. What the kernel sends in another shape
than expected is walked attribute by attribute instead.
"""

import struct
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from netshare.netfilter.nftables import expressions as nft
from netshare.netfilter.nftables.maps import SetSpec
from netshare.netfilter.nftables.wire import attribute, nested, number, table_of, walk

LIST = 3  # NFTA_SET_ELEM_LIST_ELEMENTS
KEY, DATA, USERDATA, EXPRESSION, KEY_END = 1, 2, 6, 7, 10  # NFTA_SET_ELEM_*
_ELEMENT = 1  # NFTA_LIST_ELEM
_VALUE = 1  # NFTA_DATA_VALUE
_COUNTER = nested(EXPRESSION, nft.counter())


def keyed(key: bytes, *rest: bytes) -> bytes:
    """Pack any element: its key, and whatever belongs to it."""
    return nested(_ELEMENT, nested(KEY, nft.value(key)), *rest)


@cache
def key_packer(spec: SetSpec) -> Callable[[bytes], bytes]:
    """Make the function that packs an element of nothing but a key."""
    head = keyed(bytes(spec.key_length))[: -spec.key_length]
    return lambda key: head + key


@cache
def map_packer(spec: SetSpec) -> Callable[[bytes, bytes], bytes]:
    """Make the function that packs a key and its data."""
    whole = keyed(bytes(spec.key_length), nested(DATA, nft.value(bytes(spec.data_length))))
    end = len(whole) - spec.data_length
    start = end - 8
    head, middle = whole[: start - spec.key_length], whole[start:end]
    return lambda key, data: head + key + middle + data


@cache
def counter_packer(spec: SetSpec) -> Callable[[bytes], bytes]:
    """Make the function that packs a key with a counter at zero."""
    head = keyed(bytes(spec.key_length), _COUNTER)[: -spec.key_length - len(_COUNTER)]
    return lambda key: head + key + _COUNTER


def verdict_element(key: bytes, chain: str, userdata: bytes) -> bytes:
    """Pack a key that goes to a chain."""
    return keyed(key, nested(DATA, nft.verdict_data(nft.Verdict.GOTO, chain)), attribute(USERDATA, userdata))


def interval_element(first: bytes, last: bytes) -> bytes:
    """Pack an element that is everything from one key to another, field by field."""
    return keyed(first, nested(KEY_END, nft.value(last)))


def walked(message: memoryview) -> Iterator[dict[int, memoryview]]:
    """Take the elements of one message of a dump apart, whatever their shape.

    The element that stands for every key that is in no other (nft's ``*``) has none itself.
    """
    for _, element in walk(table_of(message).get(LIST, b"")):
        yield table_of(element)


def pairs(message: memoryview, spec: SetSpec) -> Iterator[tuple[bytes, bytes] | None]:
    """Take keys and data out of one message of a dump of a map; ``None`` for an element of another hand's kind."""
    key, data = spec.key_length, spec.data_length
    shape = struct.Struct(f"=6H{key}s4H{data}s")
    expected = (shape.size, _ELEMENT, 8 + key, KEY, 4 + key, _VALUE, 8 + data, DATA, 4 + data, _VALUE)
    found = _in_shape(message, shape)
    if all((*each[:6], *each[7:11]) == expected for each in found):
        yield from ((each[6], each[11]) for each in found)
    else:
        for each in walked(message):
            pair = value(each.get(KEY)), value(each.get(DATA))
            yield pair if tuple(map(len, pair)) == (key, data) else None


def counts(message: memoryview, spec: SetSpec) -> Iterator[tuple[bytes, int] | None]:
    """Take keys and packet counts out of one message of a dump of a set with counters; ``None`` as for `pairs`."""
    key = spec.key_length
    shape = struct.Struct(f"=6H{key}s2H32s8s")
    expected = (shape.size, _ELEMENT, 8 + key, KEY, 4 + key, _VALUE, len(_COUNTER), EXPRESSION)
    found = _in_shape(message, shape)
    if all((*each[:6], *each[7:9]) == expected for each in found):
        yield from ((each[6], int.from_bytes(each[10], "big")) for each in found)
    else:
        for each in walked(message):
            found_key = value(each.get(KEY))
            yield (found_key, _packets(each.get(EXPRESSION))) if len(found_key) == key else None


def _in_shape(message: memoryview, shape: struct.Struct) -> list[tuple[Any, ...]]:
    """Cut a message into elements of one shape; elements that do not fit are cut wrongly, which their headers tell."""
    elements = table_of(message).get(LIST, memoryview(b""))
    whole = len(elements) - len(elements) % shape.size
    found = list(shape.iter_unpack(elements[:whole]))
    return found if whole == len(elements) else [(0,) * 12]


def value(data: memoryview | None) -> bytes:
    """Unwrap NFTA_DATA_VALUE; empty where there is none."""
    return bytes(table_of(data or b"").get(_VALUE, b""))


def _packets(expression: memoryview | None) -> int:
    """Read a counter expression's packets: one a connection, since a nat chain sees a flow's first only."""
    data = table_of(expression or b"").get(2)
    return 0 if data is None else number(table_of(data).get(2))
