"""What the README quotes from the page of results: written there by the run that renews the page, and never by hand."""

from collections.abc import Iterator
from pathlib import Path

from scripts.benchmarks import behaviour, control, data, events, first, services
from scripts.benchmarks.processes import BenchmarkError
from scripts.benchmarks.results import Conditions, Figure, Machine, Part, Results
from scripts.benchmarks.sides import DIRECT, MANY, caddy, envoy, haproxy, nginx, traefik
from scripts.benchmarks.sides.docker import DockerPublished
from scripts.benchmarks.tables import median, number, table

PAGE = "scripts/bench-results/README.md"
BEGIN, END = "<!-- quoted from scripts/bench-results, by scripts/bench -->", "<!-- end of the quotes -->"
OWN = "netshare"
_PROXIES = (haproxy.TCP, haproxy.HTTP, nginx.STREAM, nginx.HTTP, envoy.TCP, envoy.HTTP, traefik.TRAEFIK, caddy.CADDY)
_SIDES = (DIRECT, OWN, DockerPublished().name, *(proxy.name for proxy in _PROXIES))


def text(results: Results) -> str:
    """Write what is quoted: what was not measured is left out."""
    parts = results.parts
    lines = [_where(results.machine, parts["data"].conditions), "", _rates(parts["data"]), ""]
    for name, sentences in (("control", _control), ("events", _events), ("first", _first), ("behaviour", _behaviour)):
        if name in parts:
            lines += [f"- {sentence}" for sentence in sentences(parts[name])]
    return "\n".join(lines)


def put(readme: Path, results: Results) -> None:
    """Renew the quotes in a document, between their marks."""
    before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise BenchmarkError(f"{readme} has no place for quotes: {BEGIN} … {END}")
    readme.write_text(f"{before}{begin}\n{text(results)}\n{end}{after}", encoding="utf-8")


def _where(machine: Machine, conditions: Conditions) -> str:
    date = conditions.date.partition(" ")[0]
    noisy = (
        " The machine was busy with other things too: rates are off by tens of per cent (nothing is faster than "
        "`direct`), processor times (CPU) by a few."
    )
    return (
        f"Client, host and replicas on the {machine.cores} cores of one machine ({machine.processor}, Linux "
        f"{machine.kernel.partition('-')[0]}, {date}), so what a way in between takes is missing to both ends. "
        f"[All of it]({PAGE}): how it was measured, other sides, goals met and missed."
        f"{noisy if conditions.is_noisy else ''}"
    )


def _rates(part: Part) -> str:
    def beyond(measure: str, side: str) -> str:
        figure, direct = part.get(measure, side), part.get(measure, DIRECT)
        return "–" if direct is None or figure is None or side == DIRECT else number(figure.median - direct.median)

    return table(
        [
            "",
            "CPU µs a keep-alive request, beyond direct",
            "CPU µs a new connection, beyond direct",
            "keep-alive requests/s",
            "new connections/s",
        ],
        [
            (
                side,
                beyond(data.CPU_KEEP, side),
                beyond(data.CPU_NEW, side),
                median(part.get(data.KEEP, side)),
                median(part.get(data.NEW, side)),
            )
            for side in _SIDES
            if part.get(data.NEW, side)
        ],
    )


def _control(part: Part) -> Iterator[str]:
    few, many, load = (
        part.get(measure, control.at(control.NETSHARE, number))
        for measure, number in ((control.CHANGE, 1), (control.CHANGE, MANY), (control.LOAD, MANY))
    )
    kube = part.get(control.CHANGE, control.at(control.KUBE, control.MOST))
    if few and many and load and kube:
        yield (
            f"One replica of {services.ENDPOINTS} changed: {number(few.median)} ms in the kernel with 1 service, "
            f"{number(many.median)} ms with {MANY:,} (`nft -f` with {control.MOST:,}, a chain for each service and "
            f"endpoint: {number(kube.median)} ms). "
            f"All {MANY:,} loaded: {number(load.median)} s."
        )


def _events(part: Part) -> Iterator[str]:
    found = part.get(events.STOP, events.SIDE)
    if found:
        yield (
            "From Docker's word that a container stops until the kernel sends it nothing new: "
            f"{number(found.median)} ms (p99 {number(found.quantile(0.99))} ms)."
        )


def _first(part: Part) -> Iterator[str]:
    def at(side: str, number: int) -> Figure | None:
        return part.get(first.FIRST, first.at(side, number))

    few, many, typed = at(first.NFTABLES, 1), at(first.NFTABLES, MANY), at(first.ARTICLE, MANY)
    if few and many and typed:
        yield (
            f"The first packet of a connection, there and back: {number(few.median)} µs with 1 service, "
            f"{number(many.median)} µs with {MANY:,} (iptables typed by hand: {number(typed.median)} µs)."
        )


def _behaviour(part: Part) -> Iterator[str]:
    said = []
    for figure in part.sides(behaviour.measure_of(behaviour.CRASH, behaviour.NEW, behaviour.FAILED)):
        kept = part.get(behaviour.measure_of(behaviour.CRASH, behaviour.KEPT, behaviour.FAILED), figure.side)
        failed = figure.median + (kept.median if kept else 0)
        said.append(f"{figure.side} {failed:,.0f}")
    if said:
        yield (
            f"The balancer killed, and started again a second later, at {sum(behaviour.RATE.values())} requests a "
            f"second; requests that failed: {', '.join(said)}."
        )
