"""The results as a page of Markdown, made of the recorded figures alone."""

import re
from collections.abc import Iterable, Iterator, Sequence

from scripts.benchmarks import behaviour, control, data, events, first, heal, health, rollouts, services, verbs
from scripts.benchmarks.goals import verdicts
from scripts.benchmarks.results import Conditions, Figure, Machine, Part, Results
from scripts.benchmarks.sides import DIRECT
from scripts.benchmarks.tables import NONE, compared, median, number, spread, table

HEAD = """\
# netshare, measured

Made by `scripts/bench --to scripts/bench-results`. Rates are medians of all rounds; in
brackets stands how many times the rate of a client that connects to a replica directly, as the median of the rounds'
ratios. Such figures compare sides on one machine; they say little about another.
"""
OWN = "netshare"
_AT = re.compile(r"(.+) @ (\d+)")


def text(results: Results, plots: Sequence[str]) -> str:
    """Write the page."""
    sections = [HEAD, _machine(results.machine), _goals(results)]
    for name, (title, tables) in _PARTS.items():
        part = results.parts.get(name)
        if part is None:
            continue
        sections.append(f"## {title}")
        sections += [f"![{title}]({plot})" for plot in plots if plot.startswith(name)]
        sections += tables(part)
        sections += [f"- {sentence}" for sentence in part.said]
        sections += [f"- Left out: {one.side}: {one.reason}" for one in part.left_out]
        sections.append(f"- {_conditions(part.conditions)}")
    return _joined(sections)


def _joined(sections: Iterable[str]) -> str:
    lines: list[str] = []
    for section in sections:
        if lines and not (section.startswith("- ") and lines[-1].startswith("- ")):
            lines.append("")
        lines.append(section.rstrip("\n"))
    return "\n".join(lines) + "\n"


def _machine(machine: Machine) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    return (
        f"**Machine:** {machine.processor}, {machine.cores} cores, {machine.memory_gib:g} GiB, Linux {machine.kernel}. "
        f"**Versions:** {versions}."
    )


def _conditions(conditions: Conditions) -> str:
    quick = " A quick run: a smoke test, no measurement." if conditions.is_quick else ""
    return (
        f"Measured {conditions.date} at {conditions.commit}, in {conditions.seconds:.0f} s; load average "
        f"{conditions.load_before:g} before, {conditions.load_after:g} after. Processes that are not the "
        f"benchmark's (containers count among them) kept {conditions.busy_elsewhere:.2f} "
        f"processors busy meanwhile.{quick}"
    )


def _goals(results: Results) -> str:
    rows = [
        (
            one.goal,
            one.measured,
            f"{'met' if one.is_met else '**missed**'}{', within the noise' if one.within_noise else ''}",
        )
        for one in verdicts(results)
    ]
    return "\n\n".join(("## Goals", *_noise(results), table(["goal", "measured", ""], rows)))


def _noise(results: Results) -> Iterator[str]:
    """Say which parts the machine was too busy for."""
    busy = {
        _PARTS[name][0]: part.conditions.busy_elsewhere
        for name, part in results.parts.items()
        if part.conditions.is_noisy
    }
    if busy:
        named = ", ".join(f"{title} ({processors:g} of {results.machine.cores})" for title, processors in busy.items())
        yield (
            f"**Noisy:** while these parts were measured, so many processors were busy with something else: {named}. "
            "Their rates are off by as much as their spread; processor times and medians of many suffer less."
        )


