"""How `netshare top` looks: as many rows around the chosen one as there is room for, and a trend for each."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from netshare.cli import output, rows
from netshare.cli.board import HISTORY, Board, Row
from netshare.cli.live import fitting, heading
from netshare.core.words import harmless

_COLUMNS = ("NAME", "STATE", "WEIGHT", "NEW/S", "ACTIVE", "TREND", "ENDPOINT", "REASON")
_NUMBERS = ("WEIGHT", "NEW/S", "ACTIVE")
_DISPENSABLE = ("ENDPOINT", "WEIGHT", "TREND")
_KEYS = "↑↓ choose · n name · c new · a active · w weight · d drain · r resume · q quit"
_BARS, _PLAIN_BARS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"


def view(
    board: Board, interval: float, time: str, said: Sequence[str], size: tuple[int, int], *, plain: bool = False
) -> RenderableType:
    """Draw the board for a terminal of this size; ``said`` is what to tell beside it, ``plain`` spares the bars."""
    width, height = size
    head = [] if board.look is None else list(heading("netshare top", board.look, interval, time))
    head = head[: max(1, height // 4)]
    foot = [f"{board.question}? y: yes, any other key: no"] if board.question else [*said, _keys(board)]
    foot = foot[-max(1, height // 4) :]
    room = max(1, height - len(head) - 1 - len(foot))
    first = max(0, min(board.chosen - room // 2, len(board.rows) - room))
    shown = board.rows[first : first + room]
    blank = room - len(shown)
    if not board.rows:
        table: RenderableType = Text("nothing is attached; `netshare attach NAME PORT` attaches a service")
    else:
        table = _table(shown, board.chosen - first, width, _PLAIN_BARS if plain else _BARS)
    return Group(*map(_line, head), table, *([Text("\n" * (blank - 1))] if blank else []), *map(_line, foot))


def _keys(board: Board) -> str:
    return f"by {board.order} · {_KEYS}"


def _line(text: str) -> Text:
    return Text(harmless(text), no_wrap=True, overflow="ellipsis")


def _table(shown: Sequence[Row], chosen: int, width: int, bars: str) -> RenderableType:
    cells = [{name: harmless(cell) for name, cell in _cells(row, bars)} for row in shown]
    widths = {name: max(cell_len(each) for each in (name, *(row[name] for row in cells))) for name in _COLUMNS}
    kept = fitting(widths, _COLUMNS, _DISPENSABLE, width)
    drawn = [[row[name] for name in kept] for row in cells]
    return output.drawing(kept, drawn, right=_NUMBERS, widths=widths, chosen=chosen)


def _cells(row: Row, bars: str) -> Iterator[tuple[str, str]]:
    if row.replica is None:
        yield "NAME", f"{row.item.service.name}  {rows.listeners(row.item)}"
        yield "STATE", f"{row.ready}/{len(row.item.replicas)} ready"
        yield "WEIGHT", ""
        yield "ENDPOINT", ""
        yield "REASON", "" if row.item.replicas else rows.NO_REPLICA
    else:
        found = row.replica
        yield "NAME", f"  {found.replica.name}"
        yield "STATE", found.replica.state.value
        yield "WEIGHT", str(found.replica.weight)
        yield "ENDPOINT", ", ".join(map(str, found.endpoints)) or "-"
        yield "REASON", found.reason or ""
    yield "NEW/S", rows.rate(row.rate)
    yield "ACTIVE", str(row.active)
    yield "TREND", spark(row.trend, bars).rjust(HISTORY)


def spark(trend: Sequence[float], bars: str = _BARS) -> str:
    """Draw a trend, its own highest point for a measure: any that is not zero can be seen."""
    top, steps = max(trend, default=0.0), len(bars) - 1
    return "".join(bars[0] if value <= 0 else bars[max(1, round(value / top * steps))] for value in trend)
