"""The results as plots."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.benchmarks import behaviour, control, data, first
from scripts.benchmarks.results import Figure, Part, Results
from scripts.benchmarks.sides import DIRECT

OWN, OTHER, REFERENCE = "#2f7ed8", "#8a94a0", "#c8ccd2"
LINES = ("#2f7ed8", "#d8682f", "#5b8c3a", "#8a5bb0", "#8a94a0", "#c9a227")


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
        _shrink(directory / f"{name}.png")
        plt.close(figure)
        drawn.append(f"{name}.png")
    return drawn


def _shrink(path: Path) -> None:
    """Save a plot with as many colours as it needs, since it is kept in the repository."""
    from PIL import Image

    with Image.open(path) as picture:
        picture.convert("RGB").quantize(64).save(path, optimize=True)


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
    for name, style in ((first.NONE, "--"), (first.TRACKED, ":")):
        beside = part.get(first.FIRST, first.at(name, 0))
        if beside is not None:
            axes[0].axhline(beside.median, color=OTHER, linestyle=style, label=name)
    _label(axes[0], "The first packet of a flow", "services installed", "µs, there and back")


def _control(part: Part, axes: Sequence[Any]) -> None:
    panels = ((control.CHANGE, "One endpoint replaced", "ms"), (control.LOAD, "Everything loaded", "s"))
    for axis, (measure, title, unit) in zip(axes, panels, strict=True):
        _lines(axis, part.sides(measure))
        _label(axis, title, "services installed (10 endpoints each)", unit)


def _behaviour(part: Part, axes: Sequence[Any]) -> None:
    names = [figure.side for figure in part.sides(behaviour.ADDRESS)]
    height = 0.8 / max(1, len(names))
    for number, (name, colour) in enumerate(zip(names, LINES * 2, strict=False)):
        failed = {place: _failed(part, scenario, name) for place, scenario in enumerate(behaviour.SCENARIOS)}
        measured = {place + number * height: share for place, share in failed.items() if share is not None}
        bars = axes[0].barh(list(measured), list(measured.values()), height, color=colour, label=name)
        axes[0].bar_label(bars, fmt="%.4g", padding=3, fontsize="small")
    middle = height * (len(names) - 1) / 2
    axes[0].set_yticks([place + middle for place in range(len(behaviour.SCENARIOS))], behaviour.SCENARIOS)
    axes[0].invert_yaxis()
    axes[0].set_xlabel("failed a time")
    axes[0].set_title("Requests that failed, of 600 a second", loc="left")
    axes[0].legend(frameon=False, fontsize="small")


def _failed(part: Part, scenario: str, side: str) -> float | None:
    found = [part.get(behaviour.measure_of(scenario, how, behaviour.FAILED), side) for how in behaviour.RATE]
    there = [sum(figure.values) / len(figure.values) for figure in found if figure]
    return sum(there) if there else None


def _lines(axis: Any, figures: Sequence[Figure]) -> None:  # noqa: ANN401 (matplotlib's own)
    series: dict[str, list[tuple[int, float]]] = {}
    for figure in figures:
        side, _, services = figure.side.rpartition(" @ ")
        if int(services):
            series.setdefault(side, []).append((int(services), figure.median))
    for colour, (side, points) in zip(LINES * 2, series.items(), strict=False):
        axis.plot(*zip(*sorted(points), strict=True), marker="o", color=colour, label=side)


def _label(axis: Any, title: str, below: str, unit: str) -> None:  # noqa: ANN401 (matplotlib's own)
    axis.set(xscale="log", yscale="log", xlabel=below, ylabel=unit)
    for one in (axis.xaxis, axis.yaxis):
        one.set_major_formatter("{x:,g}")
    axis.set_title(title, loc="left")
    axis.legend(frameon=False, fontsize="small")


_PLOTS = {
    "data": ((15, 7), 3, _data),
    "first": ((8, 4.5), 1, _first),
    "control": ((12, 4.5), 2, _control),
    "behaviour": ((9, 5), 1, _behaviour),
}
