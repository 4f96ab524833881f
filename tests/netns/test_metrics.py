"""The agent's metrics, scraped by a real Prometheus on a lab's host, with the dashboard and the alerts that ship."""

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from netshare.lab.topology import Lab
from netshare.lab.traffic import Load
from tests.netns.admin import Admin
from tests.netns.waiting import until
from tests.prerequisites import program, require

pytestmark = pytest.mark.netns

_ROOT = Path(__file__).parents[2]
_ALERTS = _ROOT / "netshare/metrics/alerts.yaml"
_DASHBOARD = _ROOT / "netshare/metrics/dashboard.json"
_NAME = re.compile(r"\b(?:netshare|process)_[a-z_]+")
_PART = re.compile(r"_(bucket|sum|count)$")
_VARIABLES = {"$__rate_interval": "5s", "$instance": ".*", "$service": ".*"}


@pytest.fixture
def admin(privileges: None, tmp_path: Path) -> Iterator[Admin]:  # noqa: ARG001 (wanted for what it does)
    with Lab(ipv6=False) as lab:
        admin = Admin(lab, tmp_path)
        admin.attach("web", "80", *lab.replicas.values())
        yield admin
        admin.close()


class Browser:
    """One who asks over HTTP on the lab's host."""

    def __init__(self, lab: Lab, port: int, address: str = "127.0.0.1") -> None:
        self._lab, self._address, self._port = lab, address, port

    def get(self, path: str) -> str:
        return self._lab.host.run(self._get, path)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Ask Prometheus; it must understand."""
        answer = json.loads(self.get(f"/api/v1/query?{urlencode({'query': expression})}"))
        assert answer["status"] == "success", (expression, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def value(self, expression: str) -> float | None:
        """Ask Prometheus for one number."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None

    def _get(self, path: str) -> str:
        connection = HTTPConnection(self._address, self._port, timeout=10)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()


@contextmanager
def prometheus(lab: Lab, directory: Path) -> Iterator[Browser]:
    """Run Prometheus; it scrapes the agent five times a second."""
    config = directory / "prometheus.yml"
    config.write_text(
        f"""
global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}
rule_files: [{_ALERTS}]
scrape_configs:
  - job_name: netshare
    static_configs: [{{targets: ['127.0.0.1:9440']}}]
"""
    )
    log = directory / "prometheus.log"
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        "--web.listen-address=127.0.0.1:9090",
    ]
    with log.open("wb") as file, lab.host.popen(command, stdout=file, stderr=file) as process:
        browser = Browser(lab, 9090)

        def is_ready() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return "Ready" in browser.get("/-/ready")
            except OSError:
                return False

        try:
            until(is_ready, timeout=30)
            yield browser
        finally:
            process.terminate()


def expressions() -> Mapping[str, str]:
    """Every expression that ships, by the panel that shows it."""
    panels = json.loads(_DASHBOARD.read_text())["panels"]
    found = {f"{panel['title']} {t['refId']}": t["expr"] for panel in panels for t in panel.get("targets", ())}
    for variable, value in _VARIABLES.items():
        found = {title: expression.replace(variable, value) for title, expression in found.items()}
    return found


def test_a_real_prometheus_sees_the_traffic_and_all_that_ships_is_true(admin: Admin, tmp_path: Path) -> None:
    require(program("prometheus"), program("promtool"))
    lab = admin.lab
    checked = ("--health", "tcp", "--interval", "200ms", "--health-timeout", "100ms")
    endpoints = [word for each in lab.replicas.values() for word in ("--endpoint", str(each.endpoint))]
    with admin.agent("--metrics", "127.0.0.1:9440"), prometheus(lab, tmp_path) as browser:
        assert admin.netshare("attach", "api", "81", *endpoints, *checked).code == 0
        assert admin.netshare("drain", "web", str(lab.replicas["replica-3"].endpoint)).code == 0
        with Load(lab.client.namespace, lab.at(80), total=1_000_000, rate=200):
            rate = 'sum(rate(netshare_replica_connections_total{service="web"}[2s]))'
            until(lambda: 100 < (browser.value(rate) or 0) < 300, timeout=30)
        assert browser.value('up{job="netshare"}') == 1
        assert browser.value('netshare_replicas{service="web",state="ready"}') == 2
        assert browser.value('netshare_replicas{service="web",state="draining"}') == 1
        assert browser.value('netshare_drains{cause="hand"}') == 1
        assert browser.value('netshare_health_probe_seconds_count{outcome="passed"}')
        until(lambda: (browser.value("netshare_last_reconcile_timestamp_seconds") or 0) > time.time() - 60)

        scrape = Browser(lab, 9440).get("/metrics")
        exposed = set(_NAME.findall(re.sub(r"^#.*$", "", scrape, flags=re.MULTILINE)))
        shown = expressions()
        for title, expression in shown.items():
            browser.query(expression)
            named = set(_NAME.findall(expression))
            assert named <= exposed, title
        rules = json.loads(browser.get("/api/v1/rules"))["data"]["groups"][0]["rules"]
        assert {rule["health"] for rule in rules} == {"ok"}, rules
        assert {name for rule in rules for name in _NAME.findall(rule["query"])} <= exposed
        alerted = {rule["name"] for rule in rules if rule["state"] != "inactive"}
        assert alerted == set()
        own_families = {_PART.sub("", name) for name in exposed if name.startswith("netshare_")}
        in_view = {_PART.sub("", name) for name in _NAME.findall(" ".join(shown.values()))}
        assert own_families <= in_view, "metrics that the dashboard does not show"

    checked_by_tool = subprocess.run(
        ["promtool", "check", "metrics"], input=scrape, capture_output=True, text=True, check=False
    )
    own = [line for line in checked_by_tool.stderr.splitlines() if not line.startswith("process_")]
    assert (checked_by_tool.returncode, own) == (0, [])


def test_metrics_where_they_can_not_be_and_on_ipv6(admin: Admin) -> None:
    with admin.agent("--metrics", "[::1]:9440"):
        assert "netshare_services{" in Browser(admin.lab, 9440, "::1").get("/metrics")
    with admin.lab.host.run(socket.create_server, ("127.0.0.1", 9442)):
        refused = admin.netshare("agent", "--metrics", "127.0.0.1:9442")
    assert refused.code == 4
    assert "127.0.0.1:9442: Address already in use" in refused.err
    assert "ss -ltnp" in refused.err
    nowhere = admin.netshare("agent", "--metrics", "192.0.2.77:9440")
    assert (nowhere.code, "none of this host's addresses" in nowhere.err) == (1, True)
