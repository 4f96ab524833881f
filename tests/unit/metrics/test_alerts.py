"""The alerts, played through by Prometheus' own tool."""

import subprocess
from pathlib import Path

from tests.prerequisites import program, require

ALERTS = Path(__file__).parents[3] / "netshare/metrics/alerts.yaml"
SCENES = Path(__file__).with_name("alerts_test.yaml")


def test_each_alert_tells_of_what_it_is_for_and_of_nothing_else(tmp_path: Path) -> None:
    require(program("promtool"))
    scenes = tmp_path / "scenes.yaml"
    scenes.write_text(SCENES.read_text().replace("ALERTS", str(ALERTS)))
    done = subprocess.run(["promtool", "test", "rules", scenes], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_well_formed() -> None:
    require(program("promtool"))
    done = subprocess.run(["promtool", "check", "rules", ALERTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