def _data(part: Part) -> Iterator[str]:
    sides = [figure.side for figure in part.sides(data.KEEP)]
    sides.sort(key=data.place)
    direct = {figure.measure: figure for figure in part.figures if figure.side == DIRECT}

    def cell(measure: str, side: str) -> str:
        return compared(part.get(measure, side), direct.get(measure))

    head = ["", "new connections/s", "keep-alive requests/s", "Gbit/s", "datagrams/s", "p50 µs", "p99 µs"]
    rates = (data.NEW, data.KEEP, data.BYTES, data.DATAGRAMS)
    plain = (data.P50, data.P99)
    yield table(
        head,
        [
            (side, *(cell(measure, side) for measure in rates), *(median(part.get(measure, side)) for measure in plain))
            for side in sides
        ],
    )
    for measure, rate in ((data.CPU_NEW, data.NEW), (data.CPU_KEEP, data.KEEP)):
        yield f"{measure.capitalize()} (ms), and from where to where the rates of the rounds lay:"
        yield table(
            ["", "all", "beyond direct", "kernel", "proxy", "MiB", f"spread of {rate}"],
            [
                (
                    side,
                    median(part.get(measure, side)),
                    _beyond(part.get(measure, side), direct[measure]),
                    *(median(part.get(data.part(measure, share), side)) for share in (data.IN_KERNEL, data.OF_WAY)),
                    median(part.get(data.MEMORY, side)),
                    spread(part.get(rate, side)),
                )
                for side in sides
            ],
        )
    yield _ahead(part)


def _beyond(figure: Figure | None, direct: Figure) -> str:
    if figure is None or figure.side == direct.side:
        return NONE
    return number(figure.median - direct.median)


def _ahead(part: Part) -> str:
    """Name what others do better: no table shows it as plainly."""
    lines = []
    for measure, better in (
        (data.NEW, max),
        (data.KEEP, max),
        (data.BYTES, max),
        (data.DATAGRAMS, max),
        (data.P50, min),
    ):
        own = part.get(measure, OWN)
        others = [one for one in part.sides(measure) if not one.side.startswith((OWN, "direct"))]
        if own is None:
            continue
        ahead = [one for one in others if better(one.median, own.median) != own.median]
        if ahead:
            named = ", ".join(f"{one.side} ({one.ratio(own):.2f} ×)" for one in ahead)
            lines.append(f"- {measure}: {named}")
    if not lines:
        return "In none of these is another side than `direct` ahead of netshare."
    return "\n".join(("Who is ahead of netshare with three replicas, and how many times its median:\n", *lines))


def _by_services(part: Part, measure: str, *, worst: bool = False) -> str:
    """Write a table with a row a side, a column a number of services."""
    cells: dict[str, dict[int, Figure]] = {}
    for figure in part.sides(measure):
        found = _AT.fullmatch(figure.side)
        if found is not None:
            cells.setdefault(found[1], {})[int(found[2])] = figure
    numbers = sorted({many for row in cells.values() for many in row if many})

    def cell(figure: Figure | None) -> str:
        if figure is None:
            return NONE
        return f"{number(figure.median)} / {number(figure.quantile(0.99))}" if worst else number(figure.median)

    head = ["", *(f"{many:,}" for many in numbers)]
    rows = [(side, *(cell(row.get(many, row.get(0))) for many in numbers)) for side, row in cells.items()]
    return table(head, rows)


def _first(part: Part) -> Iterator[str]:
    yield "Microseconds from sending to the reply, by services installed. The first datagram of a flow:"
    yield _by_services(part, first.FIRST)
    yield "The second:"
    yield _by_services(part, first.SECOND)


def _control(part: Part) -> Iterator[str]:
    yield f"One endpoint of {services.ENDPOINTS} replaced, by services installed: milliseconds, median / p99."
    yield _by_services(part, control.CHANGE, worst=True)
    yield "Of this, the processor time of netshare's commit:"
    yield _by_services(part, control.CHANGE_CPU)
    yield "The same back to back, with nothing compared in between:"
    yield _by_services(part, control.AGAIN)
    yield "The comparison that comes before it:"
    yield _by_services(part, control.COMPARE)
    yield "Everything loaded anew in one transaction (seconds):"
    yield _by_services(part, control.LOAD)
    for measure, what in (
        (
            control.RECONCILE,
            "What the agent needs for the whole of it, from a definition that was changed to its answer (seconds)",
        ),
        (control.RESTART, "The agent restarted, from its start until it has reconciled and answers (seconds)"),
        (control.RESTART_EMPTY, "The same with nothing in the kernel yet"),
    ):
        yield f"{what}:"
        yield _by_services(part, measure)


def _events(part: Part) -> Iterator[str]:
    yield _plainly(part, [events.STOP, events.START, events.RUNNING], "ms")


