"""What the client runs: one task, by the first argument, whose result is one line of JSON.

It is sent there as it is, to a Python that may lack everything but its standard library.

    count URL REQUESTS              who answered how often, and what failed how often; each by a new connection
    load URL PER_SECOND             the same until the input ends; the first line of errors says when it has begun
    datagrams ADDRESS PORT COUNT    the same by UDP, each from a new port
    boot ADDRESS URL                wait until both have gone, and tell how long after that each was back
"""

import errno
import itertools
import json
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

PATIENCE = 8.0
HOPELESS = 900.0


def ask(url: str, patience: float = PATIENCE) -> str:
    """Ask once, by a connection of its own, and give the answer's body; raises OSError."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port or 80), patience) as connection:
        connection.settimeout(patience)
        target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        connection.sendall(f"GET {target} HTTP/1.0\r\nHost: web\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    head, _, body = answer.decode().partition("\r\n\r\n")
    if " 200 " not in head.partition("\r\n")[0]:
        raise ConnectionError(f"no proper answer: {answer[:80]!r}")
    return body.strip()


class Seen:
    """Who answered how often, and what failed how often."""

    def __init__(self) -> None:
        self._answers: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()

    def note(self, asking: Callable[[], str]) -> None:
        """Ask, and note the answer, or what went wrong: the exception, or the number where that tells nothing."""
        try:
            self._answers[asking()] += 1
        except OSError as error:
            plain = type(error) is OSError
            self._failures[errno.errorcode.get(error.errno or 0, "OSError") if plain else type(error).__name__] += 1

    def all(self) -> dict[str, dict[str, int]]:
        """Give all of it, as it is printed."""
        return {"answers": dict(self._answers), "failures": dict(self._failures)}


def count(url: str, requests: int) -> dict[str, dict[str, int]]:
    """Send requests one after another."""
    seen = Seen()
    for _ in range(requests):
        seen.note(lambda: ask(url))
    return seen.all()


def load(url: str, per_second: float) -> dict[str, dict[str, int]]:
    """Send requests at a rate, or as fast as they are answered where it is too high, until the input ends."""
    seen = Seen()
    began = time.monotonic()
    for number in itertools.count():
        if select.select([sys.stdin], [], [], max(0.0, began + number / per_second - time.monotonic()))[0]:
            break
        seen.note(lambda: ask(url))
        if number == 0:
            print("under way", file=sys.stderr, flush=True)  # noqa: T201 (whoever started this waits for it)
    return seen.all()


def datagrams(address: str, port: int, total: int) -> dict[str, dict[str, int]]:
    """Send datagrams one after another."""
    seen = Seen()
    for _ in range(total):
        seen.note(lambda: send(address, port))
    return seen.all()


def send(address: str, port: int) -> str:
    """Send one datagram, from a new port, and give the answer; raises OSError."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.settimeout(PATIENCE)
        sending.connect((address, port))
        sending.send(b"who?")
        return sending.recv(1000).decode()


def greets(address: str) -> bool:
    """Whether an sshd says hello."""
    try:
        with socket.create_connection((address, 22), 1.0) as connection:
            connection.settimeout(2.0)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def answers(url: str) -> bool:
    """Whether anybody answers."""
    try:
        return bool(ask(url, 1.0))
    except OSError:
        return False


def boot(address: str, url: str) -> dict[str, float]:
    """See a machine and its service go and come again; seconds since both had gone."""
    give_up = time.monotonic() + HOPELESS
    while greets(address) or answers(url):  # the service goes on for a while, as the machine goes down
        assert time.monotonic() < give_up, "it never went"
        time.sleep(0.2)
    gone = time.monotonic()
    seen: dict[str, float] = {}
    while len(seen) < 2 and time.monotonic() < give_up:
        if "sshd" not in seen and greets(address):
            seen["sshd"] = time.monotonic() - gone
        if "answer" not in seen and answers(url):
            seen["answer"] = time.monotonic() - gone
        time.sleep(0.1)
    return seen


def main() -> None:
    """Do what the arguments say."""
    match sys.argv[1:]:
        case ["count", url, requests]:
            result: object = count(url, int(requests))
        case ["load", url, per_second]:
            result = load(url, float(per_second))
        case ["datagrams", address, port, total]:
            result = datagrams(address, int(port), int(total))
        case ["boot", address, url]:
            result = boot(address, url)
        case words:
            sys.exit(f"no such task: {words}")
    print(json.dumps(result))  # noqa: T201 (its result)


if __name__ == "__main__":
    main()
