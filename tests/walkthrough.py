"""The way of the data, shown: one ``attach web 80`` and one ``docker stop``, every stage printed down to nft's words.

``python -m tests.walkthrough`` prints it, and ``> tests/walkthrough.txt`` renews the committed copy, which a test
compares with. Real code throughout; only Docker's answers are written here, and the kernel is a fake.
"""

import json
import sys
from collections.abc import Iterator

from netshare.core.diff import Change, diff
from netshare.core.draining import drained, settled
from netshare.core.health import Verdicts
from netshare.core.judging import judge
from netshare.core.model import Container, Service
from netshare.core.plan import ServiceReplicas, plan
from netshare.core.selection import replicas
from netshare.engine import docker_answers
from netshare.netfilter.driver import Observation
from netshare.netfilter.nftables import transaction
from netshare.netfilter.nftables.chains import DEFAULT_MARK
from netshare.netfilter.nftables.driver import NftablesDriver
from netshare.operations.request import AttachRequest, updated
from netshare.store import schema
from tests.fakes.driver import FakeDriver

BRIDGE = {"Id": "b0", "Name": "shop_default", "Driver": "bridge", "Internal": False, "Options": {}}

_NOW = 1000.0
"""Seconds since the machine was started."""


def docker_answer(number: int, state: str = "running") -> dict[str, object]:
    """Give one container as ``GET /containers/json`` lists it, by the parts that are read."""
    return {
        "Id": f"{number}{'f3a9' * 15}"[:64],
        "Names": [f"/shop-web-{number}"],
        "State": state,
        "Status": "Up 2 minutes (healthy)",
        "Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"},
        "Ports": [{"PrivatePort": 8080, "Type": "tcp"}],
        "HostConfig": {"NetworkMode": "shop_default"},
        "NetworkSettings": {
            "Networks": {"shop_default": {"NetworkID": "b0", "IPAddress": f"172.18.0.{number + 1}"}},
        },
    }


def walkthrough() -> Iterator[str]:
    """Go through both reconciles, stage by stage."""
    driver = FakeDriver()
    service = updated(None, AttachRequest(name="web", port=80))
    running = [docker_answer(number) for number in (1, 2, 3)]

    yield "# netshare attach web 80\n"
    yield "## load: the definition, as the store keeps it"
    yield schema.encode(service).decode()
    yield "## list: what the engine answers (one of three), and the container that becomes of it"
    yield json.dumps(running[0], indent=2)
    containers = docker_answers.containers(running, docker_answers.networks([BRIDGE]), rootless=False)
    yield _container(containers[0])
    yield from _reconcile(driver, service, containers)
    yield "## nft: what the kernel holds now, as `netshare rules` prints it"
    yield NftablesDriver().render(driver.observe().ruleset)

    yield "# docker stop shop-web-2: its kill event comes first, and it is leaving\n"
    leaving = frozenset({str(running[1]["Id"])})
    containers = docker_answers.containers(
        running,
        docker_answers.networks([BRIDGE]),
        rootless=False,
        leaving=leaving,
    )
    yield from _reconcile(driver, service, containers)


def _reconcile(driver: FakeDriver, service: Service, containers: tuple[Container, ...]) -> Iterator[str]:
    seen = ServiceReplicas(service, replicas(service, containers))
    drains = settled([], [seen], frozenset(), _NOW)
    yield "## drain: who leaves, and for how long what is open may go on"
    yield from (f"{drain.name}  cause={drain.cause}  {drain.to_go(_NOW):.0f} s to go" for drain in drains)
    yield "" if drains else "nobody\n"
    (left,) = drained([seen], drains, _NOW)
    judged = ServiceReplicas(service, judge(service, left.replicas, Verdicts()))
    yield "## judge: which replicas may be given new connections"
    for replica in judged.replicas:
        endpoints = ", ".join(str(endpoint) for each in replica.endpoints.values() for endpoint in each)
        yield f"{replica.name}  {endpoints}  {replica.state}  {replica.reason or ''}".rstrip()
    yield ""
    observed = driver.observe()
    yield "## observe: what the kernel holds"
    yield _held(observed)
    wanted = plan([judged])
    yield "## plan: what it should hold"
    yield from (f"{match} -> {dispatch}" for match, dispatch in wanted.dispatches.items())
    yield ""
    change = diff(observed.ruleset, wanted, rebuild=not observed.intact)
    yield "## diff: what differs"
    yield from _differences(change)
    yield "## apply: one batch, all or nothing"
    kinds = {
        value: name.lower().replace("_", " ")
        for name, value in vars(transaction).items()
        if name.startswith(("NEW_", "DELETE_"))
    }
    for message in transaction.write(change, DEFAULT_MARK):
        yield f"{kinds[message.kind]}: {message.about}"
    driver.apply(change)
    yield ""


def _container(container: Container) -> str:
    addresses = [str(address) for attachment in container.attachments for address in attachment.addresses]
    return (
        f"{container.name}: {container.status}, {container.health}, addresses {addresses}, "
        f"exposes {sorted(port for port, _ in container.exposed)}\n"
    )


def _held(observed: Observation) -> str:
    if not observed.intact:
        return "no table: it is to be built\n"
    return "".join(f"{match} -> {dispatch}\n" for match, dispatch in observed.ruleset.dispatches.items())


def _differences(change: Change) -> Iterator[str]:
    if change.rebuild:
        yield "everything is to be built"
    yield from (f"+ {match}: {dispatch.service}" for match, dispatch in change.added.items())
    yield from (f"- {match}: {dispatch.service}" for match, dispatch in change.removed.items())
    for match, (old, new) in change.altered.items():
        yield f"~ {match}: {len(old.slots)} slots become {len(new.slots)}"
    yield from (f"- counter of {target.endpoint}" for target in sorted(change.targets_removed, key=str))
    yield from (f"+ counter of {target.endpoint}" for target in sorted(change.targets_added, key=str))
    yield ""


def main() -> None:
    """Print it."""
    sys.stdout.write("\n".join(walkthrough()) + "\n")


if __name__ == "__main__":
    main()
