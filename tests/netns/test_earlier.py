"""What earlier netshares left in the kernel and on disk is taken over under load, with no connection lost."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from netshare.core.model import IPTABLES, NFTABLES, Protocol
from netshare.lab.conversation import Conversation
from netshare.lab.topology import Lab
from netshare.lab.traffic import Load, send
from netshare.netfilter.iptables import tables
from netshare.netfilter.made_by import made_by
from netshare.netfilter.nftables.chains import SCHEMA
from tests.chaos.docker import SimulatedDocker
from tests.netns.admin import Admin
from tests.netns.earlier import DRAINED, FOLDER, Earlier, rules
from tests.netns.waiting import until
from tests.prerequisites import legacy_iptables, program, require

pytestmark = pytest.mark.netns

EARLIER = [Earlier(path.name) for path in sorted(FOLDER.iterdir())]
NEXT = SCHEMA + 1
"""Of both drivers, so far."""


LATEST = [each for each in EARLIER if each.name.startswith(f"schema-{SCHEMA}")]


def named(each: Earlier) -> str:
    return each.name


@pytest.fixture
def admin(lab: Lab, tmp_path: Path) -> Iterator[Admin]:
    docker = SimulatedDocker(tmp_path / "docker.sock")
    with closing(Admin(lab, tmp_path, engine=docker.url)) as made:
        yield made
    docker.down()


def held(lab: Lab, stack: ExitStack) -> list[Conversation]:
    client = lab.client.namespace
    ends = [
        (at(port), protocol) for at in (lab.at, lab.at6) for port, protocol in ((80, Protocol.TCP), (80, Protocol.UDP))
    ]
    return [
        stack.enter_context(Conversation(client, to, protocol=protocol, timeout=5))
        for to, protocol in ends
        for _ in range(4)
    ]


def load(lab: Lab, stack: ExitStack, port: int) -> Load:
    to = lab.at(port)
    return stack.enter_context(Load(lab.client.namespace, to, total=10_000, rate=50, concurrency=4, timeout=5))


def test_they_are_there() -> None:
    assert {each.driver for each in EARLIER} == {each.driver for each in LATEST} == {NFTABLES, IPTABLES}
    assert any(each.drains for each in EARLIER)
    assert tables.SCHEMA == SCHEMA


@pytest.mark.parametrize("earlier", EARLIER, ids=named)
def test_it_is_taken_over(earlier: Earlier, admin: Admin, tmp_path: Path) -> None:
    lab = admin.lab
    require(legacy_iptables() if earlier.driver == IPTABLES else program("nft"))
    earlier.restore(lab.host, tmp_path)
    before = rules(lab.host, earlier.driver)
    with ExitStack() as stack:
        conversations = held(lab, stack)
        at_first = [conversation.ask() for conversation in conversations]
        loads = [load(lab, stack, port) for port in (80, 81)]
        agent = stack.enter_context(admin.agent())
        assert [conversation.ask() for conversation in conversations] == at_first
        assert (made_by(SCHEMA) in before) is (rules(lab.host, earlier.driver) == before)
        assert [("rebuilt=yes" in line) for line in agent.said("apply")] == [True] * (made_by(SCHEMA) not in before)
        assert agent.said("problem") == []
        listed = {each["name"]: each for each in admin.netshare("status", "-o", "json").document["services"]}
        assert {"web", "api"} <= listed.keys()
        assert {each["driver"] for each in listed.values()} == {earlier.driver}
        assert all(sum(each["connections_total"] for each in own["replicas"]) for own in (listed["web"], listed["api"]))
        if earlier.drains:
            states = {each["name"]: each["state"] for each in listed["turn"]["replicas"]}
            assert states[DRAINED] == "draining"
            assert "replica-3" not in send(lab.client.namespace, lab.at(82), 12).answers
        # And it goes on from there: connections to a replica that is drained stay, new ones go elsewhere.
        streams = [
            (each, answer)
            for each, answer in zip(conversations, at_first, strict=True)
            if each.protocol is Protocol.TCP
        ]
        assert admin.netshare("drain", "web", "172.30.0.10", "--timeout", "1h").code == 0
        assert "replica-1" not in send(lab.client.namespace, lab.at(80), 12).answers
        assert [each.ask() for each, _ in streams] == [answer for _, answer in streams]
        traffic = [each.stop() for each in loads]
    assert [each.failures for each in traffic] == [(), ()]


@pytest.mark.parametrize("earlier", LATEST, ids=named)
def test_of_a_newer_one_it_is_made_anew_when_all_is_known(earlier: Earlier, admin: Admin, tmp_path: Path) -> None:
    """The rules say that a newer netshare made them, and so does a definition."""
    lab = admin.lab
    require(legacy_iptables() if earlier.driver == IPTABLES else program("nft"))
    earlier.restore(lab.host, tmp_path, NEXT)
    definition = tmp_path / "state/services/api.json"
    whole = definition.read_text(encoding="utf-8")
    definition.write_text(json.dumps(json.loads(whole) | {"schema": 2, "how": "new"}), encoding="utf-8")
    before = rules(lab.host, earlier.driver)
    with ExitStack() as stack:
        conversations = held(lab, stack)
        at_first = [conversation.ask() for conversation in conversations]
        loads = [load(lab, stack, port) for port in (80, 81)]
        for verb in (("sync",), ("attach", "web", "83"), ("detach", "web", "80/udp")):
            refused = admin.netshare(*verb)
            assert refused.code == 7, refused
            assert f"a newer netshare made what the kernel holds (schema {NEXT}" in refused.err
            assert "nothing is known of api" in refused.err
        told = admin.netshare("status")
        assert "a newer netshare wrote it: its schema is 2" in told.err
        assert rules(lab.host, earlier.driver) == before
        assert [conversation.ask() for conversation in conversations] == at_first
        definition.write_text(whole, encoding="utf-8")
        agent = stack.enter_context(admin.agent())
        until(lambda: bool(agent.said("rebuilt=yes")))
        assert f"schema_before={NEXT}" in agent.said("rebuilt=yes")[0]
        assert made_by(NEXT) not in rules(lab.host, earlier.driver)
        assert [conversation.ask() for conversation in conversations] == at_first
        assert set(send(lab.client.namespace, lab.at(80), 40).answers) == set(lab.replicas)
        traffic = [each.stop() for each in loads]
    assert [each.failures for each in traffic] == [(), ()]
