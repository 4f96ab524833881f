"""The results as plots."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.benchmarks import control, data, first
from scripts.benchmarks.results import Figure, Part, Results
from scripts.benchmarks.sides import DIRECT

OWN, OTHER, REFERENCE = "#2f7ed8", "#8a94a0", "#c8ccd2"
LINES = ("#2f7ed8", "#d8682f", "#5b8c3a", "#8a5bb0", "#8a94a0")


def draw(results: Results, directory: Path) -> list[str]:
    """Draw each part that has a plot; gives the files' names."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    drawn = []
    for name, part in results.parts.items():
        if name not in _PLOTS:
            continue
        size, columns, panels = _PLOTS[name]
        figure, axes = plt.subplots(1, columns, figsize=size, layout="constrained", squeeze=False)
        panels(part, axes[0])
        for axis in axes[0]:
            axis.spines[["top", "right"]].set_visible(False)
        figure.savefig(directory / f"{name}.png", dpi=100)
        plt.close(figure)
        drawn.append(f"{name}.png")
    return drawn


def _data(part: Part, axes: Sequence[Any]) -> None:
    titles = ((data.NEW, "new connections"), (data.KEEP, "keep-alive requests"))
    for axis, (measure, title) in zip(axes, titles, strict=False):
        direct = part.get(measure, DIRECT)
        if direct is not None:
            _bars(axis, part.sides(measure), [figure.ratio(direct) for figure in part.sides(measure)], "%.2f")
        axis.set_title(f"{title}, × direct", loc="left")
    sides = part.sides(data.CPU_KEEP)
    _bars(axes[2], sides, [figure.median for figure in sides], "%.1f")
    axes[2].set_title("CPU ms per 1,000 keep-alive requests\n(client, replicas and way)", loc="left")
    for axis in axes[1:]:
        axis.set_yticklabels([])


def _bars(axis: Any, figures: Sequence[Figure], values: Sequence[float], form: str) -> None:  # noqa: ANN401 (matplotlib's own)
    pairs = sorted(zip(figures, values, strict=True), key=lambda pair: data.place(pair[0].side), reverse=True)
    names = [figure.side for figure, _ in pairs]
    colours = [
        REFERENCE if name.startswith("direct") else OWN if name.startswith("netshare") else OTHER for name in names
    ]
    bars = axis.barh(names, [value for _, value in pairs], 0.7, color=colours)
    axis.bar_label(bars, fmt=form, padding=3)
    axis.margins(x=0.15)


def _first(part: Part, axes: Sequence[Any]) -> None:
    _lines(axes[0], part.sides(first.FIRST))
    direct = part.get(first.FIRST, first.at(first.NONE, 0))
    if direct is not None:
        axes[0].axhline(direct.median, color=REFERENCE, linestyle="--", label=first.NONE)
    axes[0].set(xscale="log", yscale="log", xlabel="services installed", ylabel="µs, there and back")
    axes[0].set_title("The first packet of a flow", loc="left")
    axes[0].legend(frameon=False)


def _control(part: Part, axes: Sequence[Any]) -> None:
    panels = ((control.CHANGE, "One endpoint replaced", "ms"), (control.LOAD, "Everything loaded", "s"))
    for axis, (measure, title, unit) in zip(axes, panels, strict=True):
        _lines(axis, part.sides(measure))
        axis.set(xscale="log", yscale="log", xlabel="services installed (10 endpoints each)", ylabel=unit)
        axis.set_title(title, loc="left")
        axis.legend(frameon=False, fontsize="small")


def _lines(axis: Any, figures: Sequence[Figure]) -> None:  # noqa: ANN401 (matplotlib's own)
    series: dict[str, list[tuple[int, float]]] = {}
    for figure in figures:
        side, _, services = figure.side.rpartition(" @ ")
        if int(services):
            series.setdefault(side, []).append((int(services), figure.median))
    for colour, (side, points) in zip(LINES * 2, series.items(), strict=False):
        axis.plot(*zip(*sorted(points), strict=True), marker="o", color=colour, label=side)


_PLOTS = {
    "data": ((15, 7), 3, _data),
    "first": ((8, 4.5), 1, _first),
    "control": ((12, 4.5), 2, _control),
}
