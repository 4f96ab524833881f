"""What netshare has set itself, and whether the figures show it. A goal that is missed is shown as such."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scripts.benchmarks import control, data, events, first, rollouts
from scripts.benchmarks.results import Part, Results
from scripts.benchmarks.sides import DIRECT, haproxy

_OWN = "netshare"
MOST = 10_000
_NEW = data.NEW, data.CPU_NEW
_KEEP = data.KEEP, data.CPU_KEEP


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal, what was measured, and whether that is enough."""

    goal: str
    measured: str
    is_met: bool
    within_noise: bool = False
    """Whether some rounds say this and others the opposite."""


@dataclass(frozen=True, slots=True)
class _Goal:
    goal: str
    part: str
    judge: Callable[[Part], tuple[str, bool] | tuple[str, bool, bool] | None]


def verdicts(results: Results) -> Iterator[Verdict]:
    """Judge all that has figures."""
    for goal in _GOALS:
        part = results.parts.get(goal.part)
        found = goal.judge(part) if part else None
        if found is not None:
            yield Verdict(goal.goal, *found)


def _rate(measure: str, processor: str, beside: str, least: float) -> Callable[[Part], tuple[str, bool, bool] | None]:
    def judge(part: Part) -> tuple[str, bool, bool] | None:
        own, other = part.get(measure, _OWN), part.get(measure, beside)
        cost, others_cost = part.get(processor, _OWN), part.get(processor, beside)
        if own is None or other is None or cost is None or others_cost is None:
            return None
        ratios = own.ratios(other)
        said = f"{own.ratio(other):.2f} × ({min(ratios):.2f} to {max(ratios):.2f}"
        said += f"; {others_cost.ratio(cost):.2f} by processor time)"
        direct = part.get(measure, DIRECT)
        if beside != DIRECT and direct is not None:
            said += f"; direct: {direct.ratio(other):.2f} ×"
        return said, own.ratio(other) >= least, min(ratios) < least <= max(ratios)

    return judge


def _change(part: Part) -> tuple[str, bool] | None:
    found = part.get(control.CHANGE, control.at(_OWN, MOST))
    return None if found is None else (f"{found.median:.2f} ms", found.median <= 1)


def _change_flat(part: Part) -> tuple[str, bool] | None:
    few, many = (part.get(control.AGAIN, control.at(_OWN, number)) for number in (1, MOST))
    if few is None or many is None:
        return None
    ratio = many.ratio(few)
    return f"{ratio:.2f} ×", ratio <= 2  # noqa: PLR2004 (the goal)


def _load(part: Part) -> tuple[str, bool] | None:
    found = part.get(control.LOAD, control.at(_OWN, MOST))
    return None if found is None else (f"{found.median:.2f} s", found.median <= 1.5)  # noqa: PLR2004 (the goal)


def _first(part: Part) -> tuple[str, bool] | None:
    few, many = (part.get(first.FIRST, first.at(first.NFTABLES, number)) for number in (1, MOST))
    if few is None or many is None:
        return None
    ratio = many.ratio(few)
    return f"{100 * (ratio - 1):+.0f} %", ratio <= 1.1  # noqa: PLR2004 (the goal)


def _event(part: Part) -> tuple[str, bool] | None:
    found = part.get(events.STOP, events.SIDE)
    if found is None:
        return None
    return f"{found.median:.1f} ms (p99 {found.quantile(0.99):.1f})", found.median <= 20  # noqa: PLR2004 (the goal)


def _none_failed(part: Part) -> tuple[str, bool] | None:
    """Count what failed while `netshare rollout` was at work, in all its rows."""
    sent, failed = (
        sum(
            sum(figure.values)
            for how in rollouts.HOWS
            for figure in part.sides(rollouts.measure_of(how, what))
            if figure.side.startswith(rollouts.VERB)
        )
        for what in (rollouts.SENT, rollouts.FAILED)
    )
    return (f"{failed:,.0f} of {sent:,.0f} requests", not failed) if sent else None


_GOALS = (
    _Goal("keep-alive requests: at least 0.95 × direct", "data", _rate(*_KEEP, DIRECT, 0.95)),
    _Goal("new connections: at least 0.9 × direct", "data", _rate(*_NEW, DIRECT, 0.9)),
    _Goal("keep-alive requests: at least 2 × HAProxy (http)", "data", _rate(*_KEEP, haproxy.HTTP.name, 2)),
    _Goal("keep-alive requests: at least 2 × HAProxy (tcp)", "data", _rate(*_KEEP, haproxy.TCP.name, 2)),
    _Goal("new connections: at least 1.5 × HAProxy (http)", "data", _rate(*_NEW, haproxy.HTTP.name, 1.5)),
    _Goal("new connections: at least 1.5 × HAProxy (tcp)", "data", _rate(*_NEW, haproxy.TCP.name, 1.5)),
    _Goal("one endpoint replaced at 10,000 services: at most 1 ms", "control", _change),
    _Goal("the same back to back: within 2 × from 1 to 10,000 services", "control", _change_flat),
    _Goal("10,000 services of 10 endpoints loaded: at most 1.5 s", "control", _load),
    _Goal("Docker's event to the kernel: p50 at most 20 ms", "events", _event),
    _Goal("the first packet from 1 to 10,000 services: at most 10 % more", "first", _first),
    _Goal("netshare rollout: no failed request", "rollouts", _none_failed),
)
