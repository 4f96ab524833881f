"""What the client runs: one task, by the first argument, whose result is one line of JSON.

It is sent there as it is, to a Python that may lack everything but its standard library.

    count URL REQUESTS PER_SECOND    who answered how often, and what failed how often; each by a new connection
    datagrams ADDRESS PORT COUNT     the same by UDP, each from a new port
    boot ADDRESS URL                 wait until both have gone, and tell how long after that each was back
"""

import json
import socket
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

PATIENCE = 8.0
HOPELESS = 900.0


def ask(url: str, patience: float = PATIENCE) -> str:
    """Ask once, by a connection of its own, and give the answer's body; raises OSError."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port or 80), patience) as connection:
        connection.settimeout(patience)
        connection.sendall(f"GET {parts.path or '/'} HTTP/1.0\r\nHost: web\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    head, _, body = answer.decode().partition("\r\n\r\n")
    if " 200 " not in head.partition("\r\n")[0]:
        raise ConnectionError(f"no proper answer: {answer[:80]!r}")
    return body.strip()


def count(url: str, requests: int, per_second: float) -> dict[str, dict[str, int]]:
    """Send requests at a rate, or as fast as they are answered where it is too high."""
    answers: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    began = time.monotonic()
    for number in range(requests):
        time.sleep(max(0.0, began + number / per_second - time.monotonic()))
        try:
            answers[ask(url)] += 1
        except OSError as error:
            failures[type(error).__name__] += 1
    return {"answers": dict(answers), "failures": dict(failures)}


def datagrams(address: str, port: int, total: int) -> dict[str, dict[str, int]]:
    """Send datagrams one after another, and count who answered each."""
    answers: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    for _ in range(total):
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sending:
            sending.settimeout(PATIENCE)
            try:
                sending.connect((address, port))
                sending.send(b"who?")
                answers[sending.recv(1000).decode()] += 1
            except OSError as error:
                failures[type(error).__name__] += 1
    return {"answers": dict(answers), "failures": dict(failures)}


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
        case ["count", url, requests, per_second]:
            result: object = count(url, int(requests), float(per_second))
        case ["datagrams", address, port, total]:
            result = datagrams(address, int(port), int(total))
        case ["boot", address, url]:
            result = boot(address, url)
        case words:
            sys.exit(f"no such task: {words}")
    print(json.dumps(result))  # noqa: T201 (its result)


if __name__ == "__main__":
    main()
