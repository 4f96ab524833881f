"""What is made of figures: rates read from wrk, ratios, the page, the plots."""

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.benchmarks import control, data, first, page, plots, quotes, results, rollouts
from scripts.benchmarks.data import read_wrk
from scripts.benchmarks.goals import verdicts
from scripts.benchmarks.processes import BenchmarkError
from scripts.benchmarks.results import Conditions, Figure, Machine, Part, Recorder, Results
from scripts.benchmarks.sides import sides
from scripts.benchmarks.tables import number, spread

ROOT = Path(__file__).parents[2]
WRK = """\
Running 1s test @ http://198.18.0.1:80/
  1 threads and 32 connections
  120341 requests in 1.10s, 17.21MB read
Requests/sec: 109401.52
Transfer/sec:     15.65MB
"""
CONDITIONS = Conditions("2026-01-01 12:00 UTC", "abc", 60.0, 0.1, 2.0, 0.25, is_quick=False)
MACHINE = Machine("6.18.0", "A processor", 2, 24.0, {"nginx": "1.22.1"})


def part(**settings: float) -> Part:
    """Make up a data path in which netshare has so many times the rate of every other side."""
    recorder = Recorder(quick=False)
    for side in sides():
        times = settings.get("netshare", 1.0) if side.name == "netshare" else 1.0
        for busy in (1.0, 0.5, 0.9):
            for measure in (data.NEW, data.KEEP, data.BYTES, data.DATAGRAMS):
                recorder.record(measure, side.name, "1/s", 1000 * times * busy)
            for measure in (data.CPU_NEW, data.CPU_KEEP, data.P50, data.P99, data.MEMORY):
                recorder.record(measure, side.name, "ms", 10 / times)
    recorder.leave_out("another", "it is not installed")
    recorder.say("Said of it.\n\nAnd this.")
    return Part(tuple(recorder.figures()), tuple(recorder.left_out), tuple(recorder.said), CONDITIONS)


def by_services(name: str, measure: str, side: str, *values: float) -> Results:
    figures = [
        Figure(measure, f"{side} @ {services}", "", (value,))
        for services, value in zip((1, 10_000), values, strict=True)
    ]
    return Results(MACHINE, {name: Part(tuple(figures), (), (), CONDITIONS)})


def test_wrk_is_read() -> None:
    assert read_wrk(WRK) == data.Rate(120341, 109401.52)


@pytest.mark.parametrize(
    "said",
    [
        "unable to connect to 198.18.0.1:80 Connection refused",
        WRK + "  Non-2xx or 3xx responses: 7\n",
        WRK + "  Socket errors: connect 0, read 9000, write 0, timeout 4\n",
    ],
)
def test_failed_requests_are_no_rate(said: str) -> None:
    with pytest.raises(BenchmarkError):
        read_wrk(said)


def test_a_ratio_is_of_the_rounds_and_not_of_the_medians() -> None:
    own, other = Figure("m", "own", "", (90, 45, 9)), Figure("m", "other", "", (100, 50, 10))
    assert own.ratio(other) == pytest.approx(0.9)


def test_a_quantile_is_one_of_the_values() -> None:
    figure = Figure("m", "s", "", tuple(float(value) for value in range(101)))
    assert (figure.median, figure.quantile(0.99), figure.quantile(1)) == (50, 99, 100)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (123456, "123,500"),
        (1234, "1,234"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (0.1234, "0.123"),
        (0.01, "0.01"),
    ],
)
def test_numbers_are_short(value: float, written: str) -> None:
    assert number(value) == written


def test_a_spread_is_around_the_median() -> None:
    assert spread(Figure("m", "s", "", (90.0, 100.0, 120.0))) == "-10 … +20 %"


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    found = Results(MACHINE, {"data": part()})
    (tmp_path / "results.json").write_text(results.written(found), encoding="utf-8")
    assert results.read(tmp_path / "results.json") == found


def test_the_page_names_every_side_and_what_was_left_out() -> None:
    text = page.text(Results(MACHINE, {"data": part()}), ["data.png"])
    assert [side.name for side in sides() if f"| {side.name} |" not in text] == []
    assert "- Left out: another: it is not installed" in text
    assert "![The data path](data.png)" in text
    assert "\n- Said of it.\n- And this.\n" in text
    assert "kept 0.25 processors busy" in text


def test_the_page_says_what_was_measured_on_a_busy_machine() -> None:
    quiet = part()
    busy = replace(quiet, conditions=replace(CONDITIONS, busy_elsewhere=1.2))
    assert "**Noisy:**" not in page.text(Results(MACHINE, {"data": quiet}), [])
    assert "busy with something else: The data path (1.2 of 2)" in page.text(Results(MACHINE, {"data": busy}), [])


