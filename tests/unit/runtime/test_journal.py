import logging
import os
from io import StringIO
from pathlib import Path

import pytest

from netshare.runtime.journal import JournalFormatter, formatter


def record(level: int, message: str) -> logging.LogRecord:
    return logging.LogRecord("netshare", level, "", 0, message, None, None)


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 3), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7)],
)
def test_the_journal_is_told_how_bad_each_line_is(tmp_path: Path, level: int, priority: int) -> None:
    with (tmp_path / "journal").open("w", encoding="utf-8") as stream:
        status = os.fstat(stream.fileno())
        chosen = formatter(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
    assert isinstance(chosen, JournalFormatter)
    assert chosen.format(record(level, "apply\nmore")) == f"<{priority}>apply\n<{priority}>more"


@pytest.mark.parametrize("named", ["", "1:2", "nonsense"])
def test_others_are_told_in_words(tmp_path: Path, named: str) -> None:
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        chosen = formatter(stream, {"JOURNAL_STREAM": named})
    assert chosen.format(record(logging.WARNING, "apply")) == "WARNING apply"


def test_what_is_no_file_is_not_the_journal() -> None:
    assert formatter(StringIO(), {"JOURNAL_STREAM": "1:2"}).format(record(logging.INFO, "apply")) == "INFO apply"