def _behaviour(part: Part) -> Iterator[str]:
    sides = [figure.side for figure in part.sides(behaviour.ADDRESS)]
    yield "Failed requests, all rounds together, on new connections + on kept ones:"
    rows = []
    for side in sides:
        seen = part.get(behaviour.ADDRESS, side)
        address = {1.0: "yes", 0.5: "in a header"}.get(seen.median if seen else 0.0, "no")
        rows.append((side, *(_failed(part, scenario, side) for scenario in behaviour.SCENARIOS), address))
    yield table(["", *behaviour.SCENARIOS, "client's address at the replica"], rows)
    yield "The slowest answer that came, milliseconds (median of the rounds), likewise:"
    yield table(
        ["", *behaviour.SCENARIOS],
        [(side, *(_slowest(part, scenario, side) for scenario in behaviour.SCENARIOS)) for side in sides],
    )


def _failed(part: Part, scenario: str, side: str) -> str:
    found = [part.get(behaviour.measure_of(scenario, how, behaviour.FAILED), side) for how in behaviour.RATE]
    return " + ".join(f"{sum(figure.values):,.0f}" for figure in found if figure) or NONE


def _slowest(part: Part, scenario: str, side: str) -> str:
    found = [part.get(behaviour.measure_of(scenario, how, behaviour.SLOWEST), side) for how in behaviour.RATE]
    return " + ".join(median(figure) for figure in found if figure) or NONE


def _rollouts(part: Part) -> Iterator[str]:
    rows = []
    for times in part.sides(rollouts.TIMES):
        found = {
            what: [part.get(rollouts.measure_of(how, what), times.side) for how in rollouts.HOWS]
            for what in (rollouts.SENT, rollouts.FAILED, rollouts.REPEATED, rollouts.SLOWEST)
        }
        counts = [
            " + ".join(f"{sum(figure.values):,.0f}" for figure in found[what] if figure)
            for what in (rollouts.SENT, rollouts.FAILED)
        ]
        kept = found[rollouts.REPEATED][-1]
        slowest = " + ".join(median(figure) for figure in found[rollouts.SLOWEST])
        again = f"{sum(kept.values):,.0f}" if kept else NONE
        rows.append((times.side, f"{sum(times.values):,.0f}", *counts, again, slowest))
    yield "On new connections + on kept ones:"
    yield table(["", "times", "requests", "failed", "repeated", "slowest answer, ms"], rows)


def _heal(part: Part) -> Iterator[str]:
    yield _plainly(part, [heal.HEALED], "ms")
    yield _plainly(part, [heal.FAILED, heal.SILENT, heal.BUSY], "")


def _health(part: Part) -> Iterator[str]:
    yield _plainly(part, [health.LEAVE], "ms")
    yield _plainly(part, [health.FAILED], "")
    yield _plainly(part, [health.COST], "% of one")


def _verbs(part: Part) -> Iterator[str]:
    yield _plainly(part, [verbs.ANSWER], "s")


def _plainly(part: Part, measures: Sequence[str], unit: str) -> str:
    """Write a row a side and measure: how often, median, p99, the largest."""
    figures = [figure for measure in measures for figure in part.sides(measure)]
    is_one = len(measures) == 1
    rows = [
        (
            figure.side if is_one and len(figures) > 1 else figure.measure,
            f"{len(figure.values)}",
            *map(number, (figure.median, figure.quantile(0.99), figure.quantile(1))),
        )
        for figure in figures
    ]
    title = f"{measures[0]}, {unit}" if is_one and unit and len(figures) > 1 else unit
    return table([title, "times", "median", "p99", "worst"], rows)


_PARTS = {
    "data": ("The data path", _data),
    "first": ("The first packet", _first),
    "control": ("The control path", _control),
    "events": ("From an event to the kernel", _events),
    "behaviour": ("What becomes of requests", _behaviour),
    "rollouts": ("Rollouts", _rollouts),
    "heal": ("Healing", _heal),
    "health": ("Health checks", _health),
    "verbs": ("Verbs", _verbs),
}
