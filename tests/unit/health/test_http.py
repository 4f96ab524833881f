"""What is made of a server's answer, byte by byte; over a pair of sockets, with no network."""

import asyncio
import socket
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netshare.health import http
from netshare.health.http import LONGEST_HEAD, UnwellError, request


def status(*parts: bytes) -> int:
    """Read the status of an answer that comes in these parts, each on its own, and then ends."""

    async def read() -> int:
        asked, server = socket.socketpair()
        with asked, server:
            asked.setblocking(False)  # noqa: FBT003 (its only parameter)
            reading = asyncio.create_task(http.read_status(asked))
            for part in parts:
                server.sendall(part)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            server.shutdown(socket.SHUT_WR)
            return await reading

    return asyncio.run(read())


def test_a_request_is_closed_by_an_empty_line_and_asks_to_close() -> None:
    assert request("shop.example", "/up?full=1") == (
        b"GET /up?full=1 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: netshare-health\r\nAccept: */*\r\n"
        b"Connection: close\r\n\r\n"
    )


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_an_answer_may_come_in_any_pieces(size: int, end: bytes) -> None:
    whole = end.join((b"HTTP/1.1 103 Early Hints", b"Link: x", b"", b"HTTP/1.1 204 No Content", b"X: y", b"", b"rest"))
    assert status(*(whole[at : at + size] for at in range(0, len(whole), size))) == 204


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "it closed without an answer"),
        (b"HTTP/1.1 200 OK", "it closed in the middle of its answer"),
        (b"HTTP/1.1 200 OK\r\nServer: x\r\n", "it closed in the middle of its answer"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "it closed without an answer"),
        (b"<html>", "its answer is not HTTP"),
        (b"http/1.1 200 OK\r\n\r\n", "its answer is not HTTP"),
        (b"HTTP/1.1 99 OK\r\n\r\n", "its answer is not HTTP"),
        (b"HTTP/1.1 600 OK\r\n\r\n", "its answer is not HTTP"),
        (b"HTTP/1.1 200OK\r\n\r\n", "its answer is not HTTP"),
        (b"HTTP/1.2 200 OK\r\n\r\n", "its answer is not HTTP"),
        (b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "its answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * LONGEST_HEAD, f"its headers are longer than {LONGEST_HEAD} bytes"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * LONGEST_HEAD, f"its headers are longer than {LONGEST_HEAD} bytes"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_what_is_no_answer(answer: bytes, why: str) -> None:
    with pytest.raises(UnwellError) as unwell:
        status(*([answer] if len(answer) < LONGEST_HEAD else [answer[:100_000]]))
    assert str(unwell.value) == why


@given(st.lists(st.binary(max_size=30), max_size=10))
def test_any_bytes_are_an_answer_or_not_and_nothing_else(parts: list[bytes]) -> None:
    try:
        assert status(b"HTTP/1.", *parts) in range(200, 600)
    except UnwellError as unwell:
        said = str(unwell)
    else:
        said = ""
    assert said.isprintable()


def test_the_rest_is_read_within_limits() -> None:
    async def read() -> int:
        asked, server = socket.socketpair()
        with closing(asked), closing(server):
            asked.setblocking(False)  # noqa: FBT003 (its only parameter)
            server.setblocking(False)  # noqa: FBT003 (same)
            sent = server.send(b"x" * 200_000)
            await http.let_finish(asked)
            server.close()
            while left := asked.recv(1 << 20):
                sent -= len(left)
            return sent

    assert 0 < asyncio.run(read()) <= 2 * 65536
