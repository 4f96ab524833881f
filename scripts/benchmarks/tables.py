"""Markdown tables of figures, and numbers as people read them."""

from collections.abc import Iterable, Sequence

from scripts.benchmarks.results import Figure

NONE = "–"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table: the first column to the left, the others to the right."""
    lines = [f"| {' | '.join(head)} |", f"|---{'|---:' * (len(head) - 1)}|"]
    return "\n".join((*lines, *(f"| {' | '.join(row)} |" for row in rows)))


def number(value: float) -> str:
    """Write three digits that count; large numbers whole, with commas."""
    if value == 0:
        return "0"
    size = abs(value)
    for least, digits in ((100, 0), (10, 1), (1, 2), (0.1, 3)):
        if size >= least:
            rounded = round(value, -2 if size >= 10_000 else digits)  # noqa: PLR2004 (five digits are too many)
            return f"{rounded:,.{digits}f}"
    return f"{value:.2g}"


def median(figure: Figure | None) -> str:
    """Write the middle value."""
    return NONE if figure is None else number(figure.median)


def compared(figure: Figure | None, beside: Figure | None) -> str:
    """Write the middle value, and how many times another side's it is."""
    if figure is None or beside is None or figure.side == beside.side:
        return median(figure)
    return f"{number(figure.median)} ({figure.ratio(beside):.2f})"


def spread(figure: Figure | None) -> str:
    """Write from where to where all values lie, in per cent of the middle one."""
    if figure is None or not figure.median:
        return NONE
    least, most = (100 * (end / figure.median - 1) for end in (min(figure.values), max(figure.values)))
    return f"{least:+.0f} … {most:+.0f} %"
