"""What a forward chain of someone else's makes of a flow that netshare has sent to a replica.

A rule is worked off as the kernel does, with what is known of such a flow: it is new, its destination was rewritten,
its mark has netshare's bit, and so has its packets' where netshare sees to that. What is not known (ports, interfaces,
sets) leaves open whether a rule applies. Rules that iptables wrote have parts that are opaque here; `xtables` reads
these in their tool's words.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from netshare.core.model import Family
from netshare.netfilter.nftables.wire import number, string, table_of
from netshare.netfilter.surroundings.nf_tables import Chain, Expression, Rule

_NFPROTO = {Family.IP: 2, Family.IP6: 10}
_CT_STATE, _CT_STATUS, _CT_MARK = 0, 2, 3  # enum nft_ct_keys
_META_MARK, _META_NFPROTO = 3, 15  # enum nft_meta_keys
_NEW = 1 << 3  # NF_CT_STATE_BIT(IP_CT_NEW)
_DST_NAT = 1 << 5 | 1 << 8  # IPS_DST_NAT, IPS_DST_NAT_DONE
_ACCEPT, _DROP, _JUMP, _GOTO, _RETURN = 1, 0, -3, -4, -5
_EQ, _NEQ = 0, 1
_DEPTH = 16  # NFT_JUMP_STACK_SIZE
_CHAINS = 10_000
"""Chains that are walked through, each time it is come to: ten jumps in each, sixteen deep, would take for ever."""
_WITHOUT_EFFECT = frozenset({"counter", "log", "last", "notrack", "dup"})
_STRUCT = struct.Struct("=I")

Rules = Callable[[str], Sequence[Rule]]
"""The rules of a chain, by its name: asked only of those that a flow comes to."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a chain drops a flow; not certain where a rule before may accept it, or this one may not apply."""

    reason: str
    certain: bool = True


class _Step(Enum):
    """What a rule or a chain comes to."""

    GO_ON = auto()
    ACCEPT = auto()


@dataclass(slots=True)
class _Walk:
    """One way through the chains of a table."""

    rules: Rules
    family: Family
    mark: int
    packet_mark: int
    may_be_accepted: bool = False
    left: int = _CHAINS

    def chain(self, name: str, *, certain: bool = True, depth: int = 0) -> _Step | Refusal:
        if self.left <= 0:  # what lies behind may as well accept
            self.may_be_accepted = True
            return _Step.GO_ON
        self.left -= 1
        for rule in self.rules(name):
            applies, verdict = _Machine(self.family, self.mark, self.packet_mark).run(rule.expressions)
            if applies is False or verdict is None:
                continue
            outcome = self._decide(rule, verdict, certain=certain and applies is True, depth=depth)
            if outcome is not _Step.GO_ON:
                return outcome
            code, _ = verdict
            if applies is True and code in (_RETURN, _GOTO):
                break
        return _Step.GO_ON

    def _decide(self, rule: Rule, verdict: tuple[int, str], *, certain: bool, depth: int) -> _Step | Refusal:
        """Follow a verdict; where it is not certain that the rule applies, note that it may accept, and go on."""
        code, chain = verdict
        if code == _ACCEPT:
            if certain:
                return _Step.ACCEPT
            self.may_be_accepted = True
        elif code == _DROP:
            reason = f"its rule “{rule.comment}”" if rule.comment else f"a rule of chain {rule.chain}"
            if certain:
                return Refusal(reason, certain=not self.may_be_accepted)
        elif code in (_JUMP, _GOTO) and depth < _DEPTH:
            return self.chain(chain, certain=certain, depth=depth + 1)
        return _Step.GO_ON


