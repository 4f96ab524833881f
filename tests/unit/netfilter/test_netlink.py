"""Answers of the kernel's that are lost, late or somebody else's."""

import errno
import os
import struct
from collections.abc import Callable

import pytest

from netshare.errors import NetfilterError
from netshare.netfilter.netlink import SUBSYSTEM_NFTABLES, Message, Netlink
from netshare.netfilter.nftables.wire import u32

_GENERATION = 16
_ERROR, _DONE = 2, 3


def answer(sequence: int, kind: int, payload: bytes = bytes(4)) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, 0, sequence, 0) + payload


def refusal(sequence: int, code: int) -> bytes:
    return answer(sequence, _ERROR, struct.pack("=i", -code) + bytes(16))


class Socket:
    """Gives one answer after the other; one that is a number is an error."""

    def __init__(self, answers: list[bytes | int]) -> None:
        self.answers = answers
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> int:
        self.sent.append(data)
        return len(data)

    def recv(self, size: int, flags: int = 0) -> bytes:  # noqa: ARG002
        if not self.answers:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        found = self.answers.pop(0)
        if isinstance(found, int):
            raise OSError(found, os.strerror(found))
        return found

    def getsockopt(self, *_: int) -> int:
        return 1 << 30

    def close(self) -> None:
        """Nothing is open."""


Opened = Callable[..., Netlink]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Make a connection of which these are the kernel's answers."""

    def make(*answers: bytes | int) -> Netlink:
        netlink = Netlink(SUBSYSTEM_NFTABLES)
        netlink.close()
        monkeypatch.setattr(netlink, "_socket", Socket(list(answers)))
        return netlink

    return make


def messages(*abouts: str) -> list[Message]:
    return [Message(0, 0, 1, b"", about) for about in abouts]


def test_an_answer_that_found_no_room_is_asked_for_again(opened: Opened) -> None:
    """ENOBUFS: the receive buffer was full, and what did not fit is lost (netlink(7))."""
    netlink = opened(errno.ENOBUFS, answer(2, 0xA0F, bytes(4) + u32(1, 7)) + refusal(2, 0))
    found = netlink.get(_GENERATION, 0, about="the generation")
    assert found is not None
    assert bytes(found) == u32(1, 7)
    netlink = opened(errno.ENOBUFS, errno.ENOBUFS, answer(3, 0xA0C, bytes(4) + b"abcd") + answer(3, _DONE))
    assert [bytes(each) for each in netlink.dump(10, 1, about="maps")] == [b"abcd"]


def test_one_that_never_finds_room_is_an_error_of_ours(opened: Opened) -> None:
    with pytest.raises(NetfilterError, match="could not read the generation"):
        opened(*[errno.ENOBUFS] * 20).get(_GENERATION, 0, about="the generation")


def test_an_answer_that_never_comes_is_not_waited_for_without_end(opened: Opened) -> None:
    with pytest.raises(NetfilterError, match="could not read maps: no answer within 30 s"):
        opened(answer(1, 0xA0C, bytes(4) + b"abcd")).dump(10, 1, about="maps")
    with pytest.raises(NetfilterError, match="the kernel's answer to a batch was lost: no answer within 30 s"):
        opened().commit(messages("chain dispatch"))


@pytest.mark.parametrize("code", [errno.ENOBUFS, errno.ENOMEM])
def test_a_question_that_can_not_be_sent(opened: Opened, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    netlink = opened()

    def full(_self: Socket, _data: bytes) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Socket, "send", full)
    with pytest.raises(NetfilterError, match="could not ask for maps"):
        netlink.dump(10, 1, about="maps")


def test_what_an_earlier_batch_was_answered_is_no_answer_to_this_one(opened: Opened) -> None:
    netlink = opened(errno.ENOBUFS, refusal(1, errno.EEXIST) + refusal(2, 0) + refusal(4, 0))
    with pytest.raises(NetfilterError, match="was lost"):
        netlink.commit(messages("chain one", "chain two"))
    netlink.commit(messages("chain three", "chain four"))


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_answers_that_are_cut_short_are_none(opened: Opened, cut: int) -> None:
    whole = answer(1, 0xA0C, bytes(4) + b"abcd") + answer(1, _DONE)
    found = opened(whole[:cut], answer(1, _DONE)).dump(10, 1, about="maps")
    assert [bytes(each) for each in found] in ([], [b"abcd"])
