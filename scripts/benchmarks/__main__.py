"""``scripts/bench``: measures what it is told to, and writes figures, page and plots."""

import argparse
import importlib.util
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from netshare.errors import NotPermittedError
from netshare.lab.privileges import may_build_networks
from scripts.benchmarks import (
    behaviour,
    control,
    data,
    events,
    first,
    heal,
    health,
    machine,
    page,
    plots,
    quotes,
    results,
    rollouts,
    verbs,
)
from scripts.benchmarks.processes import BenchmarkError, missing
from scripts.benchmarks.results import Part, Recorder, Results

Measure = Callable[..., None]
PARTS: dict[str, tuple[Measure, str]] = {
    "data": (data.measure, "requests, connections, bytes and datagrams through each side"),
    "first": (first.measure, "the first packet of a connection, with few services and with many"),
    "control": (control.measure, "changes and full loads, with few services and with many; the agent's restart"),
    "events": (events.measure, "from Docker's event to the kernel, from a container's start to its first answer"),
    "behaviour": (behaviour.measure, "requests that fail while containers and balancers come and go"),
    "rollouts": (rollouts.measure, "100,000 requests while replicas are replaced, by rollout, Compose and docker stop"),
    "heal": (heal.measure, "all rules flushed under load, until the agent has put its own back"),
    "health": (health.measure, "until an unhealthy replica is out of rotation, and what checks cost"),
    "verbs": (verbs.measure, "each verb, from the prompt to its answer"),
}
FORMATS = ("json", "md", "png")
JSON, PAGE = "results.json", "README.md"


def main() -> int:
    """Read the options, measure, write."""
    chosen = _options().parse_args()
    directory: Path = chosen.to
    directory.mkdir(parents=True, exist_ok=True)
    kept = directory / JSON
    found = results.read(kept) if kept.exists() else Results(machine.describe())
    if not chosen.draw:
        if lacking := _lacking():
            log(f"needs {lacking}")
            return 1
        found = replace(found, machine=machine.describe())
        for name in chosen.only or PARTS:
            log(f"{name}: {PARTS[name][1]}")
            try:
                part = _measure(PARTS[name][0], quick=chosen.quick, rounds=chosen.rounds)
            except BenchmarkError as error:
                log(f"{name}: {error}")
                return 1
            found = replace(found, parts={**found.parts, name: part})
            kept.write_text(results.written(found), encoding="utf-8")
    return _write(found, directory, chosen.output or FORMATS)


def _options() -> argparse.ArgumentParser:
    parts = "\n".join(f"  {name:<11}{what}" for name, (_, what) in PARTS.items())
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures netshare beside what people would pick instead, in network namespaces of its own.",
        epilog=f"parts:\n{parts}\n\nscripts/bench --to scripts/bench-results renews the page in the repository\n"
        "and what the README quotes of it.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help="only these; others stay as they are")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one short round; its figures mean little")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each side has its turn")
    parser.add_argument("--draw", action="store_true", help="measure nothing, write anew what was measured before")
    parser.add_argument("-o", dest="output", action="append", choices=FORMATS, help="what to write (all), repeatable")
    default = Path("build/bench")
    parser.add_argument("--to", type=Path, default=default, metavar="DIR", help=f"where to ({default})")
    return parser


def _lacking() -> str | None:
    if not may_build_networks():
        return "root"
    return missing("gcc", "nft", "wrk", "iperf3", "nginx", "taskset")


def _measure(measure: Measure, *, quick: bool, rounds: int | None) -> Part:
    recorder = Recorder(quick=quick)
    with machine.conditions(quick=quick) as seen:
        measure(recorder, rounds=rounds, log=log)
    return Part(tuple(recorder.figures()), tuple(recorder.left_out), tuple(recorder.said), seen[0])


def _write(found: Results, directory: Path, formats: Sequence[str]) -> int:
    drawn: list[str] = []
    if "png" in formats:
        if importlib.util.find_spec("matplotlib") is None:
            log("no plots: matplotlib is in the extra `bench`")
            return 1
        drawn = plots.draw(found, directory)
    if "md" in formats:
        text = page.text(found, [path.name for path in sorted(directory.glob("*.png"))])
        (directory / PAGE).write_text(text, encoding="utf-8")
        drawn.append(PAGE)
        if (directory / PAGE).resolve() == machine.ROOT / quotes.PAGE:
            quotes.put(machine.ROOT / PAGE, found)
            drawn.append("the quotes in the project's README")
    if "json" not in formats:
        (directory / JSON).unlink(missing_ok=True)
    else:
        drawn.append(JSON)
    log(f"{directory}: {', '.join(drawn)}")
    return 0


_BEGAN = time.monotonic()


def log(text: str) -> None:
    """Say on stderr what is done now."""
    print(f"bench {time.monotonic() - _BEGAN:6.1f} s  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # else labs and what runs in them would go on
    try:
        sys.exit(main())
    except NotPermittedError as error:
        sys.exit(f"bench: {error.message}")