class _Machine:
    """The registers of one rule; ``None`` stands for what is not known."""

    def __init__(self, family: Family, mark: int, packet_mark: int) -> None:
        self._registers: dict[int, bytes] = {}
        self._family = family
        self._mark = mark
        self._packet_mark = packet_mark

    def run(self, expressions: Sequence[Expression]) -> tuple[bool | None, tuple[int, str] | None]:
        """Tell whether the rule applies (``None``: perhaps) and its verdict, if it has one."""
        applies: bool | None = True
        for expression in expressions:
            verdict = _verdict(expression)
            if verdict is not None:
                return applies, verdict
            if self._asks_verdict_map(expression):
                return None, (_ACCEPT, "")
            passed = self._step(expression)
            if passed is False:
                return False, None
            applies = None if passed is None else applies
        return applies, None

    def _step(self, expression: Expression) -> bool | None:
        """Work one expression off; false where the rule ends there, ``None`` where that is not known."""
        data = expression.data
        match expression.kind:
            case "ct" if 1 in data:
                self._load(number(data[1]), self._of_flow(number(data.get(2))))
            case "meta" if 1 in data:
                self._load(number(data[1]), self._of_packet(number(data.get(2))))
            case "bitwise":
                self._bitwise(data)
            case "cmp":
                return self._compare(data)
            case kind if kind in _WITHOUT_EFFECT:
                pass
            case "payload" | "exthdr" | "fib" | "rt" | "socket" | "numgen" | "hash" | "byteorder" | "osf" | "xfrm":
                self._registers.clear()  # these load what is not known here
            case _:
                self._registers.clear()
                return None
        return True

    def _asks_verdict_map(self, expression: Expression) -> bool:
        """Whether a map is asked for a verdict that may be to accept: of the known state "new", none does."""
        data = expression.data
        is_verdict_map = expression.kind == "lookup" and 3 in data and number(data[3]) == 0  # noqa: PLR2004
        return is_verdict_map and number(data.get(2)) not in self._registers

    def _of_flow(self, key: int) -> bytes | None:
        known = {_CT_STATE: _NEW, _CT_STATUS: _DST_NAT, _CT_MARK: self._mark}
        return _STRUCT.pack(known[key]) if key in known else None

    def _of_packet(self, key: int) -> bytes | None:
        if key == _META_MARK:
            return _STRUCT.pack(self._packet_mark)
        return bytes([_NFPROTO[self._family]]) if key == _META_NFPROTO else None

    def _load(self, register: int, content: bytes | None) -> None:
        if content is None:
            self._registers.pop(register, None)
        else:
            self._registers[register] = content

    def _bitwise(self, data: Mapping[int, memoryview]) -> None:
        source, destination = number(data.get(1)), number(data.get(2))
        mask, xor = (_constant(data.get(key)) for key in (4, 5))
        content = self._registers.get(source)
        is_boolean = number(data.get(6)) == 0 and len(mask) == len(xor) == _STRUCT.size
        if content is None or len(content) != _STRUCT.size or not is_boolean:
            self._load(destination, None)
            return
        (value,), (kept,), (flipped,) = (_STRUCT.unpack(each) for each in (content, mask, xor))
        self._load(destination, _STRUCT.pack(value & kept ^ flipped))

    def _compare(self, data: Mapping[int, memoryview]) -> bool | None:
        content, wanted = self._registers.get(number(data.get(1))), _constant(data.get(3))
        operation = number(data.get(2))
        if content is None or operation not in (_EQ, _NEQ) or len(wanted) > len(content):
            return None
        return (content[: len(wanted)] == wanted) == (operation == _EQ)


def _constant(data: memoryview | None) -> bytes:
    return b"" if data is None else bytes(table_of(data).get(1, b""))


def _verdict(expression: Expression) -> tuple[int, str] | None:
    """Read the verdict of an expression that has one: its code, and the chain it leads to."""
    if expression.kind == "reject":
        return _DROP, ""
    if expression.kind != "immediate" or number(expression.data.get(1)) != 0:
        return None
    verdict = table_of(table_of(expression.data.get(2, b"")).get(2, b""))
    code = int.from_bytes(verdict.get(1, b""), "big", signed=True)
    return code, string(verdict.get(2))


def refusal(chain: Chain, rules: Rules, family: Family, mark: int, *, packet_mark: int) -> Refusal | None:
    """Tell why a chain drops such a flow; ``None`` where it lets it by, as far as one can see."""
    walk = _Walk(rules, family, mark, packet_mark)
    outcome = walk.chain(chain.name)
    if isinstance(outcome, Refusal):
        return outcome
    if outcome is _Step.GO_ON and chain.drops:
        return Refusal("its policy", certain=not walk.may_be_accepted)
    return None
