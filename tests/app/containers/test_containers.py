"""``compose up --scale web=3`` without ports, an agent that follows the labels, and a browser that sees all three."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.app.containers import browser
from tests.app.containers.conftest import PROJECT, REPLICAS, Workload
from tests.docker.hints import eventually
from tests.prerequisites import require

# Bringing it all up is most of it: minutes, on a busy machine.
pytestmark = [pytest.mark.app, pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]

PNG = b"\x89PNG\r\n"


def fetch(address: str, port: int, path: str) -> tuple[int, Any]:
    connection = HTTPConnection(address, port, timeout=60)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def ask(workload: Workload, path: str) -> tuple[int, Any]:
    """Send a request from the client outside to port 80 of the host."""
    return workload.lab.client.run(fetch, str(workload.lab.at(80).address), 80, path)


def names(workload: Workload) -> set[str]:
    """What replicas call themselves: their host name, which Docker makes of their id."""
    return {str(container.short_id) for container in workload.containers("web")}


def test_three_replicas_answer_on_one_port_by_their_names_and_see_the_client_itself(workload: Workload) -> None:
    answers = [ask(workload, "/whoami")[1] for _ in range(60)]
    assert len(names(workload)) == REPLICAS
    assert {answer["replica"] for answer in answers} == names(workload)
    assert {answer["client"] for answer in answers} == {workload.lab.client_address}
    assert {answer["server"] for answer in answers} == {"pywsgi"}


def test_all_they_depend_on_is_there(workload: Workload) -> None:
    assert ask(workload, "/readyz") == (200, {"status": "ready"})
    assert ask(workload, "/?delay=0.1")[0] == 200
    status, answer = ask(workload, "/db?delay=0.1")
    assert (status, answer["replica"] in names(workload)) == (200, True)
    assert ask(workload, "/?delay=99")[0] == 400


def test_a_browser_sees_all_three_in_the_tally(workload: Workload, tmp_path: Path) -> None:
    require(None if browser.program() else "needs the program chromium-headless-shell")
    url = f"http://{workload.lab.at(80).address}/"
    document, screenshot = browser.open_page(workload.lab.client, url, tmp_path, milliseconds=8000)
    assert set(re.findall(r'data-replica="([^"]+)"', document)) == names(workload)
    total = re.search(r'id="total">(\d+)<', document)
    failed = re.search(r'id="failed">(\d+)<', document)
    assert total is not None
    assert failed is not None
    assert int(total[1]) >= 20
    assert int(failed[1]) == 0
    assert screenshot.read_bytes().startswith(PNG)


def test_no_replica_publishes_a_port_runs_as_root_or_may_write(workload: Workload) -> None:
    for container in workload.containers("web"):
        assert not any(container.attrs["NetworkSettings"]["Ports"].values())
        assert container.attrs["State"]["Health"]["Status"] == "healthy"
        assert container.exec_run(["id", "-u"]).output == b"10001\n"
        assert container.exec_run(["touch", "/srv/app/x"]).exit_code != 0
        assert container.labels["netshare.service"] == "web"
        assert (container.labels["netshare.port"], container.labels["netshare.to"]) == ("80", "8080")


def test_a_replica_that_is_stopped_finishes_what_it_does(workload: Workload) -> None:
    container = workload.containers("web")[0]
    address = workload.lab.address(container, f"{PROJECT}_default")

    def request() -> tuple[int, Any]:
        return workload.lab.host.start_thread(fetch, address, 8080, "/?delay=3").result()

    with ThreadPoolExecutor(1) as other:
        answer = other.submit(request)
        eventually(lambda: f"{address}:8080" in workload.admin.tool("ss", "-Hnt", "state", "established"))
        container.stop(timeout=40)
        assert answer.result()[0] == 200
    assert container.wait()["StatusCode"] == 0
    container.start()
    eventually(lambda: container.exec_run(["python", "-m", "app.health"]).exit_code == 0)
