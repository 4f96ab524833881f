"""`scripts/bench --quick`: all of it runs, and figures are there. How large they are is no test's business."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.benchmarks import __main__ as program
from scripts.benchmarks import behaviour, control, data, first, results, rollouts
from scripts.benchmarks.bed import Kind
from scripts.benchmarks.results import Results
from scripts.benchmarks.sides import sides
from scripts.benchmarks.sides.side import Proxy
from scripts.benchmarks.ways import ways
from tests.prerequisites import program as installed
from tests.prerequisites import require

ROOT = Path(__file__).parents[2]
PROGRAMS = (
    "wrk",
    "iperf3",
    "nginx",
    "gcc",
    "nft",
    "haproxy",
    "nftlb",
    "iptables-restore",
    "iptables-legacy",
    "docker-proxy",
    "busybox",
    "docker-compose",
)
MEASURES = {Kind.WEB: (data.NEW, data.KEEP, data.P50, data.P99, data.CPU_NEW), Kind.BULK: (data.BYTES,)}

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require(*map(installed, PROGRAMS))
    directory = tmp_path_factory.mktemp("bench")
    words = [sys.executable, "-m", "scripts.benchmarks", "--quick", "--to", str(directory)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture
def found(directory: Path) -> Results:
    return results.read(directory / program.JSON)


def test_every_part_has_figures(found: Results) -> None:
    assert list(found.parts) == list(program.PARTS)
    assert [name for name, part in found.parts.items() if not part.figures] == []
    assert [f for part in found.parts.values() for f in part.figures if not all(v >= 0 for v in f.values)] == []


def test_nothing_is_left_out(found: Results) -> None:
    assert [one for part in found.parts.values() for one in part.left_out] == []


def test_every_side_was_measured_by_all_that_it_carries(found: Results) -> None:
    part = found.parts["data"]
    for side in sides(many=data.Settings.of(quick=True, rounds=None).services):
        if side.lacks() is not None:
            continue
        kinds = side.kinds if isinstance(side, Proxy) else tuple(Kind)
        wanted = [measure for kind in kinds for measure in MEASURES.get(kind, (data.DATAGRAMS,))]
        assert [measure for measure in wanted if part.get(measure, side.name) is None] == [], side.name


def test_few_services_and_many_were_measured(found: Results) -> None:
    for services in (1, 100):
        assert found.parts["control"].get(control.AGAIN, control.at(control.NETSHARE, services))
        assert found.parts["first"].get(first.FIRST, first.at(first.NFTABLES, services))
        for side in (control.NETSHARE, control.BY_NFT, control.KUBE, control.NFTLB, control.BY_IPTABLES):
            assert found.parts["control"].get(control.CHANGE, control.at(side, services)), side
            assert found.parts["control"].get(control.LOAD, control.at(side, services)), side


def test_everything_happened_to_every_way(found: Results) -> None:
    part = found.parts["behaviour"]
    for scenario in behaviour.SCENARIOS:
        for how in behaviour.RATE:
            figures = part.sides(behaviour.measure_of(scenario, how, behaviour.FAILED))
            wanted = [way.name for way in ways() if way.does_all or scenario == behaviour.ROLLOUT]
            assert [figure.side for figure in figures] == wanted, scenario


def test_every_rollout_was_under_load(found: Results) -> None:
    part = found.parts["rollouts"]
    rows = [figure.side for figure in part.sides(rollouts.TIMES)]
    assert {"nothing happens", f"{rollouts.VERB}, 3 replicas", f"{rollouts.VERB} to a broken image, taken back"} <= {
        *rows
    }
    assert any("Compose 1" in row or "Compose 2" in row for row in rows)
    for how in rollouts.HOWS:
        assert [
            figure.side for figure in part.sides(rollouts.measure_of(how, rollouts.SENT)) if min(figure.values) > 0
        ] == rows


def test_the_page_and_its_plots_are_there(directory: Path) -> None:
    text = (directory / program.PAGE).read_text(encoding="utf-8")
    pictures = sorted(path.name for path in directory.glob("*.png"))
    assert "A quick run: a smoke test, no measurement." in text
    assert pictures
    assert [name for name in pictures if f"({name})" not in text] == []