def test_the_page_says_who_is_ahead() -> None:
    assert "nginx (http) (2.00 ×)" in page.text(Results(MACHINE, {"data": part(netshare=0.5)}), [])
    assert "In none of these" in page.text(Results(MACHINE, {"data": part(netshare=2)}), [])


@pytest.mark.parametrize(("times", "met"), [(0.9, ["new connections: at least 0.9 × direct"]), (2.0, None)])
def test_goals_of_the_data_path(times: float, met: list[str] | None) -> None:
    found = list(verdicts(Results(MACHINE, {"data": part(netshare=times)})))
    assert [one.goal for one in found if one.is_met] == ([one.goal for one in found] if met is None else met)


@pytest.mark.parametrize(
    ("name", "measure", "side", "values", "met"),
    [
        ("control", control.CHANGE, "netshare", (0.4, 0.7), [True]),
        ("control", control.CHANGE, "netshare", (0.4, 1.1), [False]),
        ("control", control.AGAIN, "netshare", (0.4, 0.7), [True]),
        ("control", control.AGAIN, "netshare", (0.4, 0.9), [False]),
        ("control", control.LOAD, "netshare", (0.1, 1.6), [False]),
        ("first", first.FIRST, first.NFTABLES, (10.0, 10.9), [True]),
        ("first", first.FIRST, first.NFTABLES, (10.0, 11.2), [False]),
    ],
)
def test_goals_by_services(name: str, measure: str, side: str, values: tuple[float, float], *, met: list[bool]) -> None:
    found = by_services(name, measure, side, *values)
    assert [one.is_met for one in verdicts(found)] == met
    assert "10,000" in page.text(found, [])


def test_quotes_are_put_between_their_marks_and_nowhere_else(tmp_path: Path) -> None:
    readme, found = tmp_path / "README.md", Results(MACHINE, {"data": part(netshare=2)})
    readme.write_text(f"before\n{quotes.BEGIN}\nold\n{quotes.END}\nbehind\n", encoding="utf-8")
    for _ in range(2):
        quotes.put(readme, found)
        text = readme.read_text(encoding="utf-8")
        assert text == f"before\n{quotes.BEGIN}\n{quotes.text(found)}\n{quotes.END}\nbehind\n"
        assert "| netshare | -5.00 | -5.00 | 1,800 | 1,800 |" in text
    readme.write_text("no marks", encoding="utf-8")
    with pytest.raises(BenchmarkError, match="no place for quotes"):
        quotes.put(readme, found)


@pytest.mark.parametrize(("failed", "met"), [(0, True), (1, False)])
def test_a_rollout_that_costs_a_request_misses_its_goal(failed: int, *, met: bool) -> None:
    recorder = Recorder(quick=False)
    for side, missing in ((f"{rollouts.VERB}, 3 replicas", failed), ("docker stop", 7)):
        recorder.record(rollouts.TIMES, side, "", 4)
        for how in rollouts.HOWS:
            recorder.record(rollouts.measure_of(how, rollouts.SENT), side, "", 50_000)
            recorder.record(rollouts.measure_of(how, rollouts.FAILED), side, "", missing if how == rollouts.NEW else 0)
            recorder.record(rollouts.measure_of(how, rollouts.REPEATED), side, "", 2)
            recorder.record(rollouts.measure_of(how, rollouts.SLOWEST), side, "ms", 12.5)
    found = Results(MACHINE, {"rollouts": Part(tuple(recorder.figures()), (), (), CONDITIONS)})
    assert [(one.measured, one.is_met) for one in verdicts(found)] == [(f"{failed} of 100,000 requests", met)]
    text = page.text(found, [])
    assert f"| {rollouts.VERB}, 3 replicas | 4 | 50,000 + 50,000 | {failed} + 0 | 2 | 12.5 + 12.5 |" in text
    assert "| docker stop | 4 | 50,000 + 50,000 | 7 + 0 | 2 | 12.5 + 12.5 |" in text


def test_the_readme_quotes_the_page_and_the_page_is_of_its_figures() -> None:
    directory = (ROOT / quotes.PAGE).parent
    found = results.read(directory / "results.json")
    plotted = sorted(path.name for path in directory.glob("*.png"))
    assert (directory / "README.md").read_text(encoding="utf-8") == page.text(found, plotted)
    assert f"{quotes.BEGIN}\n{quotes.text(found)}\n{quotes.END}" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert not any(part.conditions.is_quick for part in found.parts.values())
    assert sum(path.stat().st_size for path in directory.iterdir()) < 300_000  # it is kept in the repository


def test_plots_are_pictures(tmp_path: Path) -> None:
    assert plots.draw(Results(MACHINE, {"data": part()}), tmp_path) == ["data.png"]
    assert (tmp_path / "data.png").read_bytes().startswith(b"\x89PNG")
