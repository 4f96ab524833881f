"""Log lines for whoever reads them: the journal is told how bad each is (sd-daemon(3)), a terminal or a file in words.

Neither is told the time: the journal knows it, and so does whatever a log is piped to.
"""

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""From which level on a line has which of syslog's priorities; below the last it is for debugging, 7."""


class JournalFormatter(logging.Formatter):
    """``<4>judge service=…``: each line with its priority, those of a traceback too."""

    def format(self, record: logging.LogRecord) -> str:
        """Give a record's lines."""
        priority = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def formatter(stream: TextIO, environment: Mapping[str, str] = os.environ) -> logging.Formatter:
    """Give what is right for this stream."""
    if _goes_to_the_journal(stream, environment.get("JOURNAL_STREAM", "")):
        return JournalFormatter("%(message)s")
    return logging.Formatter("%(levelname)s %(message)s")


def _goes_to_the_journal(stream: TextIO, named: str) -> bool:
    """Compare with what systemd connected: the variable is inherited also by what was redirected since."""
    with suppress(OSError, ValueError):
        status = os.fstat(stream.fileno())
        return named == f"{status.st_dev}:{status.st_ino}"
    return False
