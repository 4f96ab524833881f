"""The only place that prints: data on stdout, messages on stderr, every name made harmless first.

Tables are drawn by rich on a terminal and are plain aligned text elsewhere; rich is imported only where it draws.
A terminal that a live view takes over is `netshare.cli.screen`'s.
"""

import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TextIO

from netshare.core.words import harmless
from netshare.errors import NetshareError

if TYPE_CHECKING:
    from rich.table import Table

    from netshare.cli.documents import Document

_STATE_COLUMN = "STATE"
_COLOURS = {"ready": "green", "starting": "yellow", "draining": "yellow", "unhealthy": "red", "gone": "dim"}


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


def wants_json(words: Sequence[str]) -> bool:
    """Tell whether a command line asks for JSON, even one that could not be understood."""
    pairs = pairwise(words)
    return any(w in ("-ojson", "-o=json", "--output=json") for w in words) or any(
        option in ("-o", "--output") and value == Format.JSON for option, value in pairs
    )


def line(text: str) -> None:
    """Print one line of a result."""
    _write(sys.stdout, harmless(text) + "\n")


def text(content: str) -> None:
    """Print a result of many lines as it is, save for what a terminal would act on."""
    _write(sys.stdout, "".join("\t".join(map(harmless, part.split("\t"))) + "\n" for part in content.splitlines()))


def document(content: "Document") -> None:
    """Print a result as JSON."""
    _write(sys.stdout, json.dumps(content, indent=2) + "\n")


def document_line(content: "Document") -> None:
    """Print a result as JSON, on one line of a stream of them."""
    _write(sys.stdout, json.dumps(content, separators=(",", ":")) + "\n")


def note(message: str) -> None:
    """Tell something beside the result."""
    _write(sys.stderr, f"netshare: {harmless(message)}\n")


def failure(error: NetshareError) -> None:
    """Tell what went wrong, and its mend on a line of its own."""
    note(error.message)
    if error.hint:
        _write(sys.stderr, f"  hint: {harmless(error.hint)}\n")


def failure_document(error: NetshareError) -> None:
    """Tell what went wrong to a program: on one line, as it may be the last of many."""
    from netshare.cli import documents

    document_line(documents.of_error(error))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their column names."""
    if not sys.stdout.isatty():
        plain_table(columns, rows)
        return
    from rich.console import Console

    Console().print(drawing(columns, [[harmless(cell) for cell in row] for row in rows]))


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows as plain aligned text, wherever they go to."""
    safe = [[harmless(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *safe, strict=True)]
    for row in (columns, *safe):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        _write(sys.stdout, "  ".join(cells).rstrip() + "\n")


def confirm(question: str) -> bool | None:
    """Ask on the terminal; ``None`` where there is none to ask on."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    _write(sys.stderr, f"{harmless(question)} [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


class ProgressLine:
    """How a wait goes, on stderr: one live line on a terminal, a line for each change elsewhere."""

    def __init__(self, interrupted: str, *, pause: float = 0.0) -> None:
        """``interrupted`` is what to say after Ctrl-C, if anything; lines elsewhere are ``pause`` seconds apart."""
        self._is_live = sys.stderr.isatty()
        self._interrupted = interrupted
        self._pause = pause
        self._not_before = 0.0
        self._last = ""

    def __enter__(self) -> Self:
        """Start with nothing shown."""
        return self

    def show(self, live: str, plain: str) -> None:
        """Show how it stands: ``live`` where a line can be drawn again and again, ``plain`` where it can't."""
        if self._is_live:
            width = shutil.get_terminal_size().columns - 1
            _write(sys.stderr, f"\r\x1b[K{harmless(live)[:width]}")
        elif plain != self._last and time.monotonic() >= self._not_before:
            note(plain)
            self._not_before = time.monotonic() + self._pause
        else:
            return
        self._last = plain

    def keep(self, text: str) -> None:
        """Tell something that is not to be drawn over."""
        if self._is_live and self._last:
            _write(sys.stderr, "\r\x1b[K")
        note(text)
        self._last, self._not_before = "", 0.0

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        if self._is_live and self._last:
            _write(sys.stderr, "\r\x1b[K")
        if kind is KeyboardInterrupt and self._last and self._interrupted:
            note(self._interrupted)


def _write(stream: TextIO, content: str) -> None:
    # Flushed each time: a reader that has gone (`| head`) is then met here and not at the interpreter's end.
    stream.write(content)
    stream.flush()


def drawing(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str] = (),
    widths: Mapping[str, int] | None = None,
    chosen: int | None = None,
) -> "Table":
    """Make rows of harmless cells a table of rich's.

    Where ``widths`` are given, each row is one line, and what has no room in a column of that width is cut. The row
    that is ``chosen`` stands out.
    """
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        justify: Literal["left", "right"] = "right" if column in right else "left"
        if widths is None:
            drawn.add_column(column, overflow="fold", justify=justify)
        else:
            drawn.add_column(column, overflow="ellipsis", no_wrap=True, justify=justify, width=widths[column])
    for number, row in enumerate(rows):
        cells = zip(columns, row, strict=True)
        drawn.add_row(
            *(Text(cell, _COLOURS.get(cell, "") if column == _STATE_COLUMN else "") for column, cell in cells),
            style="reverse" if number == chosen else None,
        )
    return drawn
