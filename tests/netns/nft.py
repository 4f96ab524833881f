"""nftables' own tool, in a lab's namespace."""

import json
import subprocess

from netshare.lab.namespace import Namespace


def nft(namespace: Namespace, *words: str, text: str | None = None) -> str:
    """Run ``nft`` and give what it says; ``text`` is its standard input. It must succeed and complain about nothing."""
    done = run(namespace, "nft", *words, text=text)
    assert (done.returncode, done.stderr) == (0, ""), f"nft {' '.join(words)}: {done.stderr}"
    return done.stdout


def run(namespace: Namespace, *argv: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program in a namespace."""

    def inside() -> subprocess.CompletedProcess[str]:
        return subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=60)

    return namespace.run(inside)


def load(namespace: Namespace, ruleset: str) -> None:
    """Load a file of nft's."""
    nft(namespace, "-f", "-", text=ruleset)


def handles(namespace: Namespace, chain: str, table: str = "netshare") -> list[int]:
    """Number the rules of a chain of netshare's, in order."""
    listed = json.loads(nft(namespace, "-j", "-a", "list", "chain", "inet", table, chain))["nftables"]
    return [item["rule"]["handle"] for item in listed if "rule" in item]
