"""For all tests: what each marker needs of the machine, and nothing skipped unseen."""

import resource
import shlex
import signal
import sys
from collections import Counter
from collections.abc import Generator
from typing import TypeVar

import pytest
from hypothesis import settings

from tests import prerequisites
from tests.prerequisites import in_ci, require

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

# A lab's hosts, clients and replicas are one process, and have its descriptors only; a shell gives it 1,024 of the many
# thousand that it may have.
_, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(_hard, 65_536), _hard))

# What a shell starts in the background ignores SIGINT, and so would the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Time is no verdict on a busy machine; and in CI a run's examples are every run's examples.
settings.register_profile("netshare", deadline=None, derandomize=in_ci())
settings.load_profile("netshare")

NEEDS = {
    "netns": (prerequisites.network_namespaces,),
    "docker": (prerequisites.root, lambda: prerequisites.program("dockerd")),
    "podman": (prerequisites.root, lambda: prerequisites.program("podman")),
    "systemd": (prerequisites.root, lambda: prerequisites.program("systemd-nspawn")),
    "vm": (prerequisites.virtual_machines,),
}
"""What every test of a marker needs; what only some need, they `require` themselves."""


@pytest.fixture(scope="session")
def netshare_command(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A program `netshare`, as scripts want one, whatever is installed: the sources that are tested."""
    path = tmp_path_factory.mktemp("bin") / "netshare"
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m netshare "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, checks in NEEDS.items():
        if item.get_closest_marker(marker) is not None:
            require(*(check() for check in checks))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return _unskipped(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return _unskipped(report)


def _unskipped(report: Report) -> Report:
    """Turn a skip into a failure where nothing may be skipped."""
    if report.skipped and in_ci() and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI nothing may be: {_reason(report)}"
    return report


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was skipped, and why, reason by reason."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section("skipped, and why")
    for reason, count in sorted(Counter(map(_reason, skipped)).items()):
        terminalreporter.line(f"{count:5}  {reason}")
