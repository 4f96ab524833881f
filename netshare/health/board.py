"""What the agent has found out, put up where verbs and the next agent can read it: a file in the runtime directory.

It is written whole and put in place by a rename, so a reader needs no lock. It is a hint that may be lost: a reader
that can't make sense of it knows nothing, and says nothing of it. Times are those of CLOCK_BOOTTIME, which no one sets.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from netshare.core import checks
from netshare.core.health import Probe, Standing, Verdict, is_fresh
from netshare.core.model import CheckKind, Endpoint, HealthCheck
from netshare.errors import UsageError
from netshare.runtime.boot import boot_time
from netshare.runtime.files import replace_file

SCHEMA = 2
_READ = (1, SCHEMA)
"""The first one had no verdicts on replicas that nobody checks: who reads no other would probe what it can't."""
_LARGEST = 1 << 26
_Document = dict[str, Any]


class HealthBoard:
    """The verdicts in one file."""

    def __init__(self, path: Path, clock: Callable[[], float] = boot_time) -> None:
        """Nothing is opened before it is asked."""
        self._path = path
        self._clock = clock

    def publish(self, verdicts: Mapping[Probe, Verdict]) -> None:
        """Put these up in place of all others; where there are none, take the file away.

        Raises:
            OSError: it can't be written; what was there may be there still.

        """
        if not verdicts:
            self._path.unlink(missing_ok=True)
            return
        document = {
            "schema": SCHEMA,
            "as_of": round(self._clock(), 3),
            "verdicts": [_written(probe, verdict) for probe, verdict in verdicts.items()],
        }
        # Not made to last: what a power cut loses here, the reboot makes worthless.
        replace_file(self._path, json.dumps(document, separators=(",", ":")).encode(), lasting=False)

    def read(self, *, renewed: bool) -> dict[Probe, Verdict]:
        """Read what still says something; ``renewed`` is whether somebody keeps it up to date right now."""
        document = self._document()
        if document is None:
            return {}
        try:
            age = self._clock() - document["as_of"]
            found = dict(_read(document["verdicts"]))
        except (KeyError, TypeError, ValueError, OverflowError, UsageError):
            return {}
        return {probe: verdict for probe, verdict in found.items() if renewed or is_fresh(age, probe.check)}

    def _document(self) -> _Document | None:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor has no path)
                content = file.read(_LARGEST)
            document = json.loads(content)
        except (OSError, ValueError, RecursionError):
            return None
        return document if isinstance(document, dict) and document.get("schema") in _READ else None


def _written(probe: Probe, verdict: Verdict) -> _Document:
    return {
        "service": probe.service,
        "replica": probe.replica,
        "endpoint": str(probe.endpoint),
        "check": checks.words(probe.check),
        "standing": verdict.standing,
        "passed": verdict.passed,
        "failed": verdict.failed,
        "was_healthy": verdict.was_healthy,
        "since": round(verdict.since, 3),
        "reason": verdict.reason,
    }


def _read(entries: list[_Document]) -> Iterator[tuple[Probe, Verdict]]:
    for entry in entries:
        address, _, port = str(entry["endpoint"]).rpartition(":")
        endpoint = Endpoint(ip_address(address.strip("[]")), int(port))
        probe = Probe(str(entry["service"]), str(entry["replica"]), endpoint, _check(str(entry["check"])))
        if probe.check.kind is CheckKind.NONE:
            raise ValueError("nothing is probed there")
        reason = entry["reason"]
        yield (
            probe,
            Verdict(
                Standing(entry["standing"]),
                int(entry["passed"]),
                int(entry["failed"]),
                was_healthy=bool(entry["was_healthy"]),
                since=float(entry["since"]),
                reason=None if reason is None else str(reason),
            ),
        )


@lru_cache(maxsize=1024)
def _check(words: str) -> HealthCheck:
    return checks.health_check(words)
