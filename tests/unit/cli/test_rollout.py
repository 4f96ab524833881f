"""The words of ``netshare rollout`` over fakes: what is printed where, and the exit code."""

from dataclasses import replace

import pytest

from netshare import wiring
from netshare.core.rollout import Direction, Stage
from netshare.operations import rollout as operation
from netshare.operations.rollout import Request, Telling, Tools
from netshare.runtime import capabilities
from tests.fakes.rollout import RolloutWorld
from tests.unit.cli.conftest import Netshare


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> RolloutWorld:
    made = RolloutWorld()

    def tools(tell: Telling) -> Tools:
        return replace(made.tools, tell=tell)

    monkeypatch.setattr(wiring, "rollout_tools", tools)
    monkeypatch.setattr(capabilities, "has_net_admin", lambda: True)
    return made


def test_it_tells_how_it_goes_and_how_it_ended(netshare: Netshare, world: RolloutWorld) -> None:
    done = netshare("rollout", "web", "--image", "my/web:2", "--batch", "2")
    assert (done.code, done.out) == (0, "web: 3 replicas replaced in 6 s\n")
    lines = [line.removeprefix("netshare: web: ") for line in done.err.splitlines()]
    assert lines[:4] == [
        "replacing 3 replicas from my/web:2, 2 at a time, 2 more at most",
        "web-4 started, to replace web-1",
        "web-5 started, to replace web-2",
        "; ".join(f"{name}: it has no health check: well if it runs for 3 s" for name in ("web-4", "web-5")),
    ]
    assert lines[4:10] == [
        "shifted: web-4, web-5 in, web-1, web-2 out",
        "web-1 drained in 0.0 s",
        "web-2 drained in 0.0 s",
        "stopping web-1, web-2",
        "web-1 stopped",
        "web-2 stopped",
    ]
    assert lines[-3:] == ["web-1 is a new one now", "web-2 is a new one now", "web-3 is a new one now"]
    assert world.images() == {"my/web:2"}


def test_as_a_document(netshare: Netshare) -> None:
    done = netshare("rollout", "web", "-o", "json")
    assert done.code == 0
    assert (done.document["name"], done.document["outcome"]) == ("web", "completed")
    first = done.document["replicas"][0]
    assert first["old"] == {"name": "web-1", "id": "id-of-web-1", "engine": "docker"}
    assert first["new"]["name"] == "web-1"
    assert first["new"]["id"] != "id-of-web-1"


def test_one_that_was_taken_back_is_a_failure(netshare: Netshare) -> None:
    done = netshare("rollout", "web", "--image", "broken", "-o", "json")
    assert done.code == 1
    assert done.document["error"]["code"] == "failed"
    assert "was taken back: web-4 has ended (exit code 1)" in done.document["error"]["message"]


def test_ctrl_c_says_what_to_do_next(netshare: Netshare, world: RolloutWorld) -> None:
    def interrupt() -> None:
        if world.record.at(Stage.STOPPED):
            raise KeyboardInterrupt

    world.on_sleep = interrupt
    done = netshare("rollout", "web")
    assert done.code == 130
    assert done.err.splitlines()[-1] == (
        "netshare: interrupted: 1 of 3 replicas are new; `netshare rollout web --resume` goes on, "
        "`netshare rollout web --abort` takes it back"
    )
    world.on_sleep = lambda: None
    refused = netshare("rollout", "web")
    assert refused.code == 1
    assert "a rollout of web is unfinished: 1 of 3 replicas are new" in refused.err
    back = netshare("rollout", "web", "--abort")
    assert (back.code, back.out) == (0, "web: taken back, web-1, web-2, web-3 serve as before\n")
    assert netshare("rollout", "web", "--resume").code == 3


def test_resuming_one_that_is_being_taken_back_is_no_success(netshare: Netshare, world: RolloutWorld) -> None:
    operation.begun(world.tools, Request("web"))
    operation.aborted(world.tools, "web")
    done = netshare("rollout", "web", "--resume", "-o", "json")
    assert done.code == 1
    assert done.document["outcome"] == "taken-back"
    assert done.document["error"]["message"] == "the rollout of web was taken back, as was asked"


def test_there_is_a_point_of_no_return(netshare: Netshare, world: RolloutWorld) -> None:
    def interrupt(what: str) -> None:
        if what == "removed":
            raise KeyboardInterrupt

    world.before = interrupt
    assert netshare("rollout", "web").code == 130
    world.before = lambda _: None
    assert world.record.direction is Direction.FINISHING
    refused = netshare("rollout", "web", "--abort")
    assert refused.code == 1
    assert "can't be taken back any more: all 3 replicas are new" in refused.err
    assert netshare("rollout", "web", "--resume").code == 0


def test_promote_goes_on_and_waits_for_the_end(netshare: Netshare, world: RolloutWorld) -> None:
    def interrupt() -> None:
        if world.record.at(Stage.TRIED):
            raise KeyboardInterrupt

    world.on_sleep = interrupt
    assert netshare("rollout", "web", "--canary", "10%").code == 130
    world.on_sleep = lambda: None
    assert netshare("rollout", "web", "--promote").code == 0


def test_another_process_that_drives_it_is_waited_for(netshare: Netshare, world: RolloutWorld) -> None:
    operation.begun(world.tools, Request("web"))
    world.claimed = True
    for words in ((), ("--resume",)):
        refused = netshare("rollout", "web", *words)
        assert refused.code == 1
        assert "a rollout of web is under way: 0 of 3 replicas are new" in refused.err

    def end() -> None:
        world.claimed = False
        world.fake.rollouts.known.clear()

    world.on_sleep = end
    back = netshare("rollout", "web", "--abort")
    assert (back.code, back.out) == (0, "web: taken back, web-1, web-2, web-3 serve as before\n")


@pytest.mark.parametrize(
    "words",
    [
        ("--resume", "--abort"),
        ("--abort", "--image", "x"),
        ("--promote", "--batch", "2"),
        ("--batch", "0"),
        ("--surge", "x"),
        ("--canary", "0%"),
        ("--canary", "100%"),
        ("--canary", "ten"),
        ("--pause", "soon"),
        ("--timeout", "x"),
        ("--image", "a b"),
        ("--drain", "x"),
    ],
)
def test_words_that_make_no_sense(netshare: Netshare, world: RolloutWorld, words: tuple[str, ...]) -> None:
    refused = netshare("rollout", "web", *words)
    assert refused.code == 2, refused
    assert "hint:" in refused.err
    assert world.fake.rollouts.known == {}
