"""A kernel whose netshare table another hand has been at: what it dumps is what netshare wrote, bent."""

from hypothesis import strategies as st

from netshare.core.diff import diff
from netshare.core.ruleset import Ruleset
from netshare.netfilter.netlink import Netlink
from netshare.netfilter.nftables.chains import DEFAULT_MARK
from netshare.netfilter.nftables.transaction import (
    GET_CHAIN,
    GET_ELEMENT,
    GET_RULE,
    GET_SET,
    GET_TABLE,
    NEW_CHAIN,
    NEW_ELEMENT,
    NEW_RULE,
    NEW_SET,
    NEW_TABLE,
    write,
)
from netshare.netfilter.nftables.wire import string, table_of
from tests.fuzz.hostile import attributes, damaged
from tests.property.strategies import rulesets

_ANSWERED_BY = {
    GET_TABLE: NEW_TABLE,
    GET_CHAIN: NEW_CHAIN,
    GET_RULE: NEW_RULE,
    GET_SET: NEW_SET,
    GET_ELEMENT: NEW_ELEMENT,
}


class BentKernel(Netlink):
    """Answers from a list of objects, by their kind."""

    def __init__(self, objects: list[tuple[int, bytes]]) -> None:
        self._objects = objects

    def dump(self, kind: int, family: int, attributes: bytes = b"", *, about: str) -> list[memoryview]:  # noqa: ARG002
        """Give every object of a kind; of elements, those of one set."""
        wanted = string(table_of(attributes).get(2)) if kind == GET_ELEMENT else None
        found = [memoryview(packed) for each, packed in self._objects if each == _ANSWERED_BY[kind]]
        return [packed for packed in found if wanted is None or string(table_of(packed).get(2)) == wanted]

    def get(self, kind: int, family: int, attributes: bytes = b"", *, about: str) -> memoryview | None:
        """Give the first object of a kind."""
        return next(iter(self.dump(kind, family, attributes, about=about)), None)


def kernel_of(ruleset: Ruleset) -> list[tuple[int, bytes]]:
    """List the objects that a kernel has after a ruleset was written to it."""
    batch = write(diff(Ruleset(), ruleset, rebuild=True), DEFAULT_MARK)
    return [(message.kind, message.attributes) for message in batch]


@st.composite
def bent_dumps(draw: st.DrawFn) -> BentKernel:
    """Draw a kernel with a ruleset of which some objects are bent, doubled, gone, of another kind or out of order."""
    objects = kernel_of(draw(rulesets()))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(objects) - 1))
        kind, packed = objects[at]
        match draw(st.integers(0, 5)):
            case 0:
                del objects[at]
            case 5:
                objects.append(objects.pop(at))
            case 1:
                objects.append((kind, packed))
            case 2:
                objects.append((kind, draw(attributes())))
            case _:
                objects[at] = kind, draw(damaged(packed))
    return BentKernel(objects)
