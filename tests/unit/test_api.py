"""The surface of ``import netshare``; that its functions do what they say is shown by tests/netns."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import netshare
from netshare import api, wiring
from netshare.operations.rollout import Telling, Tools
from tests.fakes.rollout import RolloutWorld


def test_everything_promised_is_there() -> None:
    assert set(netshare.__all__) <= set(dir(netshare))
    for name in netshare.__all__:
        assert getattr(netshare, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'attachh'"):
        _ = netshare.attachh  # type: ignore[attr-defined]


def test_types_and_values_come_from_the_same_place() -> None:
    tree = ast.parse(Path(netshare.__file__).read_text(encoding="utf-8"))
    imports = {
        (node.module, alias.asname or alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("netshare.")
        for alias in node.names
    }
    homes = {(home, name) for name, home in netshare._HOME.items()}  # noqa: SLF001
    assert imports - {("netshare.runtime.version", "__version__")} == homes
    assert {name for _, name in imports} == set(netshare.__all__)


def test_importing_it_costs_next_to_nothing() -> None:
    program = "import netshare, sys; print([name for name in sys.modules if name.startswith('netshare.')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['netshare.runtime', 'netshare.runtime.version']"


def test_each_function_says_what_it_does() -> None:
    for name in netshare._HOMES["netshare.api"]:  # noqa: SLF001
        assert "Raises:" in (getattr(netshare, name).__doc__ or ""), name
    assert "stable" in (api.__doc__ or "")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> RolloutWorld:
    """A host where a service is rolled out, which tells how it goes to whoever the function was given."""
    there = RolloutWorld(3)

    @contextmanager
    def opened(tell: Telling) -> Iterator[Tools]:
        yield replace(there.tools, tell=tell)

    monkeypatch.setattr(wiring, "opened_rollout_tools", opened)
    monkeypatch.setattr(api, "require_net_admin", lambda _: None)
    return there


def test_rollout_tells_how_it_goes_and_how_it_went(world: RolloutWorld) -> None:
    told: list[netshare.Progress] = []
    rolled = netshare.rollout("web", batch=3, progress=told.append)
    assert rolled.outcome is netshare.Outcome.COMPLETED
    assert {pair.new.id for pair in rolled.pairs if pair.new} == {each.id for each in world.fake.engine.running}
    assert told[0] == netshare.Progress("replacing 3 replicas, 3 at a time, 3 more at most")
    assert any(each.is_waiting and each.detail for each in told)


def test_rollout_pauses_until_it_is_promoted(world: RolloutWorld) -> None:
    told: list[str] = []

    def show(progress: netshare.Progress) -> None:
        if progress.what.startswith("paused"):
            raise KeyboardInterrupt
        told.append(progress.what)

    with pytest.raises(KeyboardInterrupt):
        netshare.rollout("web", canary=10, progress=show)
    assert world.record.options.canary == 10
    assert netshare.promote_rollout("web").outcome is netshare.Outcome.COMPLETED


def test_rollout_is_gone_on_with_or_taken_back(world: RolloutWorld) -> None:
    old = {each.id for each in world.fake.engine.running}

    def interrupt(progress: netshare.Progress) -> None:
        if progress.what.startswith("shifted"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        netshare.rollout("web", pause="promote", progress=interrupt)
    assert netshare.abort_rollout("web").outcome is netshare.Outcome.TAKEN_BACK
    assert {each.id for each in world.fake.engine.running} == old
    with pytest.raises(KeyboardInterrupt):
        netshare.rollout("web", pause=1, progress=interrupt)
    assert netshare.resume_rollout("web").outcome is netshare.Outcome.COMPLETED
    with pytest.raises(netshare.NotFoundError):
        netshare.resume_rollout("web")


@pytest.mark.parametrize(
    "words",
    [{"canary": 100}, {"batch": 0}, {"surge": -1}, {"pause": "soon"}, {"pause": -1}, {"timeout": -1}, {"drain": -1}],
)
def test_rollout_refuses_what_the_verb_refuses(world: RolloutWorld, words: dict[str, object]) -> None:
    with pytest.raises(netshare.UsageError):
        netshare.rollout("web", **words)  # type: ignore[arg-type]
    assert not world.fake.rollouts.known
