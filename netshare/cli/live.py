"""``netshare status --watch``: a look again and again, redrawn in place on a terminal, printed one by one elsewhere."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, NoReturn

from netshare.cli import documents, output, rows
from netshare.core import parse
from netshare.core.model import ReplicaState
from netshare.core.words import harmless
from netshare.errors import NetshareError, UsageError
from netshare.operations.status import Status
from netshare.operations.watching import Look, Watch

if TYPE_CHECKING:
    from rich.console import RenderableType

_DISPENSABLE = ("LISTENERS", "ENDPOINT", "TOTAL", "WEIGHT")
"""The columns that go, in this order, where a terminal is too narrow for all."""
_NUMBERS = ("WEIGHT", "NEW/S", "TOTAL", "ACTIVE")
_LEAST_REASON = 12
"""A reason has at least so many characters as long as there is a column to spare."""
_GAP = 2
_USUAL, _SHORTEST, _LONGEST = 1.0, 0.1, 3600.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen last, when, and what went wrong since."""

    look: Look
    time: datetime
    problem: NetshareError | None = None

    @property
    def local_time(self) -> str:
        """When it was, in this place."""
        return self.time.astimezone().strftime("%Y-%m-%d %H:%M:%S")

    @property
    def messages(self) -> list[str]:
        """What to tell beside the table."""
        status = self.look.status
        problems = (*status.problems, *filter(None, [self.problem]))
        return [*(problem.message for problem in problems), *map(str, (*status.obstacles, *status.notices))]


def watch(watching: Watch, interval: float, form: output.Format) -> None:
    """Show it until Ctrl-C, or the key ``q``; what goes wrong after the first look is shown, and tried again."""
    seen = Seen(watching.look(), now())
    if form is output.Format.JSON:
        _print_on(watching, seen, interval, _document)
    elif is_screen():
        _draw_on(watching, seen, interval)
    else:
        _print_on(watching, seen, interval, _block)


def seconds(word: str | None) -> float:
    """Read an interval."""
    if word is None:
        return _USUAL
    found = parse.duration(word)
    if not _SHORTEST <= found <= _LONGEST:
        raise UsageError(f"{parse.shown(word)} is not an interval", hint="it is 100ms to 1h")
    return found


def now() -> datetime:
    """Tell the time."""
    return datetime.now(UTC)


def is_screen() -> bool:
    """Whether a view can be drawn."""
    if not sys.stdout.isatty():
        return False
    from netshare.cli import screen

    return screen.is_possible()


def again(watching: Watch, before: Seen) -> Seen:
    """Look again; where that fails, what was seen before stands beside the reason."""
    try:
        return Seen(watching.look(), now())
    except NetshareError as error:
        return Seen(before.look, now(), error)


def _print_on(watching: Watch, seen: Seen, interval: float, show: Callable[[Seen], None]) -> NoReturn:
    import time

    said: list[str] = []
    while True:
        show(seen)
        for message in seen.messages:
            if message not in said and show is _block:
                output.note(message)
        said = seen.messages
        time.sleep(watching.rest(interval))
        seen = again(watching, seen)


def _document(seen: Seen) -> None:
    described = documents.of_status(seen.look.status) if seen.problem is None else documents.of_error(seen.problem)
    output.document_line(described | {"time": seen.time.isoformat(timespec="milliseconds")})


def _block(seen: Seen) -> None:
    """Print one look, behind the time and before an empty line."""
    output.line(seen.local_time)
    output.plain_table(rows.LIVE_COLUMNS, list(_rows(seen.look.status)))
    output.line("")


def _rows(status: Status) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(rows.rows(item, rows.LIVE_COLUMNS) for item in status.services)


def _draw_on(watching: Watch, seen: Seen, interval: float) -> None:
    from netshare.cli.screen import Screen

    with Screen() as screen:
        screen.show(view(seen, interval, *screen.size))
        while "q" not in screen.wait(watching.rest(interval)):
            if watching.rest(interval) <= 0:
                seen = again(watching, seen)
            screen.show(view(seen, interval, *screen.size))


def view(seen: Seen, interval: float, width: int, height: int) -> "RenderableType":
    """Draw what was seen, as much of it as a terminal of this size has room for."""
    from rich.console import Group
    from rich.text import Text

    head = [
        Text(harmless(said), no_wrap=True, overflow="ellipsis")
        for said in heading("netshare status", seen.look, interval, seen.local_time)
    ][: max(1, height // 4)]
    tail = [Text(f"! {harmless(said)}", "yellow", no_wrap=True, overflow="ellipsis") for said in seen.messages]
    count = sum(max(1, len(item.replicas)) for item in seen.look.status.services)
    tail = tail[: max(1, height // 4)]
    room = max(1, height - len(head) - 1 - len(tail))
    shown = list(islice(_rows(seen.look.status), count if count <= room else max(0, room - 1)))
    if count > len(shown):
        more = f"… {count - len(shown):,} more: a service's name after `status` shows it alone"
        tail.insert(0, Text(more, "dim", no_wrap=True, overflow="ellipsis"))
    if not count:
        tail.insert(0, Text("nothing is attached; `netshare attach NAME PORT` attaches a service"))
        return Group(*head, *tail)
    return Group(*head, _table(shown, width), *tail)


def heading(verb: str, look: Look, interval: float, time: str) -> Iterator[str]:
    """Say what is shown, and sum it up."""
    status = look.status
    replicas = [each for item in status.services for each in item.replicas]
    ready = sum(each.replica.state is ReplicaState.READY for each in replicas)
    agent = f"agent: pid {status.agent.pid}" if status.agent.is_running else "no agent runs"
    yield f"{verb}, every {interval:g} s · {time} · {agent}"
    new = "" if look.rate is None else f"{rows.rate(look.rate)} new/s, "
    services = "1 service" if len(status.services) == 1 else f"{len(status.services):,} services"
    yield f"{services} · {ready:,} of {len(replicas):,} replicas ready · {new}{look.active:,} active"
    yield ""


def fitting(widths: dict[str, int], columns: Sequence[str], dispensable: Sequence[str], width: int) -> list[str]:
    """Choose the columns that there is room for; what is left is the last one's."""
    kept, spare = list(columns), list(dispensable)
    while (left := width - sum(widths[column] + _GAP for column in kept[:-1])) < _LEAST_REASON and spare:
        kept.remove(spare.pop(0))
    widths[kept[-1]] = max(1, left)
    return kept


def _table(shown: Sequence[Sequence[str]], width: int) -> "RenderableType":
    from rich.cells import cell_len

    safe = [[harmless(cell) for cell in row] for row in shown]
    widths = {
        column: max(cell_len(cell) for cell in (column, *(row[number] for row in safe)))
        for number, column in enumerate(rows.LIVE_COLUMNS)
    }
    kept = fitting(widths, rows.LIVE_COLUMNS, _DISPENSABLE, width)
    numbers = [rows.LIVE_COLUMNS.index(column) for column in kept]
    return output.drawing(kept, [[row[number] for number in numbers] for row in safe], right=_NUMBERS, widths=widths)
